import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { programPath, run } from '../run.ts'
import { debianRoot } from '../upstreams/debian-images.ts'
import { hashFile, type LayerFile } from '../upstreams/oci-layout.ts'

/** Kubespray's downloads for starting a cluster, under the publishers' names and in their format, packed from this host's programs. */
export interface ClusterPrograms {
  /** URL → file */
  files: Map<string, string>
  /** REGISTRY/NAME:TAG → image */
  images: Map<string, RealImage>
}

export interface RealImage {
  layers: LayerFile[]
  config: object
}

/** Programs that `packClusterPrograms` needs; ./scripts/setup --with-nodes builds those that Debian does not package. */
export const clusterPrograms = [
  'etcd',
  'etcdctl',
  'etcdutl',
  'kubelet',
  'kubeadm',
  'kube-proxy',
  'crictl',
  'nerdctl',
  'coredns',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'containerd',
  'containerd-shim-runc-v2',
  'ctr',
  'runc',
  'busybox',
  '/usr/lib/cni/bridge',
] as const

const kubernetes = 'v1.28.6'

/**
 * A sandbox may lack CAP_SYS_RESOURCE: then a process can get neither a lower oom_score_adj than its parent nor higher limits, and
 * runc fails. This wrapper removes both settings. The real runc must be installed on the machine.
 */
const runcWrapper = `#!/bin/sh
before=
for word; do
  case $before in
  --bundle | -b) spec=$word/config.json ;;
  --process | -p) spec=$word ;;
  *) spec= ;;
  esac
  [ -z "$spec" ] || sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/g; s/"rlimits":\\[[^]]*]/"rlimits":[]/g' "$spec"
  before=$word
done
exec /usr/sbin/runc "$@"
`

export async function packClusterPrograms(options: {
  folder: string
  cache: string
  /** the manifest's URL that matches */
  url(pattern: RegExp): string
}): Promise<ClusterPrograms> {
  const { folder, cache, url } = options
  const tgz = async (name: string, members: Record<string, string>) => {
    const root = join(folder, name)
    for (const [to, program] of Object.entries(members)) {
      await mkdir(dirname(join(root, to)), { recursive: true })
      await copyFile(await programPath(program), join(root, to))
    }
    // as the publishers pack it: kubespray strips the first folder
    await run(['tar', '-czf', `${root}.tgz`, '-C', root, ...(await readdir(root))])
    return `${root}.tgz`
  }
  const named = (prefix: string, ...programs: string[]) =>
    Object.fromEntries(programs.map(program => [`${prefix}${program}`, program]))
  const files = new Map([
    [url(/\/kubelet$/), await programPath('kubelet')],
    [url(/etcd-v3/), await tgz('etcd', named('etcd-v3.5.10-linux-amd64/', 'etcd', 'etcdctl', 'etcdutl'))],
    [url(/crictl-/), await tgz('crictl', named('', 'crictl'))],
    [url(/nerdctl-/), await tgz('nerdctl', named('', 'nerdctl'))],
    [
      url(/containerd-1/),
      await tgz('containerd', named('bin/', 'containerd', 'containerd-shim-runc-v2', 'ctr')),
    ],
  ])
  const runc = join(folder, 'runc')
  await writeFile(runc, runcWrapper)
  files.set(url(/runc\.amd64$/), runc)
  const plugins = join(folder, 'cni.tgz')
  await run(['tar', '-czf', plugins, '-C', '/usr/lib/cni', '.'])
  files.set(url(/cni-plugins/), plugins)

  // with the programs that kube-proxy runs, and a libc for programs that are linked with one
  const debian = await debianRoot(cache, ['iptables', 'ipset', 'conntrack', 'kmod', 'procps'])
  const base = { path: debian, gzip: false, diffId: (await hashFile(debian)).digest }
  const image = async (program: string, config: object = {}): Promise<RealImage> => ({
    layers: [base, await layer(join(folder, `image-${program}`), { [`usr/local/bin/${program}`]: program })],
    config: { Env: ['PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], ...config },
  })
  const images = new Map<string, RealImage>()
  for (const program of ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy'])
    images.set(`registry.k8s.io/${program}:${kubernetes}`, await image(program))
  images.set(
    'registry.k8s.io/coredns/coredns:v1.10.1',
    await image('coredns', { Entrypoint: ['/usr/local/bin/coredns'] }),
  )
  images.set('registry.k8s.io/pause:3.9', {
    layers: [await layer(join(folder, 'image-pause'), { 'bin/busybox': 'busybox' })],
    config: { Entrypoint: ['/bin/busybox', 'sleep', 'infinity'] },
  })
  return { files, images }
}

async function layer(root: string, members: Record<string, string>): Promise<LayerFile> {
  for (const [to, program] of Object.entries(members)) {
    await mkdir(dirname(join(root, to)), { recursive: true })
    await copyFile(await programPath(program), join(root, to))
  }
  const path = `${root}.tar`
  await run(['tar', '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '-cf', path, '-C', root, '.'])
  return { path, gzip: false, diffId: (await hashFile(path)).digest }
}
