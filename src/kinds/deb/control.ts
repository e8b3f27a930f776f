import { AirgapError } from '../../core/errors.ts'

/** Where a stanza stands in its file: bytes, without the blank line after it. */
export interface StanzaPlace {
  offset: number
  length: number
}

/** lower-case field → its value; the lines of a folded field are joined with a blank. Only the wanted fields. */
export type Stanza = Record<string, string>

/** No real stanza comes near; a bound on what a hostile index can make us hold. */
const maxLine = 4 * 1024 * 1024 /* bytes */

const newline = 0x0a
const colon = 0x3a

/**
 * Reads deb822 (Debian policy 5.1) as a stream, in memory bounded by one line and one stanza's wanted fields. Values are
 * latin1: the wanted fields are ASCII, and the stanza itself is read again, byte for byte, where it is needed.
 */
export async function readStanzas(
  body: AsyncIterable<Uint8Array>,
  options: { wanted: readonly string[]; item: string; each(stanza: Stanza, place: StanzaPlace): void },
): Promise<void> {
  const reader = stanzaReader(options)
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of body) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : asBuffer(chunk)
    let start = 0
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      reader.line(bytes, start, end)
      start = end + 1
    }
    rest = bytes.subarray(start)
    if (rest.length > maxLine) throw malformed(`a line of more than ${maxLine} bytes`, options.item)
  }
  if (rest.length > 0) reader.line(rest, 0, rest.length)
  reader.end()
}

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}

function stanzaReader({ wanted, item, each }: Parameters<typeof readStanzas>[1]) {
  // most lines are of no interest: told by the length of the name and its first letter, before any text is made
  const byShape = new Map<number, string[]>()
  for (const name of wanted) {
    const shape = shapeOf(name.length, name.charCodeAt(0))
    byShape.set(shape, [...(byShape.get(shape) ?? []), name])
  }
  let position = 0
  let offset = -1
  let length = 0
  let stanza: Stanza = {}
  let field: string | undefined

  function end(): void {
    if (offset >= 0) each(stanza, { offset, length })
    offset = -1
    stanza = {}
    field = undefined
  }

  function line(bytes: Buffer, start: number, stop: number): void {
    const at = position
    position += stop - start + 1
    const first = bytes[start]
    if (start === stop || first === undefined || isBlank(bytes, start, stop)) {
      end()
      return
    }
    if (offset < 0) offset = at
    length = at + stop - start - offset
    if (first === 0x20 || first === 0x09) {
      if (field !== undefined) stanza[field] += ` ${bytes.toString('latin1', start, stop).trim()}`
      return
    }
    const mark = bytes.indexOf(colon, start)
    if (mark < 0 || mark >= stop || mark === start) {
      throw malformed(
        `no field: ${JSON.stringify(bytes.toString('latin1', start, Math.min(stop, start + 80)))}`,
        item,
      )
    }
    field = fieldName(bytes, start, mark)
    if (field === undefined) return
    if (stanza[field] !== undefined) throw malformed(`the field ${field} stands twice in a stanza`, item)
    stanza[field] = bytes.toString('latin1', mark + 1, stop).trim()
  }

  function fieldName(bytes: Buffer, start: number, stop: number): string | undefined {
    const names = byShape.get(shapeOf(stop - start, bytes[start]!))
    if (names === undefined) return undefined
    const name = bytes.toString('latin1', start, stop).toLowerCase()
    return names.includes(name) ? name : undefined
  }

  return { line, end }
}

function shapeOf(length: number, first: number): number {
  return length * 256 + (first | 0x20)
}

/** A line of blanks ends a stanza too (policy 5.1 forbids it inside one, apt reads it so). */
function isBlank(bytes: Buffer, start: number, stop: number): boolean {
  for (let i = start; i < stop; i++) {
    const byte = bytes[i]
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false
  }
  return true
}

function malformed(why: string, item: string): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the package index is malformed: ${why}`, {
    item,
    likely: 'an archive made with broken tools',
    next: 'report it to whoever runs the archive, or use another mirror',
  })
}
