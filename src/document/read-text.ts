import { open } from 'node:fs/promises'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'

/** Files that people write: YAML documents and lists, as text. */

/** Lists larger than this are not written by people. */
const maxList = 4 * 1024 * 1024 /* bytes */
/** Parsing takes some seconds per MiB; long documents keep their lists in files. */
const maxDocument = 1024 * 1024 /* bytes */

/** Reads a YAML document. Throws FILE_NOT_FOUND, MANIFEST_INVALID where it is too large or not UTF-8. */
export async function readDocument(path: string): Promise<string> {
  return await readText(path, { maxSize: maxDocument })
}

/** UTF-8; a BOM and CRLF are tolerated. `namedAt` is the place that names the file, for the message. */
async function readText(path: string, options: { maxSize: number; namedAt?: string }): Promise<string> {
  const { namedAt } = options
  let bytes: Buffer
  try {
    bytes = await readBounded(path, options.maxSize)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && namedAt !== undefined) {
      throw new AirgapError('FILE_NOT_FOUND', 'the file does not exist', {
        item: path,
        likely: `${namedAt} names it; paths are relative to the folder of the manifest`,
        next: 'correct the path',
        cause: error,
      })
    }
    throw fromSystemError(error, path)
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new AirgapError('MANIFEST_INVALID', 'the file is not UTF-8 text', {
      item: path,
      next: 'save it as UTF-8',
      cause: error,
    })
  }
  return text.replaceAll('\r\n', '\n')
}

/** Reads at most `maxSize` bytes, also from a device or a file that grows. */
async function readBounded(path: string, maxSize: number): Promise<Buffer> {
  const handle = await open(path, 'r')
  try {
    const stat = await handle.stat()
    if (stat.isDirectory())
      throw new AirgapError('MANIFEST_INVALID', 'the path is a folder, not a file', {
        item: path,
        next: 'name a file',
      })
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of handle.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxSize) {
        throw new AirgapError('MANIFEST_INVALID', `the file is larger than ${maxSize} bytes`, {
          item: path,
          next: 'name a manifest or a list; move long lists of a manifest into files of their own: `- list: FILE`',
        })
      }
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, size)
  } finally {
    await handle.close()
  }
}

/** One entry of a list and the place where it was written. */
export interface ListLine {
  text: string
  /** `file:line:column` */
  at: string
}

/** Returns all lines of a file, empty ones and comments included. */
export async function readLines(path: string, namedAt: string): Promise<ListLine[]> {
  const lines = (await readText(path, { maxSize: maxList, namedAt })).split('\n')
  return lines.map((text, i) => ({ text, at: `${path}:${i + 1}:1` }))
}

/** Returns the entries of a list, one per line; `#` starts a comment at the start of a line or after white space. */
export async function readList(path: string, namedAt: string): Promise<ListLine[]> {
  const lines = (await readText(path, { maxSize: maxList, namedAt })).split('\n')
  return lines.flatMap((line, i) => {
    const text = line.replace(/(^|\s)#.*$/, '').trim()
    if (text === '') return []
    return [{ text, at: `${path}:${i + 1}:${line.indexOf(text) + 1}` }]
  })
}
