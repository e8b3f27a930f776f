import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parse } from 'yaml'
import { run } from '../../../scripts/lib/run.ts'
import { packPublishedCharts } from '../../../scripts/lib/upstreams/published-charts.ts'
import { serveFolder } from '../../../scripts/lib/upstreams/serve-folder.ts'
import { airgap } from './airgap.ts'

const home = resolve(import.meta.dirname, '..', '..', '..')

/** Host of the test's upstream. */
const publisher = 'https://files.example'

/**
 * Builds a bundle of our deployment tree that is smaller than Astrago's: Debian 12 for three machines, ansible-core, the real helm,
 * helmfile and kubectl where this machine has them, and all applications, with stand-ins for the published charts.
 */
export async function buildInstallBundle(options: {
  work: string
  resources: AsyncDisposableStack
  /** false leaves out the applications, where helm or helmfile is missing */
  applications: boolean
  version?: string
  /** edits the tree before it is packed */
  edit?: (tree: string) => Promise<void>
  /** versions of components that the bundle claims to have, for the rules of compatibility */
  versions?: Record<string, string>
}): Promise<string> {
  const { work, resources, applications, version = '1.0.0', edit, versions } = options
  const folder = join(work, `stack-${version}`)
  const tree = join(folder, 'tree')
  await cp(join(home, 'bundle', 'astrago'), tree, { recursive: true })
  await writeFile(join(tree, 'ansible', 'requirements.txt'), 'ansible-core==2.15.13\n')
  await writeFile(join(tree, 'install.yaml'), await installFile(applications))
  await edit?.(tree)
  const served = join(folder, 'served')
  await mkdir(served, { recursive: true })
  const files = applications ? await packTools(served) : []
  const charts = applications ? await packCharts(join(served, 'charts')) : []
  const server = await serveFolder(served)
  resources.defer(() => server.close())
  const manifest = join(folder, 'stack.yaml')
  await writeFile(
    manifest,
    JSON.stringify({
      apiVersion: 'airgap/v1',
      name: 'platform',
      version,
      debs: [
        {
          name: 'debian-12',
          suite: 'bookworm',
          archive: 'http://deb.debian.org/debian',
          keys: [join(home, 'manifests/keys/debian-archive.asc')],
          packages: ['nfs-common', 'nfs-kernel-server'],
        },
      ],
      wheels: [{ name: 'ansible', pythons: ['3.11'], packages: ['ansible-core==2.15.13', 'pip==24.3.1'] }],
      charts,
      files: files.map(name => ({ url: `${publisher}/${name}` })),
      trees: [{ name: 'platform', from: tree }],
      ...(versions === undefined
        ? {}
        : { compatibility: join(home, 'manifests/compatibility.yaml'), versions }),
    }),
  )
  const common = ['-f', manifest, '--cache', join(work, 'cache'), '--remap', `${publisher}=${server.url}`]
  const bundle = join(work, 'usb', `platform-${version}.tar`)
  await mkdir(join(work, 'usb'), { recursive: true })
  for (const args of [
    ['lock', ...common],
    ['build', ...common, '--frozen', '--out', bundle],
  ]) {
    const ran = await airgap(args)
    if (ran.code !== 0) throw new Error(`airgap ${args[0]}: ${ran.stderr}`)
  }
  return bundle
}

/** The tree's own install.yaml, without Kubernetes and backups, which need containers that really run. */
async function installFile(applications: boolean): Promise<string> {
  const text = await readFile(join(home, 'bundle', 'astrago', 'install.yaml'), 'utf8')
  const { kubespray: _, backups: __, ...file } = parse(text) as Record<string, unknown>
  const tools = {
    helm: { file: 'files.example/helm.tar.gz', member: 'linux-amd64/helm' },
    helmfile: { file: 'files.example/helmfile.tar.gz', member: 'helmfile' },
    kubectl: { file: 'files.example/kubectl' },
  }
  return JSON.stringify({
    ...file,
    ...(applications ? { tools } : { tools: undefined, applications: undefined }),
  })
}

/** A chart repository with the published charts that the tree uses; returns their entries in a manifest. */
async function packCharts(folder: string): Promise<{ name: string; version: string; repo: string }[]> {
  await packPublishedCharts(folder)
  await run(['helm', 'repo', 'index', folder])
  const { entries } = parse(await readFile(join(folder, 'index.yaml'), 'utf8')) as {
    entries: Record<string, [{ version: string }]>
  }
  return Object.entries(entries).map(([name, [{ version }]]) => ({
    name,
    version,
    repo: `${publisher}/charts`,
  }))
}

/** Packs the host's programs as their publishers do. */
async function packTools(folder: string): Promise<string[]> {
  const place = async (name: string) => (await run(['sh', '-c', 'command -v "$1"', 'sh', name])).trim()
  await mkdir(join(folder, 'linux-amd64'))
  for (const [name, to] of [
    ['helm', 'linux-amd64/helm'],
    ['helmfile', 'helmfile'],
    ['kubectl', 'kubectl'],
  ] as const)
    await writeFile(join(folder, to), await readFile(await place(name)), { mode: 0o755 })
  await run(['tar', '-czf', join(folder, 'helm.tar.gz'), '-C', folder, 'linux-amd64'])
  await run(['tar', '-czf', join(folder, 'helmfile.tar.gz'), '-C', folder, 'helmfile'])
  return ['helm.tar.gz', 'helmfile.tar.gz', 'kubectl']
}
