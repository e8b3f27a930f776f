/** A generator of pseudo-random numbers (xorshift32): the same seed gives the same inputs. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1
  return below => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return below <= 0 ? 0 : state % below
  }
}

/** What formats give a meaning to, and what they forget. */
export const tokens = [
  ...[
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '"',
    "'",
    '\\',
    '\n',
    '\r\n',
    '\0',
    '\u2028',
    '\u009b31m',
  ],
  ...[
    '{{ x }}',
    '../',
    '/',
    '//',
    ':',
    '[',
    ']',
    '{',
    '}',
    '<',
    '>',
    '&',
    '&amp;',
    '&#x1',
    '<!',
    ']]>',
    '<!--',
    '<![CDATA[',
  ],
  ...[
    '-----',
    '- ',
    '*',
    '&a ',
    '*a',
    '<<: *a',
    '!!js/function',
    '? ',
    '|',
    '>',
    '-1',
    '1e999',
    '9007199254740993',
    '-',
    '.',
  ],
  ...[
    '99999999999999999999',
    'null',
    'true',
    '~',
    '""',
    '[]',
    '{}',
    'NaN',
    '%',
    '%s',
    '=',
    '==',
    ',',
    ';',
    '@',
    '#',
    '(',
    ')',
  ],
  ...[
    ' ',
    '\t',
    'é',
    'ﬁ',
    '\u202e',
    '\ufeff',
    '0x',
    '.inf',
    '2001-01-01',
    '\0\0',
    '---\n',
    'a',
    '0',
    '_',
    '+',
    '$',
    '`',
    '^',
  ],
]

const maxSize = 200_000 /* bytes */

/** Changes bytes: flips, inserts, removes, repeats, cuts. */
export function mutated(seed: Buffer, random: (below: number) => number): Buffer {
  let bytes = Buffer.from(seed)
  const token = () => Buffer.from(tokens[random(tokens.length)]!)
  for (let left = 1 + random(6); left > 0; left--) {
    const at = random(bytes.length + 1)
    const insert = (part: Buffer) => Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)])
    switch (random(8)) {
      case 0:
        if (bytes.length > 0) bytes[random(bytes.length)] = random(256)
        break
      case 1:
        if (bytes.length > 0) bytes[random(bytes.length)]! ^= 1 << random(8)
        break
      case 2:
        bytes = insert(token())
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random(64))])
        break
      case 4: {
        const start = random(bytes.length)
        bytes = insert(bytes.subarray(start, start + random(200)))
        break
      }
      case 5:
        // seldom: a cut text teaches little about what follows
        if (random(4) === 0) bytes = bytes.subarray(0, at)
        break
      case 6:
        if (bytes.length > 4) {
          const numbers = [0, 1, 0x7fffffff, 0xffffffff, 0x80000000, 65535, random(2 ** 31)]
          bytes.writeUInt32BE(numbers[random(numbers.length)]!, random(bytes.length - 4))
        }
        break
      default:
        bytes = insert(repeated(token(), random(2_000)))
    }
    if (bytes.length > maxSize) bytes = bytes.subarray(0, maxSize)
  }
  return bytes
}

/** The part again and again, up to a size. */
export function repeated(part: Buffer, size: number): Buffer {
  return Buffer.alloc(size, part)
}

const strange = (): unknown[] => [
  ...[null, true, false, 0, -1, 1.5, 1e21, 2 ** 53, '', 'x', '__proto__', [], {}, [[]], { a: 1 }, [null]],
  ...[`sha256:${'a'.repeat(64)}`, '\ud800', '../../etc', '/etc/passwd', 'a'.repeat(5_000), 'a\nb'],
]

/** Changes a JSON value: replaces, removes, renames and repeats members. */
export function mutatedValue(value: unknown, random: (below: number) => number): unknown {
  const pick = <T>(list: readonly T[]): T => list[random(list.length)]!
  if (random(14) === 0) return pick(strange())
  if (Array.isArray(value)) {
    const list = value.map(one => mutatedValue(one, random))
    if (random(6) === 0) list.push(pick(strange()))
    if (random(8) === 0 && list.length > 0) list.push(structuredClone(list[0]))
    return list
  }
  if (typeof value === 'string') return random(8) === 0 ? value + pick(tokens) : value
  if (typeof value !== 'object' || value === null) return value
  const map: Record<string, unknown> = {}
  const define = (key: string, inner: unknown) =>
    Object.defineProperty(map, key, { value: inner, enumerable: true, configurable: true, writable: true })
  for (const [key, inner] of Object.entries(value))
    if (random(16) !== 0) define(random(25) === 0 ? pick(tokens) : key, mutatedValue(inner, random))
  if (random(10) === 0) define('__proto__', pick(strange()))
  return map
}

/** A hostile input made of a valid one: by its structure where it is JSON, else by its bytes. */
export function hostileInput(seed: Buffer, random: (below: number) => number): Buffer {
  if ((seed[0] === 0x7b || seed[0] === 0x5b) && random(4) !== 0)
    try {
      return Buffer.from(JSON.stringify(mutatedValue(JSON.parse(seed.toString()), random)) ?? 'null')
    } catch {
      // an INI file begins with a bracket, too
    }
  return mutated(seed, random)
}
