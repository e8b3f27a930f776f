import { hasSecretUrl } from '../core/redact.ts'
import { isSecretName } from '../core/secret-names.ts'
import { Disputed, isDisputed, type Plain } from './tree.ts'

/**
 * A value on one line, texts in double quotes, so that every reader takes them for texts. Values of keys that `isSecret` names
 * are `***`.
 */
export function flowText(value: Plain, isSecret: (key: string) => boolean = () => false): string {
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'number') return numberText(value)
  if (value instanceof Disputed) return value.text
  if (Array.isArray(value)) return `[${value.map(item => flowText(item, isSecret)).join(', ')}]`
  if (!(value instanceof Map)) return String(value)
  if (value.size === 0) return '{}'
  // { name: DB_PASSWORD, value: … }
  const named = ['name', 'key'].map(key => value.get(key)).some(it => typeof it === 'string' && isSecret(it))
  const pairs = Array.from(value, ([key, inner]) => {
    const hidden = isSecret(key) || (named && key !== 'name' && key !== 'key')
    return `${keyText(key)}: ${hidden ? '***' : flowText(inner, isSecret)}`
  })
  return `{ ${pairs.join(', ')} }`
}

export function keyText(key: string): string {
  const plain = /^[A-Za-z_][\w-]*$/.test(key) && !isDisputed(key) && !/^(?:true|false|null)$/i.test(key)
  return plain ? key : quoted(key)
}

const maxShown = 80

/** The value at a path for people: at most 80 characters, secrets as `***`, `(removed)` for none. */
export function shownValue(value: Plain | undefined, path: readonly string[]): string {
  if (value === undefined) return '(removed)'
  if (path.some(isSecretName)) return '***'
  const plain = flowText(value, isSecretName)
  const withoutLogin = plain.replace(/:\/\/[^/@\s"]+@/g, '://')
  if (hasSecretUrl(withoutLogin)) return '***'
  const text = plain.replace(/:\/\/[^/@\s"]+@/g, '://***@')
  return text.length <= maxShown ? text : `${text.slice(0, maxShown - 1).replace(/[\uD800-\uDBFF]$/, '')}…`
}

/** `a.b.c`; a key that is not a word is in brackets: `a["x.y"]`. */
export function pathText(path: readonly string[]): string {
  return path
    .map((key, i) => (/^[\w-]+$/.test(key) ? `${i > 0 ? '.' : ''}${key}` : `[${JSON.stringify(key)}]`))
    .join('')
}

/** YAML 1.2 section 7.3: JSON text is a double-quoted scalar; section 5.1: what is not printable is escaped. */
export function quoted(value: string): string {
  return JSON.stringify(value).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return '.nan'
  if (!Number.isFinite(value)) return value > 0 ? '.inf' : '-.inf'
  const text = Object.is(value, -0) ? '-0' : String(value)
  return /^-?[0-9]+$/.test(text) ? `${text}.0` : text
}
