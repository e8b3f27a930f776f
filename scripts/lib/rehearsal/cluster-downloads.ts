import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { programPath, run } from '../run.ts'
import { debianRoot } from '../upstreams/debian-images.ts'
import { hashFile, type LayerFile } from '../upstreams/oci-layout.ts'

/** What kubespray downloads for a cluster's start, under the publishers' names and packed as they do, out of programs of this host. */
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

/** What `packClusterPrograms` needs; ./scripts/setup --with-nodes builds what Debian does not have. */
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
  '/usr/lib/cni/bridge',
] as const

const kubernetes = 'v1.28.6'

/**
 * CAP_SYS_RESOURCE may be withheld, as in sandboxes: then no process may be made less likely to be killed than its parent, nor be
 * given higher limits, and runc gives up. So it is not asked to. runc itself has to be on the machine.
 */
const runcWrapper = `#!/bin/sh
before=
for word; do
  case $before in
  --bundle | -b) asked=$word/config.json ;;
  --process | -p) asked=$word ;;
  *) asked= ;;
  esac
  [ -z "$asked" ] || sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/g; s/"rlimits":\\[[^]]*]/"rlimits":[]/g' "$asked"
  before=$word
done
exec /usr/sbin/runc "$@"
`

export async function packClusterPrograms(options: {
  folder: string
  cache: string
  /** the manifest's URL that fits */
  url(pattern: RegExp): string
}): Promise<ClusterPrograms> {
  const { folder, cache, url } = options
  const tgz = async (name: string, members: Record<string, string>) => {
    const root = join(folder, name)
    for (const [to, program] of Object.entries(members)) {
      await mkdir(dirname(join(root, to)), { recursive: true })
      await copyFile(await programPath(program), join(root, to))
    }
    // as the publishers do: kubespray takes the first folder off
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

  // with what kube-proxy runs, and with a libc for what was built with one
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
