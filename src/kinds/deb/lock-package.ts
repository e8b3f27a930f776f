import { AirgapError } from '../../core/errors.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import type { ResolveContext } from '../kind.ts'
import type { Candidate } from './candidate.ts'
import type { Selected } from './closure.ts'
import type { LockedDeb } from './locked.ts'
import { itemOf, type Universe } from './universe.ts'

/** Stanzas are read from the cache one by one; more than this is no stanza. */
const maxStanza = 1024 * 1024 /* bytes */

/** Two files that call themselves the same package and version (fault 39): no one can say which is meant. */
export function checkOneDigest(universe: Universe, selected: Selected[], at: string): void {
  for (const { candidate } of selected) {
    const other = universe
      .ownerOf(candidate)
      .versions.find(one => itemOf(one) === itemOf(candidate) && one.sha256 !== candidate.sha256)
    if (!other) continue
    throw new AirgapError('UPSTREAM_INVALID', `${itemOf(candidate)} is there twice, with different content`, {
      item: at,
      likely: `the components ${candidate.component} and ${other.component} disagree (${candidate.filename}, ${other.filename})`,
      next: 'leave one of the components out, or split them into two entries',
    })
  }
}

/** As the lockfile has them, with their stanzas. */
export async function lockPackages(
  selected: readonly Selected[],
  context: ResolveContext,
): Promise<LockedDeb[]> {
  const stanzas = await readStanzas(
    selected.map(({ candidate }) => candidate),
    context,
  )
  return selected.map(one => toLocked(one, stanzas.get(one.candidate)!))
}

function toLocked({ candidate, requested, because }: Selected, stanza: string[]): LockedDeb {
  const { name, version, architecture, source, component, size, sha256 } = candidate
  if (size < 0 || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new AirgapError('UPSTREAM_INVALID', 'the archive gives no size or no SHA256 for a package', {
      item: itemOf(candidate),
      likely: 'an archive made with very old tools',
      next: 'report it to whoever runs the archive, or leave the package out',
    })
  }
  return {
    name,
    version,
    architecture,
    source,
    ...(component === '' ? {} : { component }),
    filename: safeFilename(candidate),
    size,
    sha256,
    ...(requested ? { requested: true as const } : {}),
    ...(because === undefined ? {} : { because }),
    stanza,
  }
}

/** Fault 38: the path becomes one in the tree and a URL under the archive; it may leave neither. */
function safeFilename(candidate: Candidate): string {
  try {
    // flat repositories write `./name.deb`
    return safeRelativePath(candidate.filename.replace(/^(?:\.\/)+/, ''), 'UPSTREAM_INVALID')
  } catch (error) {
    throw new AirgapError('UPSTREAM_INVALID', 'the archive gives an unsafe path for a package', {
      item: `${itemOf(candidate)}: ${JSON.stringify(candidate.filename.slice(0, 300))}`,
      likely: 'a hostile or broken archive: the path would leave its folder',
      next: 'do not use this archive',
      cause: error,
    })
  }
}

/** From the index, where each stands: one opening for all of an index. */
async function readStanzas(
  candidates: readonly Candidate[],
  { cache }: ResolveContext,
): Promise<Map<Candidate, string[]>> {
  const stanzas = new Map<Candidate, string[]>()
  for (const own of Map.groupBy(candidates, ({ stanza }) => stanza.index.digest).values()) {
    const ranges = own.map(({ stanza: { offset, length } }) => ({
      start: offset,
      end: offset + Math.min(length, maxStanza),
    }))
    const parts = await cache.parts(own[0]!.stanza.index, ranges)
    own.forEach((candidate, i) => {
      stanzas.set(candidate, linesOf(parts[i]!, candidate))
    })
  }
  return stanzas
}

function linesOf(bytes: Buffer, candidate: Candidate): string[] {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).split('\n')
  } catch (error) {
    throw new AirgapError('UPSTREAM_INVALID', 'the stanza of a package is not UTF-8', {
      item: itemOf(candidate),
      likely: 'the archive breaks Debian policy 5.1',
      next: 'report it to whoever runs the archive, or leave the package out',
      cause: error,
    })
  }
}
