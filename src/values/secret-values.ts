import { isSecretName } from '../core/secret-names.ts'
import { type Plain, readValuesTree } from './tree.ts'

/** Shorter texts are too often ordinary words. */
const shortest = 8

/**
 * Returns the texts whose key names a secret, to be masked wherever else they appear: a password is often repeated under a key such as
 * `url` or `args`. Only the key itself counts, not those above it: below `auth` there are user names. Empty for a text that is invalid.
 */
export function secretValues(text: string): string[] {
  const found = new Set<string>()
  const walk = (value: Plain, secret: boolean): void => {
    if (Array.isArray(value)) for (const item of value) walk(item, secret)
    else if (value instanceof Map) {
      // { name: DB_PASSWORD, value: … }
      const name = value.get('name') ?? value.get('key')
      const named = typeof name === 'string' && isSecretName(name)
      for (const [key, inner] of value) walk(inner, isSecretName(key) || (named && key === 'value'))
    } else if (secret && value !== null && typeof value !== 'boolean') {
      const secretText = typeof value === 'object' ? value.text : String(value)
      if (secretText.length >= shortest) found.add(secretText)
    }
  }
  try {
    walk(readValuesTree(text, { name: '', whose: '' }).value, false)
  } catch {
    return []
  }
  return [...found]
}

/** Replaces the secrets in a line, also as JSON has them in quotes. */
export function maskValues(line: string, secrets: readonly string[]): string {
  let masked = line
  for (const secret of secrets)
    for (const form of [secret, JSON.stringify(secret).slice(1, -1)]) masked = masked.replaceAll(form, '***')
  return masked
}
