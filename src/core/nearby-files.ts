import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { compareText } from './canonical-json.ts'

/** A person needs a few to see which folder is the right one. */
const most = 5

/**
 * Returns the files that a person may have meant with a path that does not exist: those of its folder with one of the endings, as paths in the
 * same form; at most five, sorted. A folder that cannot be read has none.
 */
export async function nearbyFiles(path: string, endings: readonly string[]): Promise<string[]> {
  const folder = dirname(path)
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries
    .filter(entry => !entry.isDirectory() && endings.some(ending => entry.name.endsWith(ending)))
    .map(({ name }) => (folder === '.' ? name : join(folder, name)))
    .sort(compareText)
    .slice(0, most)
}
