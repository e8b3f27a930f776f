import { defined } from '../../core/defined.ts'
import { withoutTrailing } from '../../core/trim.ts'
import { type ClientFile, checkRepositoryName, unfitName } from '../client-file.ts'
import {
  documentOf,
  type HttpMount,
  type ListedItem,
  type MountedTree,
  mountOfTree,
  plainText,
} from '../mount.ts'
import { type ListEntry, uniteLists } from '../united-lists.ts'
import { type AptSuite, aptRepository, aptSources, packageLists } from './apt-repository.ts'

/** sources.list(5) has no option for a proxy or a CA; the role `offline_repositories` writes the same file. */
const confPath = 'etc/apt/apt.conf.d/95airgap-site'

/** Where apt looks for the site's key. */
const keyPath = 'etc/apt/keyrings/airgap-site.asc'

/** Package repositories under /debs/NAME; their Release files are generated and signed on the site. */
export const debMount: HttpMount = {
  serves: tree => /^debs\/[^/]+$/.test(tree),
  merge(path, texts) {
    if (path.endsWith('/Packages')) return Buffer.from(uniteLists(path, texts.map(stanzas)).join('\n'))
    // the fields of upstream's Release file: those of the newer bundle
    return path.endsWith('/Release.upstream') ? texts.at(-1) : undefined
  },
  async mount({ trees }, { key, now, httpServer, caFile }) {
    const mounts = []
    const repositories: AptClient[] = []
    for (const tree of trees) {
      const { suites, files } = await aptRepository(tree.entries, {
        key,
        now,
        textOf: async path => (await tree.text(path)).toString('utf8'),
      })
      const mount = mountOfTree(tree, { now })
      for (const [path, bytes] of files) mount.generated.set(path, documentOf(bytes, plainText, now))
      mounts.push(mount)
      repositories.push({ name: tree.name.slice('debs/'.length), suites })
    }
    return {
      mounts,
      clients: aptClients(repositories, { httpServer, caFile, publicKey: key.publicKeyArmored }),
      lists: trees.map(tree => ({ kind: 'deb', name: tree.name, items: () => packagesOf(tree) })),
    }
  },
}

/** A repository as a machine uses it. */
export interface AptClient {
  /** of the tree: `debian-12` */
  name: string
  suites: readonly AptSuite[]
}

/** Returns the client files of apt. Throws BUNDLE_CORRUPT. */
export function aptClients(
  repositories: readonly AptClient[],
  { httpServer, caFile, publicKey }: { httpServer: string; caFile?: string | undefined; publicKey: string },
): ClientFile[] {
  const used = repositories.filter(repository => repository.suites.length > 0)
  if (used.length === 0) return []
  const files: ClientFile[] = [
    { kind: 'site-key', usedBy: 'apt', path: keyPath, text: publicKey },
    { kind: 'apt-conf', path: confPath, text: aptConf(httpServer, caFile) },
  ]
  for (const { name, suites } of used) {
    checkRepositoryName(name, 'debs')
    for (const { root } of suites) checkFolder(root, `debs/${name}`)
    files.push({
      kind: 'apt-sources',
      repository: name,
      path: `etc/apt/sources.list.d/airgap-${name}.sources`,
      text: aptSources({ name, baseUrl: httpServer, suites, signedBy: `/${keyPath}` }),
    })
  }
  return files
}

/**
 * apt.conf(5), `Acquire::http::Proxy::HOST`: wins over the machine's proxy and over http_proxy. apt-transport-https(1),
 * `Acquire::https::HOST::CAInfo`: this host only, other sources keep the system's CAs.
 */
function aptConf(httpServer: string, caFile: string | undefined): string {
  const { hostname, protocol } = new URL(httpServer)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const lines = [
    '// the servers of the site are reached without a proxy',
    `Acquire::${protocol.slice(0, -1)}::Proxy::${host} "DIRECT";`,
  ]
  if (caFile !== undefined) lines.push(`Acquire::https::${host}::CAInfo "${caFile}";`)
  return `${lines.join('\n')}\n`
}

/** The folder of an archive, which is written percent-encoded; a lone surrogate has no encoding. */
function checkFolder(folder: string, parent: string): void {
  if (!folder.isWellFormed()) throw unfitName(`${parent}/${folder}`)
}

/** Debian's control format: stanzas separated by empty lines. */
function stanzas(list: Buffer): ListEntry[] {
  return list
    .toString('utf8')
    .split(/\n{2,}/)
    .filter(stanza => stanza.trim() !== '')
    .map(stanza => {
      const field = fieldsOf(stanza)
      return {
        key: ['Package', 'Version', 'Architecture'].map(field).join('\u0000'),
        content: field('SHA256'),
        text: `${withoutTrailing(stanza, '\n')}\n`,
      }
    })
}

function fieldsOf(stanza: string): (name: string) => string {
  return name => new RegExp(`^${name}: *(.*)$`, 'im').exec(stanza)?.[1]?.trim() ?? ''
}

/** A package that several suites or architectures list is one. */
async function packagesOf(tree: MountedTree): Promise<ListedItem[]> {
  const found = new Map<string, ListedItem>()
  for (const { path, root } of packageLists(tree.entries)) {
    for (const { text } of stanzas(await tree.text(path))) {
      const field = fieldsOf(text)
      const file = `${root}${field('Filename').replace(/^\.\//, '')}`
      const entry = tree.entries.get(file)
      found.set(
        file,
        defined({
          name: field('Package'),
          version: field('Version'),
          architecture: field('Architecture'),
          about: field('Description') || undefined,
          size: entry?.descriptor.size,
          digest: entry?.descriptor.digest,
          path: entry && `/${tree.name}/${file}`,
        }),
      )
    }
  }
  return [...found.values()]
}
