import { AirgapError } from '../../core/errors.ts'
import type { RpmRelation } from './candidate.ts'
import { nevraOf } from './request.ts'
import type { Rule } from './rules.ts'
import type { Id, Universe } from './universe.ts'

const shownFirst = 30
const shownLast = 10

/**
 * Returns the error that shows the whole chain. `proof` are the rules that cannot all hold; starting from the requested
 * packages, each line goes one dependency deeper and says why each provider fails.
 */
export function explain(universe: Universe, proof: readonly Rule[], at: string): AirgapError {
  const lines: string[] = []
  const shown = new Set<Rule>()
  const show = (id: Id) => nevraOf(universe.candidate(id))
  const add = (rule: Rule, depth: number) => {
    if (shown.has(rule)) return
    shown.add(rule)
    lines.push(`${'  '.repeat(Math.min(depth, 20) + 1)}${sentence(universe, rule, show)}`)
    if (rule.reason !== 'job' && rule.reason !== 'requires') return
    for (const id of rule.literals) {
      if (id < 0) continue
      // conflicts that come from other packages are shown with those
      for (const next of proof) if (next.of === id && next.literals.includes(-id)) add(next, depth + 1)
    }
  }
  const jobs = proof.filter(rule => rule.reason === 'job' && rule.literals.every(literal => literal > 0))
  for (const job of jobs) add(job, 0)
  for (const rule of proof) add(rule, 0)
  const skipped = lines.length - shownFirst - shownLast
  if (skipped > 1) lines.splice(shownFirst, skipped, `  … ${skipped} lines left out …`)
  const requested = [...new Set(jobs.flatMap(job => job.requested ?? []))]
  const exclusive = proof.some(rule => ['conflicts', 'obsoletes', 'same-name', 'keep'].includes(rule.reason))
  const missing = proof.some(rule => rule.reason === 'nothing-provides')
  return new AirgapError(
    'UNRESOLVABLE',
    [
      `${requested.join(', ') || 'the request'} cannot be installed${requested.length > 1 ? ' together' : ''}:`,
      ...lines,
    ],
    {
      item: at,
      likely:
        exclusive && !missing
          ? 'two required packages exclude each other'
          : 'a dependency is in a repository or module stream that the entry does not list, or excludepkgs excludes it',
      next:
        exclusive && !missing
          ? 'request the version that you want, or split the packages into two entries'
          : 'add the repository (repositories:) or the stream (modules:) that has it, or leave the package out',
    },
  )
}

function sentence(
  universe: Universe,
  { reason, literals, of, relation, requested }: Rule,
  show: (id: Id) => string,
): string {
  const own = of === undefined ? '' : show(of)
  const other = literals.map(Math.abs).find(id => id !== of)
  const others = other === undefined ? '' : show(other)
  switch (reason) {
    case 'job':
      return `requested: ${requested} (${some(literals.filter(id => id > 0).map(show))})`
    case 'requires': {
      const providers = literals.filter(id => id > 0)
      return `${own} needs ${relationText(relation)}${providers.length === 0 ? '' : `: ${some(providers.map(show))}`}`
    }
    case 'nothing-provides':
      return `${own} needs ${relationText(relation)}, which nothing provides${almost(universe, relation, show)}`
    case 'hidden':
      return `${own} is left out: ${of === undefined ? '' : universe.hidden(of)}`
    case 'conflicts':
      return `${own} conflicts with ${relationText(relation)}: ${others}`
    case 'obsoletes':
      return `${own} replaces (obsoletes) ${relationText(relation)}: ${others}`
    case 'same-name':
      return `${own} and ${others} cannot both be installed`
    case 'architecture':
      return `${own} is for another architecture than the machine's`
    case 'keep':
      return `${own} is installed`
    default:
      return own
  }
}

function almost(universe: Universe, relation: RpmRelation | undefined, show: (id: Id) => string): string {
  if (!relation || relation.flags === undefined) return ''
  const there = universe.providers({ name: relation.name })
  return there.length === 0 ? '' : ` (available: ${some(there.map(show))})`
}

function some(texts: readonly string[]): string {
  return texts.length <= 4 ? texts.join(', ') : `${texts.slice(0, 4).join(', ')} and ${texts.length - 4} more`
}

const signs = { EQ: '=', LT: '<', LE: '<=', GT: '>', GE: '>=' } as const

/** As in a spec file. */
export function relationText(relation: RpmRelation | undefined): string {
  if (!relation) return ''
  const { name, flags, epoch, version = '', release } = relation
  if (flags === undefined) return name
  const prefix = epoch === undefined || epoch === '0' ? '' : `${epoch}:`
  return `${name} ${signs[flags]} ${prefix}${version}${release === undefined ? '' : `-${release}`}`
}
