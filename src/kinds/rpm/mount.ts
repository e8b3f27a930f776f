import { z } from 'zod'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { type ClientFile, checkRepositoryName } from '../client-file.ts'
import {
  documentOf,
  type HttpMount,
  type ListedItem,
  type MountedTree,
  mountOfTree,
  plainText,
} from '../mount.ts'
import { mergeYumLists } from './united-lists.ts'
import { type YumServer, yumRepoFile, yumRepositories } from './yum-repository.ts'

const keyFolder = 'etc/pki/rpm-gpg'
const siteKeyPath = `${keyFolder}/RPM-GPG-KEY-airgap-site`

/** Package repositories under /rpms/NAME/ID; their repomd.xml is generated and signed on the site. */
export const rpmMount: HttpMount = {
  serves: tree => /^rpms\/[^/]+$/.test(tree),
  merge: mergeYumLists,
  async mount({ trees }, { key, now, httpServer, caFile }) {
    const mounts = []
    const repositories: YumClient[] = []
    for (const tree of trees) {
      const name = tree.name.slice('rpms/'.length)
      const mount = mountOfTree(tree, { now, mediaTypeOf })
      for (const { id, files, keys } of await yumRepositories(tree.entries, { key, now, name })) {
        for (const [path, bytes] of files)
          mount.generated.set(path, documentOf(bytes, mediaTypeOf(path), now))
        const settings = tree.entries.has(`${id}/repository.json`)
          ? settingsOf(await tree.text(`${id}/repository.json`))
          : {}
        const texts = await Promise.all(keys.map(async path => (await tree.text(path)).toString('utf8')))
        repositories.push({ name, id, keys: texts, ...settings })
      }
      mounts.push(mount)
    }
    return {
      mounts,
      clients: yumClients(repositories, { httpServer, caFile, publicKey: key.publicKeyArmored }),
      lists: trees.map(tree => ({ kind: 'rpm', name: tree.name, items: async () => packagesOf(tree) })),
    }
  },
}

function mediaTypeOf(path: string): string {
  return path.endsWith('.xml') ? 'application/xml' : plainText
}

/** By the names of their files, `NAME-VERSION-RELEASE.ARCHITECTURE.rpm`: the lists of the repositories are large. */
function packagesOf({ name: tree, entries }: MountedTree): ListedItem[] {
  return [...entries].flatMap(([path, { descriptor }]) => {
    if (!path.endsWith('.rpm')) return []
    const file = path.slice(path.lastIndexOf('/') + 1, -'.rpm'.length)
    const [, name, version, architecture] = /^(.+)-([^-]+-[^-]+)\.([^.]+)$/.exec(file) ?? []
    const { size, digest } = descriptor
    return [defined({ name: name ?? file, version, architecture, size, digest, path: `/${tree}/${path}` })]
  })
}

/** Settings of a repository for dnf, as the manifest has them. */
const settingsSchema = z.object({
  priority: z.number().int().optional(),
  moduleHotfixes: z.boolean().optional(),
  unsignedPackages: z.boolean().optional(),
})

function settingsOf(bytes: Buffer): Pick<YumClient, 'priority' | 'moduleHotfixes' | 'unsignedPackages'> {
  try {
    return defined(settingsSchema.parse(JSON.parse(bytes.toString('utf8'))))
  } catch (error) {
    throw new AirgapError('BUNDLE_CORRUPT', 'the settings of a package repository cannot be read', {
      item: 'repository.json',
      likely: 'the bundle was made by another tool or version',
      next: 'serve it with the version that made it',
      cause: error,
    })
  }
}

/** A repository as a machine uses it. */
export interface YumClient {
  /** of the tree: `el9` */
  name: string
  id: string
  /** its publisher's public keys, armored */
  keys: readonly string[]
  priority?: number
  moduleHotfixes?: boolean
  unsignedPackages?: boolean
}

/** Returns the client files of dnf. Throws BUNDLE_CORRUPT. */
export function yumClients(
  repositories: readonly YumClient[],
  { httpServer, caFile, publicKey }: { httpServer: string; caFile?: string | undefined; publicKey: string },
): ClientFile[] {
  if (repositories.length === 0) return []
  const files: ClientFile[] = [{ kind: 'site-key', usedBy: 'dnf', path: siteKeyPath, text: publicKey }]
  for (const [name, own] of Map.groupBy(repositories, repository => repository.name))
    files.push(...filesOf(name, own, { httpServer, caFile }))
  return files
}

function filesOf(name: string, repositories: readonly YumClient[], server: YumServer): ClientFile[] {
  checkRepositoryName(name, 'rpms')
  const keys: ClientFile[] = []
  const sections = repositories.map(repository => {
    checkRepositoryName(repository.id, `rpms/${name}`)
    const own = repository.keys.map(
      (text, i): ClientFile => ({
        kind: 'publisher-key',
        repository: name,
        path: `${keyFolder}/RPM-GPG-KEY-airgap-${name}-${repository.id}-${i + 1}`,
        text,
      }),
    )
    keys.push(...own)
    return { ...repository, keys: [siteKeyPath, ...own.map(({ path }) => path)].map(path => `/${path}`) }
  })
  const text = yumRepoFile(sections, server)
  return [...keys, { kind: 'yum-repo', repository: name, path: `etc/yum.repos.d/airgap-${name}.repo`, text }]
}
