import type { Artifact, Source } from '../../content/artifact.ts'
import { inlineFile, type TreeFile, treeArtifacts } from '../../content/tree.ts'
import { canonicalJson, compareText } from '../../core/canonical-json.ts'
import { defined } from '../../core/defined.ts'
import { digestFromHex } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import { joinedLines, type TextLines } from '../../lock/text-lines.ts'
import { lockedPlace, urlsOf } from './location.ts'
import type { LockedRepository, LockedRpm, LockedRpms } from './locked.ts'
import { compareEvr } from './rpm-version.ts'

/**
 * One tree `rpms/NAME` for each OS release, with a folder for each repository. Upstream's descriptions of the packages stay verbatim;
 * repomd.xml is generated on the site and signed with the site's key.
 */
export function assembleRpms(items: LockedRpms[]): Artifact[] {
  return items.flatMap(item => {
    checkRepositories(item)
    return treeArtifacts({
      name: `rpms/${item.name}`,
      kind: 'rpm',
      files: item.repositories.flatMap(repository => {
        const packages = item.packages.filter(one => one.repository === repository.id).sort(comparePackages)
        return [...packageFiles(repository, packages), ...metadataFiles(repository, packages)]
      }),
    })
  })
}

export function comparePackages(a: LockedRpm, b: LockedRpm): number {
  return (
    compareText(a.name, b.name) ||
    compareEvr(a, b) ||
    compareText(`${a.epoch}:${a.version}-${a.release}`, `${b.epoch}:${b.version}-${b.release}`) ||
    compareText(a.architecture, b.architecture) ||
    compareText(a.repository, b.repository)
  )
}

function checkRepositories(item: LockedRpms): void {
  const ids = new Set(item.repositories.map(one => one.id))
  const lost = item.packages.find(one => !ids.has(one.repository))
  if (!lost) return
  throw new AirgapError('LOCK_INVALID', 'a package refers to a repository that is not in the lock', {
    item: `${item.name}: ${lost.name} ${lost.version}`,
    likely: 'the lock was edited by hand',
    next: 'create the lock again with `airgap lock`',
  })
}

function packageFiles(repository: LockedRepository, packages: readonly LockedRpm[]): TreeFile[] {
  const files = new Map<string, TreeFile>()
  for (const one of packages) {
    const path = safeRelativePath(`${repository.id}/${one.location}`, 'LOCK_INVALID')
    const digest = digestFromHex(one.sha256)
    const other = files.get(path)
    if (other !== undefined && other.descriptor.digest !== digest) throw twice(path)
    files.set(path, {
      path,
      mode: '100644',
      descriptor: { mediaType: mediaTypes.octets, digest, size: one.size },
      origin: { sources: sourcesOf(one, repository) },
    })
  }
  return [...files.values()]
}

function sourcesOf(
  one: LockedRpm,
  { id, baseurl, mirrorlist, metalink, variables = {} }: LockedRepository,
): Source[] {
  const place = lockedPlace(one)
  if (baseurl !== undefined || 'url' in place)
    return urlsOf(baseurl === undefined ? [] : [baseurl], place).map(url => ({ type: 'url', url }))
  const list = mirrorlist ?? metalink
  if (list !== undefined) return [{ type: 'mirrors', list, variables, path: place.below }]
  throw new AirgapError('LOCK_INVALID', 'a repository in the lock has no address', {
    item: id,
    likely: 'the lock was edited by hand',
    next: 'create the lock again with `airgap lock`',
  })
}

function twice(path: string): AirgapError {
  return new AirgapError('LOCK_INVALID', 'two packages of a repository have the same path', {
    item: path,
    likely: 'the repository lists two different packages at one address, or the lock was edited by hand',
    next: 'exclude one of them (excludepkgs:), or ask the maintainers of the repository to recreate its metadata with createrepo_c',
  })
}

const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
const common = 'http://linux.duke.edu/metadata/common'
const rpm = 'http://linux.duke.edu/metadata/rpm'
const filelists = 'http://linux.duke.edu/metadata/filelists'

function metadataFiles(repository: LockedRepository, packages: readonly LockedRpm[]): TreeFile[] {
  const folder = `${repository.id}/repodata`
  const text = (name: string, content: string) => inlineFile(`${folder}/${name}`, Buffer.from(content))
  const count = `packages="${packages.length}"`
  const primary = packages.map(one => `${joinedLines(one.primary)}\n`).join('')
  const lists = packages.map(one => `${joinedLines(one.filelists)}\n`).join('')
  return [
    text(
      'primary.xml',
      `${declaration}<metadata xmlns="${common}" xmlns:rpm="${rpm}" ${count}>\n${primary}</metadata>\n`,
    ),
    text('filelists.xml', `${declaration}<filelists xmlns="${filelists}" ${count}>\n${lists}</filelists>\n`),
    ...(repository.modules.length === 0
      ? []
      : [text('modules.yaml', repository.modules.map(endLine).join(''))]),
    ...(repository.groups.length === 0
      ? []
      : [text('comps.xml', `${declaration}<comps>\n${repository.groups.map(endLine).join('')}</comps>\n`)]),
    inlineFile(
      `${repository.id}/repository.json`,
      Buffer.from(
        canonicalJson(
          defined({
            priority: repository.priority,
            moduleHotfixes: repository.moduleHotfixes ?? false,
            unsignedPackages: repository.unsignedPackages,
          }),
        ),
      ),
    ),
    ...repository.keys.map((key, i) =>
      inlineFile(`${repository.id}/keys/${i + 1}.asc`, Buffer.from(endLine(key))),
    ),
  ]
}

function endLine(lines: TextLines): string {
  const text = joinedLines(lines)
  return text.endsWith('\n') ? text : `${text}\n`
}
