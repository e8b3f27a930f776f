/** Writes DER (X.690, section 10), as far as certificates need it. Certificates are read by node:crypto alone. */

export function sequence(...parts: Uint8Array[]): Buffer {
  return tagged(0x30, ...parts)
}

export function set(...parts: Uint8Array[]): Buffer {
  return tagged(0x31, ...parts)
}

/** A tag of one byte, with the length and the content after it. */
export function tagged(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content])
}

/** A context-specific, constructed tag: `[number] EXPLICIT`, or a constructed `[number] IMPLICIT`. */
export function context(number: number, ...parts: Uint8Array[]): Buffer {
  return tagged(0xa0 | number, ...parts)
}

/** The bytes of an unsigned integer, most significant first. */
export function integer(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex(byte => byte !== 0)
  const shortest = first === -1 ? Buffer.of(0) : Buffer.from(bytes.subarray(first))
  return tagged(0x02, shortest[0]! < 0x80 ? shortest : Buffer.concat([Buffer.of(0), shortest]))
}

export function boolean(value: boolean): Buffer {
  return tagged(0x01, Buffer.of(value ? 0xff : 0))
}

export function octets(content: Uint8Array): Buffer {
  return tagged(0x04, content)
}

/** `unused`: bits at the end that do not count. */
export function bits(content: Uint8Array, unused = 0): Buffer {
  return tagged(0x03, Buffer.of(unused), content)
}

export function text(value: string): Buffer {
  return tagged(0x0c, Buffer.from(value, 'utf8'))
}

/** `1.2.840.10045.2.1` */
export function identifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

/** UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280, 4.1.2.5); whole seconds. */
export function time(at: Date): Buffer {
  const digits = `${at.toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`
  const isShort = at.getUTCFullYear() >= 1950 && at.getUTCFullYear() < 2050
  return isShort ? tagged(0x17, Buffer.from(digits.slice(2))) : tagged(0x18, Buffer.from(digits))
}

function base128(value: number): number[] {
  const digits = [value & 0x7f]
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128))
    digits.unshift((rest & 0x7f) | 0x80)
  return digits
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length)
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}
