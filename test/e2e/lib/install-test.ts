import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type ControlPlane, openControlPlane } from '../../../scripts/lib/machines/control-plane.ts'
import {
  type Deployed,
  type DeployOptions,
  type InstallSite,
  openInstallSite,
} from '../../../scripts/lib/machines/install-site.ts'
import { debianSshRoot } from '../../../scripts/lib/machines/ssh-node.ts'
import { cacheFolder } from '../../../scripts/lib/places.ts'
import { buildInstallBundle } from './install-stack.ts'

const machines = ['master-1', 'gpu-1', 'gpu-2']

/** The sudo password of every machine, which no output and no file may contain afterwards. */
export const sudo = "s3cret; $(touch /tmp/x) `id` '"

/** A site of three machines with a bundle of the deployment tree, ready for `apply`. */
export interface InstallTest {
  work: string
  site: InstallSite
  /** undefined where the programs of a control plane are missing */
  cluster: ControlPlane | undefined
  /** path of the bundle on the deployment host */
  medium: string
  /** content of site.yaml */
  siteFile(): SiteFile
  apply(args?: string[], options?: DeployOptions): Promise<Deployed>
  upgrade(bundle: string, ...args: string[]): Promise<Deployed>
  /** entries of the journal */
  journal(): Promise<{ step: string; event: string }[]>
  /** `helm list` on the cluster */
  releases(): Promise<HelmRelease[]>
}

export interface HelmRelease {
  name: string
  revision: string
  chart: string
  status: string
}

type SiteFile = ReturnType<typeof siteFileOf>

/** With `applications`, Kubernetes is a control plane with simulated kubelets, and the bundle has two applications. */
export async function openInstallTest(options: {
  applications: boolean
  resources: AsyncDisposableStack
}): Promise<InstallTest> {
  const { applications, resources } = options
  const work = await mkdtemp(join(tmpdir(), 'airgap-install-'))
  resources.defer(() => rm(work, { recursive: true, force: true }))
  const bundle = await buildInstallBundle({ work, resources, applications })
  const medium = onMedium(bundle)
  const rootTar = await debianSshRoot(cacheFolder)
  const site = await openInstallSite({ bundle, work, rootTar, machines, resources, sudoPassword: sudo })
  const cluster = applications ? resources.use(await openCluster(site, join(work, 'cluster'))) : undefined
  const kubeconfig = join(site.control.root, 'opt/site/cluster.conf')
  if (cluster === undefined) await writeFile(kubeconfig, '')
  else await copyFile(cluster.kubeconfig, kubeconfig)
  const siteFile = () => siteFileOf(site)
  await site.writeSiteFile(siteFile())
  const env = { OFFLINE_DEPLOY_SUDO_PASSWORD: sudo }
  return {
    work,
    site,
    cluster,
    medium,
    siteFile,
    apply(args = [], more = {}) {
      const { address } = site.network.site
      const command = [
        'apply',
        '--yes',
        '--bundle',
        medium,
        '--site',
        '/opt/site',
        '--address',
        address,
        '--plain-http',
      ]
      return site.deploy([...command, ...args], { ...more, env: { ...env, ...more.env } })
    },
    upgrade(next, ...args) {
      const command = ['upgrade', '--yes', '--bundle', onMedium(next), '--site', '/opt/site']
      return site.deploy([...command, ...args], { env })
    },
    async journal() {
      const text = await readFile(join(site.control.root, 'opt/site/journal.jsonl'), 'utf8')
      const lines = text.trim().split('\n').slice(1)
      return lines.map(line => JSON.parse(line) as { step: string; event: string })
    },
    async releases() {
      const helm = ['/opt/site/tools/bin/helm', '--kubeconfig', '/opt/site/cluster.conf']
      return JSON.parse(await site.control.chroot([...helm, 'list', '-A', '-o', 'json'])) as HelmRelease[]
    },
  }
}

/** Path on the deployment host of a bundle in the work folder. */
export function onMedium(bundle: string): string {
  return `/media/usb/${basename(bundle)}`
}

/** Ids of the steps that a run has carried out. */
export function doneSteps(ran: Deployed): string[] {
  return [...ran.stdout.matchAll(/^(\S+) +done in/gm)].map(([, id]) => id!)
}

function openCluster(site: InstallSite, folder: string): Promise<ControlPlane> {
  const first = site.network.nodes[0]!
  return openControlPlane({
    folder,
    nodes: machines.map(name => (name === 'master-1' ? { name } : { name, gpus: 8 })),
    address: first.address,
    inside: command => first.inside(command),
  })
}

function siteFileOf(site: InstallSite) {
  const node = (name: string, ...roles: string[]) => ({
    name,
    roles,
    address: site.nodes[machines.indexOf(name)]!.address,
  })
  return {
    apiVersion: 'airgap-site/v1',
    externalIP: site.nodes[0]!.address,
    nfs: { server: 'master-1', path: '/srv/astrago' },
    ssh: { user: 'astrago', privateKey: '/root/.ssh/id_ed25519', sudo: 'password' },
    kubeconfig: '/opt/site/cluster.conf',
    switches: { kubernetes: false },
    nodes: [
      node('master-1', 'control-plane', 'worker', 'nfs'),
      node('gpu-1', 'worker', 'gpu'),
      node('gpu-2', 'worker', 'gpu'),
    ],
  }
}
