/** Characters as XML 1.0 has them, by their bytes in UTF-8. */

/** XML 1.0, production 2 */
export const forbidden = /[\0-\x08\x0B\x0C\x0E-\x1F\uFFFE\uFFFF]/
const entities: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

/** What has to be looked at more closely where a byte occurs. */
export const [ends, escapes, brackets, beyondAscii, never] = [1, 2, 4, 8, 16] as const
const tableOf = (kindOf: (character: string) => number) =>
  Uint8Array.from({ length: 256 }, (_, code) => kindOf(String.fromCharCode(code)))
const common = (character: string) =>
  character >= '\x80' ? beyondAscii : /[\0-\x08\x0B\x0C\x0E-\x1F]/.test(character) ? never : 0

export const inText = tableOf(one =>
  one === '<' ? ends : one === ']' ? brackets : /[&\r]/.test(one) ? escapes : common(one),
)
export const inValue = tableOf(one => (one === '<' ? ends : /[&\t\n\r]/.test(one) ? escapes : common(one)))
/** 1: part of a name, 2: also its first character */
export const inName = tableOf(one => (/[A-Za-z_:]/.test(one) ? 2 : /[0-9.-]/.test(one) ? 1 : 0))
export const isBlank = tableOf(one => (/[ \t\r\n]/.test(one) ? 1 : 0))

/** What `lt;` or `#65;`, as written behind `&`, means; undefined where it means nothing. */
export function entityText(written: string): string | undefined {
  if (!written.endsWith(';')) return undefined
  const name = written.slice(0, -1)
  if (Object.hasOwn(entities, name)) return entities[name]
  const digits = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name)
  if (digits === null) return undefined
  const code = digits[1] === undefined ? Number(digits[2]) : Number.parseInt(digits[1], 16)
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined
  const plain = String.fromCodePoint(code)
  return forbidden.test(plain) ? undefined : plain
}
