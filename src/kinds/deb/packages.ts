import type { Descriptor } from '../../core/descriptor.ts'
import { AirgapError } from '../../core/errors.ts'
import type { LeftOut } from '../../lock/left-out.ts'
import type { ResolveContext } from '../kind.ts'
import type { Candidate } from './candidate.ts'
import { readStanzas, type Stanza, type StanzaPlace } from './control.ts'
import { isFlat } from './flat.ts'
import { fetchIndex, indexName, isListed } from './index-file.ts'
import { type Release, type SuiteRequest, suiteUrl } from './release.ts'

export interface SuitePackages {
  candidates: Candidate[]
  /** indexes that the manifest asks for and that the suite does not have, by their addresses */
  missing: LeftOut[]
  /** whether the suite has any index for the architecture, or says that there is nothing for it yet */
  isServed: boolean
}

/**
 * Returns all packages that a machine of `architecture` can install from the suite. Like apt, skips the indexes of a component
 * or an architecture that the suite does not have (pkgAcqMetaClearSig::QueueIndexes).
 */
export async function readPackages(
  request: SuiteRequest,
  { release, architecture }: { release: Release; architecture: string },
  context: ResolveContext,
): Promise<SuitePackages> {
  const found: SuitePackages = { candidates: [], missing: [], isServed: false }
  if (isFlat(request.suite)) {
    if (isListed(release, '')) await read('', '')
    else
      found.missing.push({
        name: `${suiteUrl(request)}/Packages`,
        reason: 'its Release file does not list it',
      })
    return found
  }
  for (const component of request.components) {
    const folders = [`${component}/binary-${architecture}`]
    // a suite with `Architectures: all` has binary-all alone
    if (release.separateAll) folders.push(`${component}/binary-all`)
    const listed = folders.filter(folder => isListed(release, folder))
    for (const folder of listed) await read(folder, component)
    if (listed.length > 0) continue
    const reason = whyMissing(release, { component, architecture })
    if (reason === undefined) found.isServed = true
    else found.missing.push({ name: `${suiteUrl(request)}/${folders[0]}/Packages`, reason })
  }
  return found

  async function read(folder: string, component: string): Promise<void> {
    const index = await fetchIndex(request, { folder, release }, context)
    const item = indexName(request, folder)
    found.isServed = true
    await readStanzas(await context.cache.open(index), {
      wanted,
      item,
      each(stanza, place) {
        const candidate = toCandidate(stanza, { index, place, component, item })
        // an index may also list packages of other architectures
        if (candidate.architecture === architecture || candidate.architecture === 'all')
          found.candidates.push(candidate)
      },
    })
  }
}

/** Undefined for a component that is only empty for this architecture: apt takes that for an empty index. */
function whyMissing(
  { components, architectures }: Release,
  { component, architecture }: { component: string; architecture: string },
): string | undefined {
  // security.debian.org lists `updates/main` for the component `main`
  const isKnown = components.some(known => known === component || known.endsWith(`/${component}`))
  const list = (words: string[]) => words.join(', ') || '(none)'
  if (!isKnown) return `the suite has no component ${component}, only ${list(components)}`
  if (architectures.includes(architecture)) return undefined
  return `the suite has nothing for ${architecture}, only for ${list(architectures)}`
}

const wanted = [
  'package',
  'version',
  'architecture',
  'filename',
  'size',
  'sha256',
  'essential',
  'priority',
  'multi-arch',
  'pre-depends',
  'depends',
  'recommends',
  'provides',
  'conflicts',
  'breaks',
  'suggests',
  'replaces',
  'enhances',
  'important',
  'protected',
  'source',
  'phased-update-percentage',
] as const

const priorities = ['required', 'important', 'standard', 'optional', 'extra']

/** As in apt: a missing priority ranks before all others, an unknown one is `extra`. */
function priorityOf(text: string | undefined): number {
  if (text === undefined) return 0
  return priorities.indexOf(text) + 1 || priorities.length
}

function toCandidate(
  stanza: Stanza,
  {
    index,
    place,
    component,
    item,
  }: { index: Descriptor; place: StanzaPlace; component: string; item: string },
): Candidate {
  const { package: name, version, architecture } = stanza
  if (!name || !version || !architecture) {
    throw new AirgapError('UPSTREAM_INVALID', 'a stanza lacks Package, Version or Architecture', {
      item: `${item} at byte ${place.offset}`,
      likely: 'an archive made with broken tools',
      next: 'report it to the maintainers of the archive',
    })
  }
  const multiArch = stanza['multi-arch']
  const candidate: Candidate = {
    name,
    version,
    architecture,
    source: 0,
    component,
    filename: stanza.filename ?? '',
    size: /^[0-9]{1,15}$/.test(stanza.size ?? '') ? Number(stanza.size) : -1,
    sha256: stanza.sha256?.toLowerCase() ?? '',
    essential: stanza.essential === 'yes',
    priority: priorityOf(stanza.priority),
    stanza: { index, offset: place.offset, length: place.length },
  }
  if (multiArch === 'same' || multiArch === 'foreign' || multiArch === 'allowed')
    candidate.multiArch = multiArch
  if (stanza.important === 'yes' || stanza.protected === 'yes') candidate.important = true
  if (stanza.source) candidate.builtFrom = stanza.source
  const phased = stanza['phased-update-percentage']
  if (phased !== undefined && /^[0-9]{1,2}$/.test(phased)) candidate.phased = Number(phased)
  if (stanza['pre-depends']) candidate.preDepends = stanza['pre-depends']
  if (stanza.depends) candidate.depends = stanza.depends
  if (stanza.recommends) candidate.recommends = stanza.recommends
  if (stanza.provides) candidate.provides = stanza.provides
  if (stanza.conflicts) candidate.conflicts = stanza.conflicts
  if (stanza.breaks) candidate.breaks = stanza.breaks
  if (stanza.suggests) candidate.suggests = stanza.suggests
  if (stanza.replaces) candidate.replaces = stanza.replaces
  if (stanza.enhances) candidate.enhances = stanza.enhances
  return candidate
}
