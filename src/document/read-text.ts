import { open } from 'node:fs/promises'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'

/** Files that people write: YAML documents and lists, as text. */

/** Lists larger than this are not written by people. */
const maxList = 4 << 20 /* bytes */
/** Parsing takes some seconds per MiB; long documents keep their lists in files. */
const maxDocument = 1 << 20 /* bytes */

/** Reads a YAML document. Throws FILE_NOT_FOUND, MANIFEST_INVALID where it is too large or not UTF-8. */
export async function readDocument(path: string): Promise<string> {
  return await readText(path, { maxSize: maxDocument, invalid: what => invalidDocument(path, what) })
}

/**
 * Reads UTF-8 text, or UTF-16 with a byte order mark, without that mark; CRLF becomes LF. At most `maxSize` bytes are read, also from a device or a file that grows.
 * Throws what `invalid` makes of a file that is too large or not text; FILE_NOT_FOUND, PERMISSION, IO.
 */
export async function readText(
  path: string,
  { maxSize, invalid }: { maxSize: number /* bytes */; invalid: (what: string) => AirgapError },
): Promise<string> {
  try {
    const bytes = await readBounded(path, { maxSize, invalid })
    return new TextDecoder(encodingOf(bytes), { fatal: true }).decode(bytes).replaceAll('\r\n', '\n')
  } catch (error) {
    if (errnoOf(error) === 'ERR_ENCODING_INVALID_ENCODED_DATA') throw invalid('the file is not UTF-8 text')
    throw fromSystemError(error, path)
  }
}

/** By the byte order mark: PowerShell writes UTF-16 into a file by default. */
function encodingOf(bytes: Buffer): string {
  const mark = bytes.subarray(0, 2).toString('hex')
  return mark === 'fffe' ? 'utf-16le' : mark === 'feff' ? 'utf-16be' : 'utf-8'
}

async function readBounded(
  path: string,
  { maxSize, invalid }: { maxSize: number; invalid: (what: string) => AirgapError },
): Promise<Buffer> {
  const handle = await open(path, 'r')
  try {
    const stat = await handle.stat()
    if (stat.isDirectory()) throw invalid('the path is a folder, not a file')
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of handle.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxSize) throw invalid(`the file is larger than ${sizeText(maxSize)}`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, size)
  } finally {
    await handle.close()
  }
}

function sizeText(bytes: number): string {
  return bytes < 1 << 20 ? `${bytes >> 10} KiB` : `${bytes >> 20} MiB`
}

function invalidDocument(item: string, what: string): AirgapError {
  return new AirgapError('MANIFEST_INVALID', what, {
    item,
    next: 'name a manifest or a list in UTF-8; move long lists of a manifest into files of their own: `- list: FILE`',
  })
}

/** One entry of a list and the place where it was written. */
export interface ListLine {
  text: string
  /** `file:line:column` */
  at: string
}

/** Returns all lines of a file, empty ones and comments included. `namedAt` is the place that names the file. */
export async function readLines(path: string, namedAt: string): Promise<ListLine[]> {
  const lines = (await readNamed(path, namedAt)).split('\n')
  return lines.map((text, i) => ({ text, at: `${path}:${i + 1}:1` }))
}

/** Returns the entries of a list, one per line; `#` starts a comment at the start of a line or after white space. */
export async function readList(path: string, namedAt: string): Promise<ListLine[]> {
  const lines = (await readNamed(path, namedAt)).split('\n')
  return lines.flatMap((line, i) => {
    const text = line.replace(/(^|\s)#.*/, '').trim()
    if (text === '') return []
    return [{ text, at: `${path}:${i + 1}:${line.indexOf(text) + 1}` }]
  })
}

async function readNamed(path: string, namedAt: string): Promise<string> {
  try {
    return await readText(path, { maxSize: maxList, invalid: what => invalidDocument(path, what) })
  } catch (error) {
    if (!(error instanceof AirgapError) || errnoOf(error.cause) !== 'ENOENT') throw error
    throw new AirgapError('FILE_NOT_FOUND', 'the file does not exist', {
      item: path,
      likely: `${namedAt} names it; paths are relative to the folder of the manifest`,
      next: 'correct the path',
      cause: error.cause,
    })
  }
}
