import type { RpmCandidate, RpmRelation } from './candidate.ts'
import { clausesOf, clausesOfContrary, type NormalForm } from './normal-form.ts'
import { isRich, type RichDependency } from './rich.ts'
import { compareEvr } from './rpm-version.ts'
import { evrOf, type Id, matchesNevr, type Universe } from './universe.ts'

/** A clause that must hold on the machine: at least one literal is true. */
export interface Rule {
  /** ascending, so negative ones (packages that must not be installed) come first */
  literals: number[]
  reason:
    | 'requires'
    | 'nothing-provides'
    | 'hidden'
    | 'conflicts'
    | 'obsoletes'
    | 'same-name'
    | 'architecture'
    | 'keep'
    | 'job'
    | 'learnt'
  /** the package that the rule comes from */
  of?: Id
  relation?: RpmRelation
  /** of a job: as the manifest writes it */
  requested?: string
}

export interface RuleOptions {
  weak: boolean
  /** packages of which several versions may be installed at once: kernels */
  multiversion: ReadonlySet<Id>
  /** names requested directly: dnf accepts any architecture of them */
  anyArchitecture: ReadonlySet<string>
}

/** dnf's default installonlypkgs */
export const installOnly = [
  'kernel',
  'kernel-PAE',
  'installonlypkg(kernel)',
  'installonlypkg(kernel-module)',
  'installonlypkg(vm)',
  'multiversion(kernel)',
]

/**
 * Returns the rules of all packages reachable from `start`, in libsolv's order (solver_addpkgrulesforsolvable and following,
 * rules.c). The solver visits rules in that order, so the choice between packages depends on it.
 */
export function packageRules(universe: Universe, start: Iterable<Id>, options: RuleOptions): Rule[] {
  const rules: Rule[] = []
  const reached = new Set<Id>()
  const queue: Id[] = [...start]
  const push = (ids: readonly Id[]) => {
    for (const id of ids) if (!reached.has(id)) queue.push(id)
  }
  const reach = () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (reached.has(next)) continue
      reached.add(next)
      rules.push(...dependencyRules(universe, next, push))
      push(lockStep(universe, next))
      if (!options.weak) continue
      const { recommends, suggests } = universe.candidate(next)
      for (const relation of [...recommends, ...suggests]) push(universe.providers(relation))
    }
  }
  reach()
  while (options.weak && addSupplements(universe, reached, push)) reach()
  for (const id of reached) rules.push(...exclusionRules(universe, id, { ...options, reached }))
  const ordered = sortRules(rules)
  return [...ordered, ...architectureRules(universe, reached, options)]
}

function dependencyRules(universe: Universe, id: Id, push: (ids: readonly Id[]) => void): Rule[] {
  const rules: Rule[] = []
  const one = universe.candidate(id)
  const installed = id <= universe.installedEnd
  if (universe.hidden(id) !== undefined) rules.push({ literals: [-id], reason: 'hidden', of: id })
  for (const relation of one.requires) {
    if (isRich(relation)) {
      const form = clausesOf(universe.rich(relation), universe.providers)
      // a dependency that is already broken on the machine must not block anything
      if (form === false && installed) continue
      rules.push(...clauseRules(form, { of: id, relation, reason: 'requires' }))
      pushPositive(universe, universe.rich(relation), push)
      continue
    }
    const providers = universe.providers(relation)
    if (providers.includes(id)) continue
    if (installed && !providers.some(provider => provider <= universe.installedEnd)) continue
    if (providers.length === 0) {
      rules.push({ literals: [-id], reason: 'nothing-provides', of: id, relation })
      continue
    }
    rules.push({ literals: [-id, ...providers], reason: 'requires', of: id, relation })
    push(providers)
  }
  for (const relation of one.conflicts) {
    if (isRich(relation)) {
      const form = clausesOfContrary(universe.rich(relation), universe.providers)
      rules.push(...clauseRules(form, { of: id, relation, reason: 'conflicts' }))
      continue
    }
    for (const other of universe.providers(relation)) {
      if (other === id || (installed && other <= universe.installedEnd)) continue
      rules.push({ literals: pair(id, other), reason: 'conflicts', of: id, relation })
    }
  }
  return rules
}

/** The same version for a better architecture: it decides which architectures of the name are inferior. */
function lockStep(universe: Universe, id: Id): Id[] {
  const score = universe.architectureScore(id)
  if (score === 1) return []
  const own = evrOf(universe.candidate(id))
  return universe.named(universe.candidate(id).name).filter(other => {
    const its = universe.architectureScore(other)
    return its > 1 && its < score && compareEvr(evrOf(universe.candidate(other)), own) === 0
  })
}

function pair(a: Id, b: Id): number[] {
  return a > b ? [-a, -b] : [-b, -a]
}

function clauseRules(
  form: NormalForm,
  rule: { of: Id; relation: RpmRelation; reason: 'requires' | 'conflicts' },
): Rule[] {
  if (form === true) return []
  const { of: id } = rule
  if (form === false) {
    return [
      { ...rule, literals: [-id], reason: rule.reason === 'requires' ? 'nothing-provides' : rule.reason },
    ]
  }
  return (
    form
      .filter(block => !block.includes(id))
      // a package does not conflict with itself
      .filter(block => rule.reason === 'requires' || block.length > 1 || block[0] !== -id)
      .map(block => ({ ...rule, literals: [...new Set([-id, ...block])].sort((a, b) => a - b) }))
  )
}

/** Pushes both sides of a condition: the solver may take either. */
function pushPositive(
  universe: Universe,
  dependency: RichDependency,
  push: (ids: readonly Id[]) => void,
): void {
  if (dependency.type === 'simple') {
    push(universe.providers(dependency.relation))
    return
  }
  pushPositive(universe, dependency.left, push)
  if (dependency.type === 'if' || dependency.type === 'unless') {
    if (!dependency.otherwise) return
    pushPositive(universe, dependency.condition, push)
    pushPositive(universe, dependency.otherwise, push)
  } else pushPositive(universe, dependency.right, push)
}

function addSupplements(
  universe: Universe,
  reached: ReadonlySet<Id>,
  push: (ids: readonly Id[]) => void,
): boolean {
  let found = false
  for (const id of universe.supplementing()) {
    if (reached.has(id)) continue
    const { supplements } = universe.candidate(id)
    if (!supplements.some(relation => universe.providers(relation).some(one => reached.has(one)))) continue
    push([id])
    found = true
  }
  return found
}

function exclusionRules(
  universe: Universe,
  id: Id,
  options: RuleOptions & { reached: ReadonlySet<Id> },
): Rule[] {
  const { reached, multiversion } = options
  const rules: Rule[] = []
  const one = universe.candidate(id)
  const installed = id <= universe.installedEnd
  if (!multiversion.has(id)) {
    for (const relation of one.obsoletes) {
      for (const other of universe.named(relation.name)) {
        if (other === id || !reached.has(other) || !matchesNevr(universe.candidate(other), relation)) continue
        if (installed && other <= universe.installedEnd) continue
        rules.push({ literals: pair(id, other), reason: 'obsoletes', of: id, relation })
      }
    }
  }
  if (installed) return rules
  for (const other of universe.named(one.name)) {
    if (!reached.has(other) || other === id || (other > id && !multiversion.has(other))) continue
    const its = universe.candidate(other)
    if (
      multiversion.has(id) &&
      (compareEvr(evrOf(one), evrOf(its)) !== 0 || one.architecture !== its.architecture)
    )
      continue
    if (!colorsMatch(one, its)) continue
    rules.push({ literals: pair(id, other), reason: 'same-name', of: id })
  }
  return rules
}

/** pool_colormatch: one name may be installed in 32 and in 64 bits. */
function colorsMatch(a: RpmCandidate, b: RpmCandidate): boolean {
  return a.architecture === b.architecture || (color(a.architecture) & color(b.architecture)) !== 0
}

function color(architecture: string): number {
  if (architecture === 'noarch') return 3
  if (/^(?:i[3-6]86|athlon|geode|ppc|s390)$/.test(architecture)) return 1
  return architecture.endsWith('64') || architecture === 's390x' ? 2 : 3
}

/** solver_addinfarchrules: of one name only the best architecture, or another one in exactly the same version. */
function architectureRules(
  universe: Universe,
  reached: ReadonlySet<Id>,
  { anyArchitecture }: RuleOptions,
): Rule[] {
  const rules: Rule[] = []
  const seen = new Set<string>()
  for (const id of [...reached].sort((a, b) => a - b)) {
    const { name } = universe.candidate(id)
    if (seen.has(name) || anyArchitecture.has(name)) continue
    seen.add(name)
    const group = universe.named(name).filter(other => reached.has(other))
    const scores = group.filter(other => other > universe.installedEnd).map(universe.architectureScore)
    const best = Math.min(...scores.filter(score => score > 1))
    if (!Number.isFinite(best)) continue
    for (const other of group) {
      const score = universe.architectureScore(other)
      if (score === 1 || score === best || other <= universe.installedEnd) continue
      const its = universe.candidate(other)
      const beside = universe.named(name).filter(third => {
        const one = universe.candidate(third)
        const thirds = universe.architectureScore(third)
        return (
          third !== other && (thirds === 1 || thirds === best) && compareEvr(evrOf(one), evrOf(its)) === 0
        )
      })
      rules.push({ literals: [-other, ...beside], reason: 'architecture', of: other })
    }
  }
  return rules
}

function sortRules(rules: Rule[]): Rule[] {
  rules.sort((a, b) => compareLiterals(a.literals, b.literals))
  return rules.filter((rule, i) => i === 0 || compareLiterals(rules[i - 1]!.literals, rule.literals) !== 0)
}

function compareLiterals(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length || i < b.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
