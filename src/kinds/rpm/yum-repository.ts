import type { TreeEntries } from '../../content/tree.ts'
import { compareText } from '../../core/canonical-json.ts'
import { hexOf } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { withoutTrailing } from '../../core/trim.ts'
import type { Signer } from '../mount.ts'

/** One repository of a `rpms/NAME` tree. */
export interface YumRepository {
  /** folder in the tree: `baseos` */
  id: string
  /** path in the tree → content: repomd.xml and its signature */
  files: Map<string, Buffer>
  /** paths in the tree of its publisher's public keys */
  keys: string[]
}

/** repomd.xml's names of what a bundle carries. */
const kinds = [
  ['primary', 'primary.xml'],
  ['filelists', 'filelists.xml'],
  ['group', 'comps.xml'],
  ['modules', 'modules.yaml'],
] as const

/**
 * Generates and signs repomd.xml for the lists that a bundle carries. Reads no file: the table of the tree has every size and
 * SHA-256. Throws BUNDLE_CORRUPT.
 */
export async function yumRepositories(
  entries: TreeEntries,
  options: { key: Signer; now: Date; name: string },
): Promise<YumRepository[]> {
  const ids = [...entries.keys()].flatMap(path => /^([^/]+)\/repodata\/primary\.xml$/.exec(path)?.[1] ?? [])
  return await Promise.all(
    ids.sort(compareText).map(async id => {
      const text = repomd(entries, { id, name: options.name, timestamp: options.now })
      const files = new Map([
        [`${id}/repodata/repomd.xml`, Buffer.from(text)],
        [`${id}/repodata/repomd.xml.asc`, Buffer.from(await options.key.detachSign(text))],
      ])
      const keys = [...entries.keys()].filter(path => path.startsWith(`${id}/keys/`)).sort(compareText)
      return { id, files, keys }
    }),
  )
}

/** Lists are not compressed: their checksum is also that of the open list. */
function repomd(entries: TreeEntries, options: { id: string; name: string; timestamp: Date }): string {
  const { id, name } = options
  const seconds = Math.floor(options.timestamp.getTime() / 1000)
  const data = kinds.flatMap(([type, file]) => {
    const entry = entries.get(`${id}/repodata/${file}`)
    if (entry === undefined) {
      if (type === 'group' || type === 'modules') return []
      throw new AirgapError('BUNDLE_CORRUPT', `a package repository has no ${file}`, {
        item: `rpms/${name}/${id}`,
        likely: 'the bundle was made by another tool or version',
        next: 'run `airgap verify` on the bundle, and serve it with the version that made it',
      })
    }
    const { digest, size } = entry.descriptor
    return [
      `  <data type="${type}">`,
      `    <checksum type="sha256">${hexOf(digest)}</checksum>`,
      `    <open-checksum type="sha256">${hexOf(digest)}</open-checksum>`,
      `    <location href="repodata/${file}"/>`,
      `    <timestamp>${seconds}</timestamp>`,
      `    <size>${size}</size>`,
      `    <open-size>${size}</open-size>`,
      '  </data>',
    ]
  })
  return `${[
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">',
    `  <revision>${seconds}</revision>`,
    ...data,
    '</repomd>',
  ].join('\n')}\n`
}

export interface YumSection {
  /** of the tree: `el9` */
  name: string
  id: string
  /** dnf's, 99 unless the publisher's entry said otherwise */
  priority?: number
  moduleHotfixes?: boolean
  /** its publisher signs no packages */
  unsignedPackages?: boolean
  /** paths of public keys on the machine; the site's own first */
  keys: string[]
}

/** The site's HTTP server, as dnf reaches it. */
export interface YumServer {
  httpServer: string
  /** path of the CA on the machine */
  caFile?: string | undefined
}

/** The client's file in /etc/yum.repos.d: dnf.conf(5), one section for each repository. */
export function yumRepoFile(sections: readonly YumSection[], { httpServer, caFile }: YumServer): string {
  return sections
    .map(({ name, id, priority, moduleHotfixes, unsignedPackages, keys }) =>
      [
        `[airgap-${name}-${id}]`,
        `name=${name} ${id}, from the bundle`,
        `baseurl=${withoutTrailing(httpServer, '/')}/rpms/${name}/${id}`,
        'enabled=1',
        // packages are signed with their publisher's key, their list with the site's; the list has the digests of packages without a signature
        `gpgcheck=${unsignedPackages ? 0 : 1}`,
        'repo_gpgcheck=1',
        `gpgkey=${keys.map(path => `file://${path}`).join('\n       ')}`,
        ...(priority === undefined || priority === 99 ? [] : [`priority=${priority}`]),
        ...(moduleHotfixes ? ['module_hotfixes=1'] : []),
        'skip_if_unavailable=0',
        // dnf.conf(5): in spite of a proxy in dnf.conf or in the environment
        'proxy=_none_',
        ...(caFile === undefined ? [] : [`sslcacert=${caFile}`]),
        // on a closed site only another bundle changes something
        'metadata_expire=60',
        '',
      ].join('\n'),
    )
    .join('\n')
}
