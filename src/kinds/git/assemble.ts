import type { Artifact } from '../../content/artifact.ts'
import { inlineFile, type TreeFile, treeArtifacts } from '../../content/tree.ts'
import { compareText } from '../../core/canonical-json.ts'
import { AirgapError } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import type { LockedGit, LockedRepository } from './locked.ts'
import { recipeOf } from './recipe.ts'
import { placeOf, shownUrl } from './url.ts'

/**
 * One tree `git` for all repositories, submodules included: each has a folder by its name, with the files of a bare repository
 * (gitrepository-layout(5)) as git's dumb HTTP protocol reads them. Unpacked, it is a repository that git can use.
 */
export function assembleGit(items: LockedGit[]): Artifact[] {
  const repositories = distinctRepositories(items)
  if (repositories.length === 0) return []
  return treeArtifacts({ name: 'git', kind: 'git', files: repositories.flatMap(filesOf) })
}

/** Two repositories may have the same submodule; at one path of the site there is one commit. */
function distinctRepositories(items: readonly LockedGit[]): LockedRepository[] {
  const found = new Map<string, LockedRepository>()
  for (const repository of items.flatMap(repositoriesOf)) {
    const other = found.get(repository.name)
    if (other !== undefined && (other.commit !== repository.commit || other.tag !== repository.tag))
      throw collision(other, repository)
    // of two histories the longer one
    if (other === undefined || repository.packs.length > other.packs.length)
      found.set(repository.name, repository)
  }
  const names = [...found.keys()].sort(compareText)
  for (const [i, name] of names.entries()) {
    const inside = names.slice(i + 1).find(other => other.startsWith(`${name}/`))
    if (inside !== undefined) throw collision(found.get(name)!, found.get(inside)!)
  }
  return names.map(name => found.get(name)!)
}

function collision(one: LockedRepository, other: LockedRepository): AirgapError {
  const describe = ({ name, url, commit }: LockedRepository) => `/git/${name} (${shownUrl(url)} ${commit})`
  return new AirgapError('NAME_COLLISION', 'two repositories would be in one folder of the site', {
    item: `${describe(one)} and ${describe(other)}`,
    likely: 'the relative address of a submodule leads to the name of another repository',
    next: 'rename the entry in the manifest, or give the repositories that contain the submodule names with folders',
  })
}

export function repositoriesOf({ submodules = [], lfsPointers, ...main }: LockedGit): LockedRepository[] {
  return [main, ...submodules.map(({ path, ...submodule }) => submodule)]
}

/** Where a tag or a commit was requested: a client checks out a branch, and go-git finds no HEAD without one. */
const branchOfBundle = 'refs/heads/bundle'

function filesOf(repository: LockedRepository): TreeFile[] {
  const { name, ref, commit, tag, cut, packs } = repository
  const branch = ref?.startsWith('refs/heads/') ? ref : branchOfBundle
  const refs = [{ name: branch, id: commit, peeled: undefined as string | undefined }]
  if (ref !== undefined && ref !== branch)
    refs.push({ name: ref, id: tag ?? commit, peeled: tag === undefined ? undefined : commit })
  const text = (path: string, content: string) => inlineFile(`${name}/${path}`, Buffer.from(content))
  return [
    text('HEAD', `ref: ${branch}\n`),
    text('config', '[core]\n\trepositoryformatversion = 0\n\tbare = true\n'),
    ...refs.map(one => text(one.name, `${one.id}\n`)),
    text('info/refs', refs.map(infoLines).join('')),
    text('objects/info/packs', `${packs.map(pack => `P pack-${pack.id}.pack\n`).join('')}\n`),
    ...(cut ? [text('shallow', `${commit}\n`)] : []),
    ...packs.flatMap(pack => [
      file(`objects/pack/pack-${pack.id}.idx`, pack.index, repository),
      file(`objects/pack/pack-${pack.id}.pack`, pack, repository),
    ]),
  ]
}

/** gitrepository-layout(5), "info/refs": an annotated tag has a second line with the commit. */
function infoLines({ name, id, peeled }: { name: string; id: string; peeled: string | undefined }): string {
  return `${id}\t${name}\n${peeled === undefined ? '' : `${peeled}\t${name}^{}\n`}`
}

function file(
  path: string,
  { digest, size }: Pick<LockedRepository['packs'][number], 'digest' | 'size'>,
  repository: LockedRepository,
): TreeFile {
  return {
    path: `${repository.name}/${path}`,
    mode: '100644',
    descriptor: { mediaType: mediaTypes.octets, digest, size },
    origin: {
      sources: [
        { type: 'created', kind: 'git', name: placeOf(repository.url), recipe: recipeOf(repository) },
      ],
    },
  }
}
