import type { Descriptor } from '../../core/descriptor.ts'
import { AirgapError } from '../../core/errors.ts'
import type { MountedTree } from '../mount.ts'
import { isRefName } from './ref.ts'

/** A repository as the site serves it: at one commit. */
export interface ServedRepository {
  commit: string
  /** the branch that HEAD is */
  branch: string
  /** branches and tags */
  refs: { name: string; id: string; peeled?: string }[]
  /** the objects of the commit, then those of its ancestors */
  packs: Descriptor[]
  /** the ancestors of the commit are not carried */
  cut: boolean
}

/** Returns the names of the repositories in the tree `git`. */
export function repositoryNames(tree: MountedTree): string[] {
  return [...tree.entries.keys()].flatMap(path => /^(.+)\/objects\/info\/packs$/.exec(path)?.[1] ?? [])
}

/** Reads one repository of the tree `git`. Throws BUNDLE_CORRUPT. */
export async function servedRepository(tree: MountedTree, name: string): Promise<ServedRepository> {
  const text = async (path: string) =>
    tree.entries.has(`${name}/${path}`) ? (await tree.text(`${name}/${path}`)).toString('latin1') : ''
  const refs = parseRefs(await text('info/refs'))
  const branch = /^ref: (refs\/heads\/\S+)\n$/.exec(await text('HEAD'))?.[1]
  const commit = refs.find(({ name }) => name === branch)?.id
  const packs = [...(await text('objects/info/packs')).matchAll(/^P (pack-[0-9a-f]{40}\.pack)$/gm)].flatMap(
    ([, file]) => [tree.entries.get(`${name}/objects/pack/${file}`)?.descriptor],
  )
  if (
    branch === undefined ||
    commit === undefined ||
    packs.length === 0 ||
    packs.length > 2 ||
    !packs.every(pack => pack !== undefined) ||
    !refs.every(({ name }) => isRefName(name))
  )
    throw new AirgapError('BUNDLE_CORRUPT', 'a git repository in the bundle cannot be read', {
      item: `/git/${name}`,
      likely: 'the bundle was made by another tool or version',
      next: 'serve it with the version that made it',
    })
  // of two bundles, the file may be the older one's
  const cut = packs.length === 1 && (await text('shallow')).split('\n').includes(commit)
  return { commit, branch, refs, packs, cut }
}

/** `info/refs`: a tag is followed by the commit that it leads to. */
function parseRefs(text: string): ServedRepository['refs'] {
  const refs: ServedRepository['refs'] = []
  for (const [, id, name, peeled] of text.matchAll(/^([0-9a-f]{40})\t(\S+?)(\^\{\})?$/gm)) {
    const last = refs.at(-1)
    if (peeled === undefined) refs.push({ name: name!, id: id! })
    else if (last !== undefined && last.name === name) last.peeled = id!
  }
  return refs
}
