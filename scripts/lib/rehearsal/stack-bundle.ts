import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadManifest } from '../../../src/manifest/load.ts'
import { cacheFolder, home } from '../places.ts'
import { programPath, run } from '../run.ts'
import { type ClusterPrograms, packClusterPrograms } from './cluster-downloads.ts'
import { startStackUpstream } from './stack-upstream.ts'

const manifest = join(home, 'manifests', 'astrago.yaml')
const variants = ['debian-12']
const kubesprayUrl = 'https://github.com/kubernetes-sigs/kubespray/archive/refs/tags/v2.24.1.tar.gz'

/** A bundle of the whole stack, for a rehearsal. */
export interface RehearsalBundle {
  path: string
  /** kubespray's checksum variables for the files that the bundle has in place of the publishers' */
  checksums: Record<string, string>
}

/**
 * Builds the bundle. The deployment host's programs, packages, wheels, charts and kubespray are real. Images and the machines'
 * binaries are placeholders, but with `cluster` everything that a cluster needs to start is real, too.
 */
export async function buildRehearsalBundle(options: {
  work: string
  resources: AsyncDisposableStack
  /** folder with the published charts; by default stand-ins */
  charts?: string | undefined
  /** an unpacked v2.24.1 */
  kubespray: string
  cluster?: boolean
}): Promise<RehearsalBundle> {
  const { work, resources, charts, kubespray } = options
  const packed = join(work, 'packed')
  await mkdir(join(packed, 'linux-amd64'), { recursive: true })
  await copyFile(await programPath('helm'), join(packed, 'linux-amd64', 'helm'))
  await copyFile(await programPath('helmfile'), join(packed, 'helmfile'))
  await run(['cp', '-R', kubespray, join(packed, 'kubespray-2.24.1')])
  const tgz = async (name: string, member: string) => {
    await run(['tar', '-czf', join(packed, name), '-C', packed, member])
    return join(packed, name)
  }
  // kubespray extracts one folder of this archive
  const crds = join(packed, 'calico-3.26.4/libcalico-go/config/crd')
  await mkdir(crds, { recursive: true })
  await writeFile(join(crds, 'placeholder.yaml'), '# in place of a definition of Calico\n')
  const { files } = await loadManifest(manifest, { variants })
  const url = (pattern: RegExp) => files.find(file => pattern.test(file.url))!.url
  const cluster: ClusterPrograms = options.cluster
    ? await packClusterPrograms({ folder: join(work, 'cluster-programs'), cache: cacheFolder, url })
    : { files: new Map(), images: new Map() }
  const real = new Map([
    [url(/get\.helm\.sh\/helm-v3\.16/), await tgz('helm.tgz', 'linux-amd64')],
    [url(/helmfile_/), await tgz('helmfile.tgz', 'helmfile')],
    [url(/\/kubectl$/), await programPath('kubectl')],
    [url(/\/kubeadm$/), await programPath('kubeadm')],
    [url(/calico\/archive/), await tgz('calico.tgz', 'calico-3.26.4')],
    [kubesprayUrl, await tgz('kubespray.tgz', 'kubespray-2.24.1')],
    ...cluster.files,
  ])
  const upstream = await startStackUpstream({
    manifest,
    variants,
    charts,
    real,
    realImages: cluster.images,
    realWheels: true,
    work,
    resources,
  })
  const stack = [
    ...variants.flatMap(name => ['--with', name]),
    '-f',
    manifest,
    '--lock',
    join(work, 'lock.json'),
    '--cache',
    join(cacheFolder, 'install-rehearsal'),
    '--test-upstream',
    upstream.layer,
  ]
  const airgap = (...args: string[]) =>
    run([process.execPath, join(home, 'src', 'cli', 'airgap.ts'), ...args])
  await airgap('lock', ...stack)
  await mkdir(join(work, 'usb'))
  const path = join(work, 'usb', 'astrago.tar')
  await airgap('build', ...stack, '--frozen', '--out', path)
  return { path, checksums: await checksumsOf(join(work, 'lock.json')) }
}

async function checksumsOf(lock: string): Promise<Record<string, string>> {
  const { items } = JSON.parse(await readFile(lock, 'utf8')) as {
    items: { file: { url: string; digest: string }[] }
  }
  const of = (pattern: RegExp) =>
    items.file.find(({ url }) => pattern.test(url))!.digest.slice('sha256:'.length)
  return {
    etcd_binary_checksum: of(/etcd-v3.5.10-linux-amd64/),
    cni_binary_checksum: of(/cni-plugins/),
    kubelet_binary_checksum: of(/\/kubelet$/),
    kubectl_binary_checksum: of(/\/kubectl$/),
    kubeadm_binary_checksum: of(/\/kubeadm$/),
    crictl_binary_checksum: of(/crictl-/),
    runc_binary_checksum: of(/runc\.amd64/),
    containerd_archive_checksum: of(/containerd-1.7.13/),
    nerdctl_archive_checksum: of(/nerdctl-/),
    calicoctl_binary_checksum: of(/calicoctl-/),
    calico_crds_archive_checksum: of(/calico\/archive/),
  }
}
