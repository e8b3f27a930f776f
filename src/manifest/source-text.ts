import { open } from 'node:fs/promises'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'

/** Lists larger than this are not written by people. */
const maxList = 4 * 1024 * 1024 /* bytes */
/** Parsing takes some seconds a MiB; what is long goes into lists. */
const maxManifest = 1024 * 1024 /* bytes */

/** Reads the text of a manifest, or of another YAML file that a person wrote. */
export async function readManifest(path: string): Promise<string> {
  return await readText(path, { maxSize: maxManifest })
}

/** UTF-8; a BOM and CRLF are tolerated. `asker` is who named the file, for the message. */
async function readText(path: string, options: { maxSize: number; asker?: string }): Promise<string> {
  const { asker } = options
  let bytes: Buffer
  try {
    bytes = await readBounded(path, options.maxSize)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && asker !== undefined) {
      throw new AirgapError('FILE_NOT_FOUND', 'no such file', {
        item: path,
        likely: `asked for by ${asker}; paths are meant from the manifest's folder`,
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
    throw new AirgapError('MANIFEST_INVALID', 'not UTF-8 text', {
      item: path,
      next: 'save it as UTF-8',
      cause: error,
    })
  }
  return text.replaceAll('\r\n', '\n')
}

/** At most `maxSize` bytes are read, also of a device or a file that grows. */
async function readBounded(path: string, maxSize: number): Promise<Buffer> {
  const handle = await open(path, 'r')
  try {
    const stat = await handle.stat()
    if (stat.isDirectory())
      throw new AirgapError('MANIFEST_INVALID', 'a folder, not a file', { item: path, next: 'name a file' })
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of handle.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxSize) {
        throw new AirgapError('MANIFEST_INVALID', `larger than ${maxSize} bytes`, {
          item: path,
          next: 'name a manifest or a list; long lists are files of their own: `- list: FILE`',
        })
      }
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, size)
  } finally {
    await handle.close()
  }
}

/** One entry of a list: its text and where it stands. */
export interface ListLine {
  text: string
  /** `file:line:column` */
  at: string
}

/** The lines of a file as they are, empty ones and comments too. */
export async function readLines(path: string, asker: string): Promise<ListLine[]> {
  const lines = (await readText(path, { maxSize: maxList, asker })).split('\n')
  return lines.map((text, i) => ({ text, at: `${path}:${i + 1}:1` }))
}

/** Lists hold one entry a line; `#` begins a comment, at the start of a line or after white space. */
export async function readList(path: string, asker: string): Promise<ListLine[]> {
  const lines = (await readText(path, { maxSize: maxList, asker })).split('\n')
  return lines.flatMap((line, i) => {
    const text = line.replace(/(^|\s)#.*$/, '').trim()
    if (text === '') return []
    return [{ text, at: `${path}:${i + 1}:${line.indexOf(text) + 1}` }]
  })
}
