import { isUtf8 } from 'node:buffer'
import { defined } from '../../core/defined.ts'
import { AirgapError, type ErrorDetails } from '../../core/errors.ts'
import { normalizeRelativePath } from '../../core/safe-path.ts'
import type { ResolveContext } from '../kind.ts'
import type { Candidate } from './candidate.ts'
import type { Selected } from './closure.ts'
import type { LockedDeb } from './locked.ts'
import { itemOf, type Universe } from './universe.ts'

/** Far above any real stanza. */
const maxStanza = 1024 * 1024 /* bytes */

/** Refuses two different files of one package and version (fault 39): it is undecidable which is meant. */
export function checkOneDigest(universe: Universe, selected: Selected[], at: string): void {
  for (const { candidate } of selected) {
    const other = universe
      .ownerOf(candidate)
      .versions.find(one => itemOf(one) === itemOf(candidate) && one.sha256 !== candidate.sha256)
    if (!other) continue
    throw new AirgapError('UPSTREAM_INVALID', `${itemOf(candidate)} exists twice, with different content`, {
      item: at,
      likely: `the components ${candidate.component} and ${other.component} disagree (${candidate.filename}, ${other.filename})`,
      next: 'leave one of the components out, or split them into two entries',
    })
  }
}

/** The packages as the lockfile records them, with their stanzas. */
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
    throw new AirgapError(
      'UPSTREAM_INVALID',
      'the index of the archive lists no size or no SHA256 for a package',
      {
        item: itemOf(candidate),
        likely: 'an archive made with very old tools',
        next: 'report it to the maintainers of the archive, or leave the package out',
      },
    )
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
    ...defined({ because }),
    stanza,
  }
}

/** Names in the folder of an index that the site itself writes. */
const indexName = /^(?:Packages|(?:In)?Release|Release\.(?:gpg|upstream))$/

/**
 * Checks that the path stays below the archive and below the site's tree (fault 38), and that apt can request it. Throws
 * UPSTREAM_INVALID. apt sends `?` and `#` unescaped, so no server can tell such a name from a query.
 */
function safeFilename(candidate: Candidate): string {
  // candidates hold their fields as latin1 (control.ts)
  const bytes = Buffer.from(candidate.filename, 'latin1')
  const written = bytes.toString('utf8')
  const refuse = (what: string, details: ErrorDetails) =>
    new AirgapError('UPSTREAM_INVALID', what, {
      item: `${itemOf(candidate)}: ${JSON.stringify(written.slice(0, 300))}`,
      ...details,
    })
  if (!isUtf8(bytes)) {
    throw refuse('the archive has a path that is not UTF-8 for a package', {
      likely: 'an archive made with an old character encoding',
      next: 'report it to the maintainer of the archive, or leave the package out',
    })
  }
  let path: string
  try {
    path = normalizeRelativePath(written, 'UPSTREAM_INVALID')
  } catch (error) {
    throw refuse('the archive has an unsafe path for a package', {
      likely: 'a malicious or broken archive: the path would leave its folder',
      next: 'do not use this archive',
      cause: error,
    })
  }
  if (/[?#]/.test(path) || indexName.test(path.split('/').at(-1)!)) {
    throw refuse('the archive has a path that apt cannot request for a package', {
      likely: 'a broken archive: the path holds `?` or `#`, or is the name of an index',
      next: 'report it to the maintainer of the archive, or leave the package out',
    })
  }
  return written.replace(/^(?:\.\/+)+/, '')
}

/** Reads stanzas by their offsets; each index is opened once. */
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
      stanzas.set(candidate, linesOf(parts[i]!))
    })
  }
  return stanzas
}

/**
 * The stanza as text. A line that is not UTF-8 (Debian policy 5.1), most often a description, is read as Latin-1: apt takes it as
 * bytes, which the lockfile cannot hold.
 */
function linesOf(bytes: Buffer): string[] {
  const text = decoded(bytes)
  if (text !== undefined) return text.split('\n')
  return bytes
    .toString('latin1')
    .split('\n')
    .map(line => decoded(Buffer.from(line, 'latin1')) ?? line)
}

function decoded(bytes: Buffer): string | undefined {
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined
}
