import { readdir } from 'node:fs/promises'
import { errnoOf, fromSystemError } from './errors.ts'

/** Returns the names in a folder, sorted; none if it does not exist. Throws PERMISSION and the like. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return []
    throw fromSystemError(error, folder)
  }
}
