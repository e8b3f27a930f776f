import { AirgapError } from '../../core/errors.ts'
import { parseSpecifiers, satisfies } from './specifier.ts'
import { parseVersion } from './version.ts'

/** PEP 508 environment markers. */
export type Marker =
  | { type: 'and' | 'or'; terms: Marker[] }
  | { type: 'compare'; left: Operand; operator: string; right: Operand }

interface Operand {
  /** a variable of the environment, or a literal */
  kind: 'variable' | 'literal'
  text: string
}

/** Variable → value: `python_version`, `sys_platform`, …; `extra` is the requested one, '' without. */
export type Environment = Readonly<Record<string, string>>

const variables = new Set([
  'os_name',
  'sys_platform',
  'platform_machine',
  'platform_python_implementation',
  'platform_release',
  'platform_system',
  'platform_version',
  'python_version',
  'python_full_version',
  'implementation_name',
  'implementation_version',
  'extra',
])
/** names used by old metadata */
const aliases = new Map([
  ['os.name', 'os_name'],
  ['sys.platform', 'sys_platform'],
  ['platform.version', 'platform_version'],
  ['platform.machine', 'platform_machine'],
  ['platform.python_implementation', 'platform_python_implementation'],
  ['python_implementation', 'platform_python_implementation'],
])

/** `(`, `)`, quoted text, operator or name; one at a time from a position in the text. */
const token = /\s*(?:([()])|"([^"]*)"|'([^']*)'|(===|==|!=|<=|>=|~=|<|>)|([A-Za-z][A-Za-z0-9_.]*))/y

const maxDepth = 50

export function parseMarker(text: string, item: string): Marker {
  const fail = () =>
    new AirgapError('UPSTREAM_INVALID', 'a requirement has an unreadable marker', {
      item: `${item}: ${text.slice(0, 200)}`,
      likely: 'a package made with old or broken tools',
      next: 'choose another version of the package, with a constraint',
    })
  let place = 0
  const next = (): { kind: 'punctuation' | 'text' | 'operator' | 'name'; text: string } | undefined => {
    token.lastIndex = place
    const match = token.exec(text)
    if (match === null) {
      if (text.slice(place).trim() === '') return undefined
      throw fail()
    }
    place = token.lastIndex
    const [, punctuation, double, single, operator, name] = match
    if (punctuation !== undefined) return { kind: 'punctuation', text: punctuation }
    if (operator !== undefined) return { kind: 'operator', text: operator }
    if (name !== undefined) return { kind: 'name', text: name }
    return { kind: 'text', text: double ?? single ?? '' }
  }
  const peek = () => {
    const at = place
    const found = next()
    place = at
    return found
  }
  const operand = (): Operand => {
    const found = next()
    if (found?.kind === 'text') return { kind: 'literal', text: found.text }
    const name = aliases.get(found?.text ?? '') ?? found?.text ?? ''
    if (found?.kind !== 'name' || !variables.has(name)) throw fail()
    return { kind: 'variable', text: name }
  }
  const comparison = (): Marker => {
    const left = operand()
    let operator = next()
    if (operator?.kind === 'name' && operator.text === 'not') {
      operator = next()
      if (operator?.text !== 'in') throw fail()
      return { type: 'compare', left, operator: 'not in', right: operand() }
    }
    if (operator?.kind !== 'operator' && operator?.text !== 'in') throw fail()
    return { type: 'compare', left, operator: operator!.text, right: operand() }
  }
  const joined = (type: 'and' | 'or', inner: (depth: number) => Marker, depth: number): Marker => {
    const terms = [inner(depth)]
    while (peek()?.kind === 'name' && peek()?.text === type) {
      next()
      terms.push(inner(depth))
    }
    return terms.length === 1 ? terms[0]! : { type, terms }
  }
  const single = (depth: number): Marker => {
    if (depth > maxDepth) throw fail()
    if (peek()?.text !== '(' || peek()?.kind !== 'punctuation') return comparison()
    next()
    const inside = either(depth + 1)
    if (next()?.text !== ')') throw fail()
    return inside
  }
  const both = (depth: number): Marker => joined('and', single, depth)
  const either = (depth: number): Marker => joined('or', both, depth)
  const marker = either(0)
  if (next() !== undefined) throw fail()
  return marker
}

export function evaluate(marker: Marker, environment: Environment): boolean {
  switch (marker.type) {
    case 'and':
      return marker.terms.every(term => evaluate(term, environment))
    case 'or':
      return marker.terms.some(term => evaluate(term, environment))
    default:
      return compare(marker, environment)
  }
}

/** Compares as versions where both sides are versions (PEP 508), otherwise as text. */
function compare({ left, operator, right }: Marker & { type: 'compare' }, environment: Environment): boolean {
  const read = ({ kind, text }: Operand) => (kind === 'literal' ? text : (environment[text] ?? ''))
  let [a, b] = [read(left), read(right)]
  if (left.text === 'extra' || right.text === 'extra') [a, b] = [normalizeExtra(a), normalizeExtra(b)]
  if (operator === 'in') return b.includes(a)
  if (operator === 'not in') return !b.includes(a)
  const specifiers = parseSpecifiers(`${operator}${b}`)
  const version = parseVersion(a)
  if (specifiers?.[0] !== undefined && version !== undefined) return satisfies(version, specifiers[0])
  switch (operator) {
    case '==':
    case '===':
      return a === b
    case '!=':
      return a !== b
    case '<':
      return a < b
    case '<=':
      return a <= b
    case '>':
      return a > b
    case '>=':
      return a >= b
    default:
      return false
  }
}

/** PEP 685 */
export function normalizeExtra(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-')
}
