import { readFile } from 'node:fs/promises'
import { errnoOf, fromSystemError } from './errors.ts'

/** Reads a text in UTF-8; undefined where the file does not exist. Throws PERMISSION, IO. */
export async function readTextFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  }
}
