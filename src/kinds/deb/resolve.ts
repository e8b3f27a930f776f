import { collect } from '../../content/read.ts'
import { compareText } from '../../core/canonical-json.ts'
import { AirgapError } from '../../core/errors.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import type { DebRequest, DebSource } from '../../manifest/stack.ts'
import type { ResolveContext } from '../kind.ts'
import type { Candidate } from './candidate.ts'
import { closureOf, type Selected } from './closure.ts'
import type { LockedDeb, LockedDebs } from './locked.ts'
import { readPackages } from './packages.ts'
import { priorities } from './policy.ts'
import { fetchRelease } from './release.ts'
import { itemOf, Universe } from './universe.ts'
import { compareVersions } from './version.ts'

/** Stanzas are read from the cache one by one; more than this is no stanza. */
const maxStanza = 1024 * 1024 /* bytes */

/** Asks the archives: who signed the suites, what is in them, and what the requested packages need. */
export async function resolveDebs(request: DebRequest, context: ResolveContext): Promise<LockedDebs> {
  for (const source of request.sources) checkSource(source, request)
  const suites = request.sources.map(source => ({ ...source, at: request.at }))
  const releases = await Promise.all(suites.map(suite => fetchRelease(suite, context)))
  const locked = new Map<string, LockedDeb>()
  for (const architecture of request.architectures) {
    const candidates: Candidate[] = []
    for (const [source, suite] of suites.entries()) {
      const found = await readPackages(suite, { release: releases[source]!, architecture }, context)
      for (const candidate of found) candidates.push({ ...candidate, source })
    }
    const sources = suites.map((suite, i) => ({ ...suite, release: releases[i]!.fields }))
    const universe = new Universe(candidates, {
      architecture,
      suites: sources,
      priorityOf: priorities(sources, request.pins),
    })
    const selected = closureOf(universe, {
      names: request.packages,
      recommends: request.recommends,
      at: request.at,
    })
    checkOneDigest(universe, selected, request.at)
    for (const one of selected) {
      const key = itemOf(one.candidate)
      if (!locked.has(key)) locked.set(key, await toLocked(one, context))
    }
  }
  return {
    name: request.name,
    architectures: request.architectures,
    sources: request.sources.map(({ archive, suite, components }, i) => ({
      archive: archive.replace(/\/+$/, ''),
      suite,
      components,
      release: releases[i]!.fields,
    })),
    packages: [...locked.values()].sort(
      (a, b) =>
        compareText(a.name, b.name) ||
        compareVersions(a.version, b.version) ||
        compareText(a.version, b.version) ||
        compareText(a.architecture, b.architecture),
    ),
  }
}

function checkSource(source: DebSource, request: DebRequest): void {
  if (source.suite.endsWith('/')) {
    throw new AirgapError(
      'UNSUPPORTED',
      'flat repositories (a suite that ends with a slash) are not supported',
      {
        item: request.at,
        next: 'name a suite and its components, or carry the packages as files',
      },
    )
  }
  for (const word of [source.suite, ...source.components, ...request.architectures]) {
    safeRelativePath(word, 'MANIFEST_INVALID')
  }
}

/** Two files that call themselves the same package and version (fault 39): no one can say which is meant. */
function checkOneDigest(universe: Universe, selected: Selected[], at: string): void {
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

async function toLocked(
  { candidate, requested, because }: Selected,
  context: ResolveContext,
): Promise<LockedDeb> {
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
    component,
    filename: safeFilename(candidate),
    size,
    sha256,
    ...(requested ? { requested: true as const } : {}),
    ...(because === undefined ? {} : { because }),
    stanza: await readStanza(candidate, context),
  }
}

/** Fault 38: the path becomes one in the tree and a URL under the archive; it may leave neither. */
function safeFilename(candidate: Candidate): string {
  try {
    return safeRelativePath(candidate.filename, 'UPSTREAM_INVALID')
  } catch (error) {
    throw new AirgapError('UPSTREAM_INVALID', 'the archive gives an unsafe path for a package', {
      item: `${itemOf(candidate)}: ${JSON.stringify(candidate.filename.slice(0, 300))}`,
      likely: 'a hostile or broken archive: the path would leave its folder',
      next: 'do not use this archive',
      cause: error,
    })
  }
}

async function readStanza(candidate: Candidate, { cache }: ResolveContext): Promise<string[]> {
  const { index, offset, length } = candidate.stanza
  const bytes = await collect(await cache.open(index, { start: offset, end: offset + length }), maxStanza)
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
