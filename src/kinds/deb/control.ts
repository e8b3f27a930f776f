import { AirgapError } from '../../core/errors.ts'

/** Position of a stanza in its file, in bytes, without the blank line after it. */
export interface StanzaPlace {
  offset: number
  length: number
}

/** Lower-case field → value, for the wanted fields; lines of a folded field are joined with a space. */
export type Stanza = Record<string, string>

/** Far above any real stanza; bounds the memory that a malicious index can claim. */
const maxLine = 4 * 1024 * 1024 /* bytes */
/** Decoding many stanzas at once and slicing values out of the text takes half the time of one string for each. */
const batch = 512 * 1024 /* bytes */

const newline = 0x0a

/**
 * Reads deb822 (Debian policy 5.1) as a stream, in memory bounded by one line and one stanza's wanted fields. Values are
 * latin1: the wanted fields are ASCII, and the stanza itself is read again, byte for byte, where it is needed.
 */
export async function readStanzas(
  body: AsyncIterable<Uint8Array>,
  options: { wanted: readonly string[]; item: string; each(stanza: Stanza, place: StanzaPlace): void },
): Promise<void> {
  const reader = stanzaReader(options)
  let held: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    held.push(chunk)
    size += chunk.length
    if (size < batch) continue
    const bytes = Buffer.concat(held)
    const end = bytes.lastIndexOf(newline) + 1
    if (bytes.length - end > maxLine) throw malformed(`a line of more than ${maxLine} bytes`, options.item)
    reader.read(bytes.toString('latin1', 0, end))
    // a copy, because a slice would keep the whole chunk alive
    held = [Buffer.from(bytes.subarray(end))]
    size = held[0]!.length
  }
  reader.read(Buffer.concat(held).toString('latin1'))
  reader.end()
}

function stanzaReader({ wanted, item, each }: Parameters<typeof readStanzas>[1]) {
  // most lines are not wanted: recognised by length and first letter of the name, before any text is decoded
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

  /** Whole lines. */
  function read(text: string): void {
    let start = 0
    while (start < text.length) {
      const found = text.indexOf('\n', start)
      const stop = found < 0 ? text.length : found
      line(text, start, stop)
      start = stop + 1
    }
    position += text.length
  }

  function line(text: string, start: number, stop: number): void {
    if (start === stop || isBlank(text, start, stop)) {
      end()
      return
    }
    if (offset < 0) offset = position + start
    length = position + stop - offset
    const first = text.charCodeAt(start)
    if (first === 0x20 || first === 0x09) {
      if (field !== undefined) stanza[field] += ` ${trimmed(text, start, stop)}`
      return
    }
    const mark = text.indexOf(':', start)
    if (mark < 0 || mark >= stop || mark === start) {
      throw malformed(`not a field: ${JSON.stringify(text.slice(start, Math.min(stop, start + 80)))}`, item)
    }
    field = fieldName(text, start, mark)
    if (field === undefined) return
    if (stanza[field] !== undefined) throw malformed(`the field ${field} occurs twice in a stanza`, item)
    stanza[field] = trimmed(text, mark + 1, stop)
  }

  function fieldName(text: string, start: number, stop: number): string | undefined {
    const names = byShape.get(shapeOf(stop - start, text.charCodeAt(start)))
    if (names === undefined) return undefined
    const name = text.slice(start, stop).toLowerCase()
    return names.find(one => one === name)
  }

  return { read, end }
}

function shapeOf(length: number, first: number): number {
  return length * 256 + (first | 0x20)
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d
}

/** A line of spaces also ends a stanza, as in apt (policy 5.1 forbids it inside one). */
function isBlank(text: string, start: number, stop: number): boolean {
  for (let i = start; i < stop; i++) if (!isSpace(text.charCodeAt(i))) return false
  return true
}

function trimmed(text: string, start: number, stop: number): string {
  while (start < stop && isSpace(text.charCodeAt(start))) start++
  while (stop > start && isSpace(text.charCodeAt(stop - 1))) stop--
  return text.slice(start, stop)
}

function malformed(why: string, item: string): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the package index is malformed: ${why}`, {
    item,
    likely: 'an archive made with broken tools',
    next: 'report it to the maintainers of the archive, or use another mirror',
  })
}
