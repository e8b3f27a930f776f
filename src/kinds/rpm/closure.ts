import { defined } from '../../core/defined.ts'
import type { PackageGroup, RpmCandidate } from './candidate.ts'
import { explain } from './explain.ts'
import { type Job, jobsOf } from './request.ts'
import { isRich } from './rich.ts'
import { installOnly, packageRules, type Rule } from './rules.ts'
import { solve } from './solver.ts'
import type { Id, Universe } from './universe.ts'

export interface ClosureRequest {
  /** as dnf takes them */
  packages: readonly string[]
  weak: boolean
  groups: readonly PackageGroup[]
  /** `file:line:column` */
  at: string
}

export interface SelectedRpm {
  candidate: RpmCandidate
  requested: boolean
  /** name of the package that pulled it in */
  because?: string
}

/** Returns what dnf would download for all packages of the request at once, sorted by name, architecture and place. Throws UNRESOLVABLE. */
export function closureOf(universe: Universe, request: ClosureRequest): SelectedRpm[] {
  const jobs = request.packages.flatMap(spec => jobsOf(universe, spec, request))
  const multiversion = new Set(installOnly.flatMap(name => universe.providers({ name })))
  const start = new Set<Id>(jobs.flatMap(job => job.ids))
  for (let id = 1; id <= universe.installedEnd; id++) start.add(id)
  const rules = [
    ...packageRules(universe, start, {
      weak: request.weak,
      multiversion,
      anyArchitecture: new Set(jobs.flatMap(job => job.ids.map(id => universe.candidate(id).name))),
    }),
    ...keepRules(universe),
  ]
  const selected = solveJobs(universe, { rules, jobs, weak: request.weak, at: request.at })
  return withReasons(universe, selected, jobs)
}

/** An installed package stays, or another version of it replaces it. */
function keepRules(universe: Universe): Rule[] {
  const rules: Rule[] = []
  for (let id = 1; id <= universe.installedEnd; id++) {
    const { name } = universe.candidate(id)
    rules.push({
      literals: [id, ...universe.named(name).filter(other => other > universe.installedEnd)],
      reason: 'keep',
      of: id,
    })
  }
  return rules
}

interface Problem {
  rules: readonly Rule[]
  jobs: readonly Job[]
  weak: boolean
  at: string
}

/** Drops optional jobs that conflict, as dnf drops the default packages of a group. */
function solveJobs(universe: Universe, { rules, jobs, weak, at }: Problem): Id[] {
  const dropped = new Set<Job>()
  for (;;) {
    const required = jobs.filter(job => !dropped.has(job) && job.when === undefined)
    const jobRules = required.map(
      (job): Rule => ({ literals: job.ids, reason: 'job', requested: job.requested }),
    )
    const conditional = jobs.flatMap((job): Rule[] =>
      job.when === undefined || dropped.has(job)
        ? []
        : job.when.map(id => ({ literals: [-id, ...job.ids], reason: 'job', requested: job.requested })),
    )
    const solution = solve(universe, { rules: [...rules, ...conditional], jobs: jobRules, weak })
    if ('selected' in solution) return solution.selected.filter(id => id > universe.installedEnd)
    const optional = jobs.find(
      job => job.optional && !dropped.has(job) && solution.proof.some(rule => meansJob(rule, job)),
    )
    if (!optional) throw explain(universe, solution.proof, at)
    dropped.add(optional)
  }
}

function meansJob(rule: Rule, job: Job): boolean {
  return rule.reason === 'job' && job.ids.every(id => rule.literals.includes(id))
}

/** Breadth first from the requested packages, so that the shortest chain is reported. */
function withReasons(universe: Universe, ids: readonly Id[], jobs: readonly Job[]): SelectedRpm[] {
  const chosen = new Set(ids)
  const because = new Map<Id, Id>()
  const requested = new Set(jobs.flatMap(job => job.ids).filter(id => chosen.has(id)))
  const follow = (start: Id[], relations: ('requires' | 'recommends')[]) => {
    const queue = [...start]
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      for (const kind of relations) {
        for (const relation of universe.candidate(next)[kind]) {
          const targets = isRich(relation) ? mentioned(universe, relation.name) : universe.providers(relation)
          for (const target of targets) {
            if (!chosen.has(target) || requested.has(target) || because.has(target)) continue
            because.set(target, next)
            queue.push(target)
          }
        }
      }
    }
  }
  follow([...requested], ['requires'])
  follow([...requested, ...because.keys()], ['requires', 'recommends'])
  return [...chosen]
    .sort((a, b) => a - b)
    .map(id => {
      const pulled = because.get(id)
      return {
        candidate: universe.candidate(id),
        requested: requested.has(id),
        ...defined({ because: pulled === undefined ? undefined : universe.candidate(pulled).name }),
      }
    })
}

function mentioned(universe: Universe, text: string): Id[] {
  const all: Id[] = []
  const todo = [universe.rich({ name: text })]
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (next.type === 'simple') all.push(...universe.providers(next.relation))
    else {
      todo.push(next.left)
      if (next.type === 'if' || next.type === 'unless') todo.push(...(next.otherwise ? [next.otherwise] : []))
      else if (next.type !== 'without') todo.push(next.right)
    }
  }
  return all
}
