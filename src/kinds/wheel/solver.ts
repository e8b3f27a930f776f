import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { buildResult, type Chosen, type State } from './build-result.ts'
import { type Candidate, filesFor } from './candidates.ts'
import {
  type Criteria,
  type Criterion,
  hashListsOf,
  identifierOf,
  matchesOf,
  type Pin,
  projectOf,
  type RequirementInformation,
  type ResolutionRequest,
  satisfiesAll,
} from './criteria.ts'
import { directFile } from './direct-file.ts'
import { environmentsOf, isWanted, takesPython } from './environment.ts'
import { explainConflict } from './explain.ts'
import { isListed } from './file-hash.ts'
import { nextToPin } from './get-preference.ts'
import type { IndexFile } from './index-page.ts'
import type { CoreMetadata } from './metadata.ts'
import type { PackageIndex } from './package-index.ts'
import type { Requirement } from './requirement.ts'
import { compareVersions, parseVersion } from './version.ts'

/** The closure of the requirements for one target. */
export interface Solution {
  chosen: Chosen[]
  /** newer versions than the chosen ones that cannot be used, and why */
  passedOver: { candidate: Candidate; reason: string }[]
}

/** Large closures have a few hundred projects; bounds a search that would not end. */
const maxRounds = 50_000

/** No remaining candidate satisfies all of these (resolvelib's RequirementsConflicted). */
class Conflict {
  readonly identifier: string
  readonly information: readonly RequirementInformation[]
  readonly criteria: Criteria
  constructor(identifier: string, information: readonly RequirementInformation[], criteria: Criteria) {
    this.identifier = identifier
    this.information = information
    this.criteria = criteria
  }
}

/**
 * Returns what pip would install. The search is that of resolvelib, which pip uses: pin the newest candidate, pin again what
 * later requirements exclude, and where no candidate is left jump back to the last pin that required what failed.
 * Throws UNRESOLVABLE with the contradicting requirements.
 */
export async function solve(index: PackageIndex, request: ResolutionRequest): Promise<Solution> {
  const { rules } = request
  const environments = environmentsOf(rules.target)
  const constraints = new Map<string, Requirement[]>()
  /** projects whose file is named by its URL */
  const direct = new Map<string, IndexFile>()
  for (const one of request.constraints) {
    if (!isWanted(one.marker, { environments, extras: new Set() })) continue
    constraints.set(one.project, [...(constraints.get(one.project) ?? []), one])
    useDirect(one, request.at)
  }
  const known = new Map<string, Promise<ReturnType<typeof filesFor>>>()
  const informationOf = new Map<string, RequirementInformation[]>()
  /** candidates that their own metadata or content excludes */
  const unsuitable = new Map<Candidate, AirgapError>()
  /** whether the pinned candidate satisfies a criterion: each round looks at all of them, and few have changed */
  const satisfied = new WeakMap<Criterion, { candidate: Candidate; is: boolean }>()
  let failure: { conflict: Conflict; depth: number } | undefined
  const order = new Map<string, number>()

  const roots: RequirementInformation[] = []
  for (const { requirement, at } of request.requirements) {
    if (!isWanted(requirement.marker, { environments, extras: new Set() })) continue
    useDirect(requirement, at)
    roots.push({ requirement, parent: undefined, by: at })
    const identifier = identifierOf(requirement)
    if (!order.has(identifier)) order.set(identifier, order.size)
  }
  const first = await addToCriteria(new Map(), roots)
  if (first instanceof Conflict) throw await conflictError(first)
  const states: State[] = [1, 2].map(() => ({ pins: new Map(), criteria: new Map(first) }))
  let causes: ReadonlySet<string> = new Set()
  const depths = new Map<string, number>()
  for (let round = 0; round < maxRounds; round++) {
    const state = states.at(-1)!
    const open = [...state.criteria].filter(([name, criterion]) => !isSatisfied(state, { name, criterion }))
    if (open.length === 0) return solutionOf(state)
    const pinned = new Set([...state.criteria.keys()].filter(name => !open.some(([other]) => other === name)))
    const name = nextToPin(open, { order, causes, depths })
    const conflicts = await attemptToPin(state, name)
    if (conflicts.length === 0) {
      const stale = new Set(
        [...state.criteria]
          .filter(([key, criterion]) => pinned.has(key) && !isSatisfied(state, { name: key, criterion }))
          .map(([key]) => key),
      )
      removeInformationOf(state, stale)
      states.push({ pins: new Map(state.pins), criteria: new Map(state.criteria) })
      continue
    }
    if (failure === undefined || state.pins.size > failure.depth)
      failure = { conflict: conflicts[0]!, depth: state.pins.size }
    causes = new Set(
      conflicts.flatMap(({ identifier, information }) => [
        identifier,
        ...information.flatMap(one => one.parent ?? []),
      ]),
    )
    if (!(await backjump(causes))) throw await conflictError(failure.conflict)
  }
  throw new AirgapError('UNRESOLVABLE', `no solution after ${maxRounds} choices`, {
    item: request.at,
    likely: 'loose requirements that contradict each other deep in the dependencies',
    next: 'pin the important versions, in the requirements or as constraints',
  })

  function useDirect(requirement: Requirement, at: string): void {
    const file = directFile(requirement, at)
    if (file === undefined) return
    const other = direct.get(requirement.project)
    direct.set(requirement.project, file)
    if (other === undefined || other.url === file.url) return
    throw new AirgapError('MANIFEST_INVALID', 'two requirements name different files of one project', {
      item: `${at}: ${requirement.project} @ ${redactUrl(file.url)}`,
      likely: `another requirement names ${redactUrl(other.url)}`,
      next: 'remove one of them, or give each a marker, such as `; python_version == "3.11"`',
    })
  }

  function available(project: string): Promise<ReturnType<typeof filesFor>> {
    const found = known.get(project)
    if (found !== undefined) return found
    const file = direct.get(project)
    const files =
      file === undefined ? index.project(project).then(page => page.files) : [{ ...file, read: () => file }]
    const made = Promise.resolve(files).then(all => filesFor(project, all, rules))
    made.catch(() => undefined)
    known.set(project, made)
    return made
  }

  /** The requirements of a candidate, including those of the extras in its identifier. */
  async function dependencies(name: string, candidate: Candidate): Promise<RequirementInformation[]> {
    const key = `${name} ${candidate.file.filename}`
    const found = informationOf.get(key)
    if (found !== undefined) return found
    const { project, extras } = projectOf(name)
    const parsed = await ownMetadata(candidate)
    const by = `${name} ${candidate.version.text}`
    const information = parsed.requires
      .filter(one => isWanted(one.marker, { environments, extras: new Set(extras) }))
      .map((requirement): RequirementInformation => ({ requirement, parent: name, by }))
    if (extras.length > 0) {
      const itself: Requirement = { project, extras: [], specifiers: [], hashes: [], text: project }
      information.unshift({ requirement: itself, parent: name, by, exactly: candidate })
    }
    informationOf.set(key, information)
    return information
  }

  /** Throws UNRESOLVABLE where the metadata is for other Pythons: the page may be silent about that. */
  async function ownMetadata(candidate: Candidate): Promise<CoreMetadata> {
    const { parsed } = await index.metadata(candidate.file)
    assertClaims(candidate, parsed)
    if (takesPython(parsed.requiresPython, rules.target)) return parsed
    throw new AirgapError('UNRESOLVABLE', `needs Python ${parsed.requiresPython}`, { item: request.at })
  }

  /** Fetches the file where its page has no hash of the listed algorithms. Throws UPSTREAM_INVALID where it is not a listed file. */
  async function checkHashes(
    candidate: Candidate,
    information: readonly RequirementInformation[],
  ): Promise<void> {
    const { file, project } = candidate
    const lists = hashListsOf(information, constraints.get(project) ?? [])
    if (lists.every(list => isListed(file.hashes, list) === 'yes')) return
    const { hashes } = await index.content(file)
    if (lists.every(list => isListed(hashes, list) === 'yes')) return
    throw new AirgapError('UPSTREAM_INVALID', 'no requirement lists the hash of this file', {
      item: redactUrl(file.url),
      likely: 'the index has another file of this version than when the hashes were written',
      next: 'do not use it before you know why; then correct the hash in the requirements',
    })
  }

  function matching(
    name: string,
    given: Pick<
      Parameters<typeof matchesOf>[1],
      'candidates' | 'information' | 'incompatibilities' | 'criteria'
    >,
  ): Candidate[] {
    return matchesOf(name, { ...given, unsuitable, constraints, rules })
  }

  async function addToCriteria(
    before: Criteria,
    information: readonly RequirementInformation[],
  ): Promise<Criteria | Conflict> {
    const criteria = new Map(before)
    const pages = await Promise.all(information.map(one => available(one.requirement.project)))
    for (const [i, one] of information.entries()) {
      const name = identifierOf(one.requirement)
      const old = criteria.get(name)
      const all = [...(old?.information ?? []), one]
      const incompatibilities = old?.incompatibilities ?? new Set()
      const candidates = matching(name, { ...pages[i]!, information: all, incompatibilities, criteria })
      if (candidates.length === 0) return new Conflict(name, all, criteria)
      criteria.set(name, { candidates, information: all, incompatibilities })
      prefetch(name, candidates[0]!)
    }
    return criteria
  }

  /** Fetches metadata and the index pages of its requirements ahead of the search. */
  function prefetch(name: string, candidate: Candidate): void {
    void dependencies(name, candidate)
      .then(information => Promise.all(information.map(one => available(one.requirement.project))))
      .catch(() => undefined)
  }

  async function attemptToPin(state: State, name: string): Promise<Conflict[]> {
    const criterion = state.criteria.get(name)!
    const page = await available(projectOf(name).project)
    const conflicts: Conflict[] = []
    const tried = new Set<Candidate>()
    let { candidates } = criterion
    for (;;) {
      const candidate = candidates.find(one => !tried.has(one) && !unsuitable.has(one))
      if (candidate === undefined) return conflicts
      tried.add(candidate)
      let information: RequirementInformation[]
      try {
        await checkHashes(candidate, criterion.information)
        information = await dependencies(name, candidate)
      } catch (error) {
        if (!isErrorCode(error, 'UPSTREAM_INVALID', 'UNSUPPORTED', 'UNRESOLVABLE')) throw error
        unsuitable.set(candidate, error)
        // another file of the same version may do
        candidates = matching(name, { ...criterion, candidates: page.candidates, criteria: state.criteria })
        conflicts.push(new Conflict(name, criterion.information, state.criteria))
        continue
      }
      const criteria = await addToCriteria(state.criteria, information)
      if (criteria instanceof Conflict) {
        conflicts.push(criteria)
        continue
      }
      state.criteria = criteria
      state.pins.delete(name)
      state.pins.set(name, {
        name,
        candidate,
        dependencies: new Set(information.map(one => identifierOf(one.requirement))),
      })
      return []
    }
  }

  /** Reverts to the last pin that required one of these, and excludes its candidate. Returns false where none is left. */
  async function backjump(names: ReadonlySet<string>): Promise<boolean> {
    while (states.length >= 3) {
      states.pop()
      let bad: State | undefined
      let last: Pin | undefined
      for (;;) {
        bad = states.pop()
        last = bad === undefined ? undefined : [...bad.pins.values()].at(-1)
        if (bad === undefined || last === undefined) return false
        if ([...last.dependencies].some(name => names.has(name))) break
      }
      const before = states.at(-1)
      if (before === undefined) return false
      const next = { pins: new Map(before.pins), criteria: new Map(before.criteria) }
      states.push(next)
      const excluded = new Map(
        [...bad.criteria].map(([name, { incompatibilities }]) => [name, new Set(incompatibilities)]),
      )
      excluded.set(last.name, new Set([...(excluded.get(last.name) ?? []), last.candidate]))
      if (await patchCriteria(next, excluded)) return true
    }
    return false
  }

  async function patchCriteria(
    state: State,
    excluded: ReadonlyMap<string, ReadonlySet<Candidate>>,
  ): Promise<boolean> {
    for (const [name, candidates] of excluded) {
      const old = state.criteria.get(name)
      if (old === undefined || candidates.size === 0) continue
      const incompatibilities = new Set([...candidates, ...old.incompatibilities])
      const { project } = projectOf(name)
      const page = await available(project)
      const left = matching(name, {
        candidates: page.candidates,
        information: old.information,
        incompatibilities,
        criteria: state.criteria,
      })
      if (left.length === 0) return false
      state.criteria.set(name, { candidates: left, information: old.information, incompatibilities })
      prefetch(name, left[0]!)
    }
    return true
  }

  function isSatisfied(
    { pins }: State,
    { name, criterion }: { name: string; criterion: Criterion },
  ): boolean {
    const candidate = pins.get(name)?.candidate
    if (candidate === undefined) return false
    const known = satisfied.get(criterion)
    if (known?.candidate === candidate) return known.is
    const is = satisfiesAll(candidate, criterion.information)
    satisfied.set(criterion, { candidate, is })
    return is
  }

  async function conflictError({ identifier, information, criteria }: Conflict): Promise<AirgapError> {
    const { project } = projectOf(identifier)
    const { candidates, unusable } = await available(project)
    const page = direct.has(project) ? undefined : await index.project(project)
    // it may be there, behind a login
    if (page !== undefined && page.queried > 0 && page.refused.length === page.queried)
      return page.refused[0]!.error
    const broken = candidates.map(one => unsuitable.get(one))
    if (broken[0] !== undefined && broken.every(one => one !== undefined && one.code !== 'UNRESOLVABLE'))
      return broken[0]
    const all = new Map<string, RequirementInformation[]>()
    for (const [name, criterion] of criteria) {
      const key = projectOf(name).project
      all.set(key, [...(all.get(key) ?? []), ...criterion.information])
    }
    all.set(project, [...new Set([...(all.get(project) ?? []), ...information])])
    return explainConflict(project, {
      information: all,
      candidates,
      unusable,
      unsuitable: new Map([...unsuitable].map(([candidate, error]) => [candidate, error.message])),
      page,
      constraints,
      request,
    })
  }

  function solutionOf(state: State): Solution {
    const chosen = buildResult(state, constraints)
    const passedOver = [...unsuitable].flatMap(([candidate, error]) => {
      const isNewer = chosen.some(
        ({ candidate: { project, version } }) =>
          project === candidate.project && compareVersions(candidate.version, version) > 0,
      )
      return isNewer && error.code !== 'UNRESOLVABLE'
        ? [{ candidate, reason: `it cannot be used: ${error.message}` }]
        : []
    })
    return { chosen, passedOver }
  }
}

/** Throws UPSTREAM_INVALID where a file's metadata is of another project or version than its name (fault 52). */
function assertClaims({ project, version, file }: Candidate, parsed: CoreMetadata): void {
  const own = parseVersion(parsed.version)
  if (parsed.project === project && own !== undefined && compareVersions(own, version) === 0) return
  const what = `a file of ${project} ${version.text} claims to be ${parsed.project} ${parsed.version.slice(0, 100)}`
  throw new AirgapError('UPSTREAM_INVALID', what, {
    item: redactUrl(file.url),
    likely: 'an index that was tampered with, or made with broken tools',
    next: 'do not use this index',
  })
}

/** Drops the requirements of pins that have to be pinned again. */
function removeInformationOf({ criteria }: State, stale: ReadonlySet<string>): void {
  if (stale.size === 0) return
  for (const [name, criterion] of criteria) {
    const information = criterion.information.filter(
      one => one.parent === undefined || !stale.has(one.parent),
    )
    if (information.length < criterion.information.length) criteria.set(name, { ...criterion, information })
  }
}
