import { AirgapError } from '../../core/errors.ts'
import type { RpmRelation } from './candidate.ts'

/** A boolean dependency: https://rpm-software-management.github.io/rpm/manual/boolean_dependencies.html */
export type RichDependency =
  | { type: 'simple'; relation: RpmRelation }
  | { type: 'and' | 'or' | 'with' | 'without'; left: RichDependency; right: RichDependency }
  | ({ type: 'if' } & Condition)
  | ({ type: 'unless' } & Condition)

interface Condition {
  left: RichDependency
  condition: RichDependency
  otherwise?: RichDependency
}

type Chained = 'and' | 'or' | 'with' | 'without'
const operators = new Set(['and', 'or', 'with', 'without', 'if', 'unless', 'else'])
const comparisons: Record<string, NonNullable<RpmRelation['flags']>> = {
  '=': 'EQ',
  '==': 'EQ',
  '<': 'LT',
  '<=': 'LE',
  '=<': 'LE',
  '>': 'GT',
  '>=': 'GE',
  '=>': 'GE',
}

/** Deeper or longer than in any distribution: an attack on the parser's stack (fault 50). */
const maxDepth = 32
const maxTokens = 4096

export function isRich(relation: RpmRelation): boolean {
  return relation.name.startsWith('(')
}

/** `(a if b else c)`, nested. Throws UPSTREAM_INVALID. */
export function parseRich(text: string): RichDependency {
  const tokens = tokenize(text)
  const invalid = (why: string) =>
    new AirgapError('UPSTREAM_INVALID', `a boolean dependency cannot be read: ${why}`, {
      item: text.slice(0, 300),
      likely: 'a broken package, or an operator that is newer than this program',
      next: 'report it to the maintainers of the package, or exclude it with excludepkgs',
    })
  let at = 0
  if (tokens.length > maxTokens) throw invalid('it is too long')

  const operand = (depth: number): RichDependency => {
    if (depth > maxDepth) throw invalid(`it is nested more than ${maxDepth} deep`)
    const token = tokens[at++]
    if (token === '(') {
      const inner = expression(depth + 1)
      if (tokens[at++] !== ')') throw invalid('a parenthesis is not closed')
      return inner
    }
    if (token === undefined || token === ')' || operators.has(token)) throw invalid('a name is missing')
    const flags = comparisons[tokens[at] ?? '']
    if (flags === undefined) return { type: 'simple', relation: { name: token } }
    const evr = tokens[at + 1]
    if (evr === undefined || evr === ')' || evr === '(') throw invalid('a version is missing')
    at += 2
    return { type: 'simple', relation: { name: token, flags, ...parseEvr(evr) } }
  }

  // one kind of operator in one pair of parentheses; `and` and `or` may be repeated
  const expression = (depth: number): RichDependency => {
    let left = operand(depth)
    const first = tokens[at]
    if (first === undefined || first === ')') return left
    if (first === 'if' || first === 'unless') {
      at++
      const condition = operand(depth)
      if (tokens[at] !== 'else') return { type: first, left, condition }
      at++
      return { type: first, left, condition, otherwise: operand(depth) }
    }
    if (!operators.has(first) || first === 'else') throw invalid(`“${first.slice(0, 40)}” is not an operator`)
    const rest: RichDependency[] = []
    while (tokens[at] === first) {
      at++
      rest.push(operand(depth))
    }
    // libsolv reads a chain as a or (b or (c …))
    if (first === 'without' && rest.length > 1) throw invalid('“without” cannot be repeated')
    const all = [left, ...rest]
    left = all.pop() as RichDependency
    while (all.length > 0) left = { type: first as Chained, left: all.pop() as RichDependency, right: left }
    return left
  }

  const parsed = operand(0)
  if (at !== tokens.length) throw invalid('text follows its end')
  return parsed
}

/** Parentheses that are part of a name stay in it: `libc.so.6()(64bit)`, `perl(Carp)`. */
function tokenize(text: string): string[] {
  const tokens: string[] = []
  let i = 0
  while (i < text.length && tokens.length <= maxTokens) {
    const char = text[i] as string
    if (char === ' ' || char === '\t') {
      i++
    } else if (char === '(' || char === ')') {
      tokens.push(char)
      i++
    } else {
      const start = i
      let open = 0
      for (; i < text.length; i++) {
        const c = text[i]
        if (c === ' ' || c === '\t') break
        if (c === '(') open++
        else if (c === ')' && --open < 0) break
      }
      tokens.push(text.slice(start, i))
    }
  }
  return tokens
}

/** `[epoch:]version[-release]` */
export function parseEvr(text: string): { epoch?: string; version: string; release?: string } {
  const colon = text.indexOf(':')
  const rest = text.slice(colon + 1)
  const dash = rest.lastIndexOf('-')
  return {
    ...(colon > 0 ? { epoch: text.slice(0, colon) } : {}),
    version: dash < 0 ? rest : rest.slice(0, dash),
    ...(dash < 0 ? {} : { release: rest.slice(dash + 1) }),
  }
}
