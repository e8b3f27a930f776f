import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../../content/layout-store.ts'
import { AirgapError, errnoOf, fromSystemError } from '../../core/errors.ts'
import type { ResolveContext } from '../kind.ts'

/**
 * Remembers the newest Release of each suite, beside the cache, so that a mirror (or whoever sits in front of it) cannot
 * give out an older signed one, with its known holes, later on. Throws UPSTREAM_INVALID.
 */
export async function checkNotOlder(
  release: { base: string; date: Date },
  { cache }: Pick<ResolveContext, 'cache'>,
): Promise<void> {
  const folder = join(cache.folder, 'deb-releases')
  const path = join(folder, `${createHash('sha256').update(release.base).digest('hex').slice(0, 32)}.date`)
  const newest = await readDate(path)
  if (newest !== undefined && release.date.getTime() < newest.getTime()) {
    throw new AirgapError(
      'UPSTREAM_INVALID',
      `the Release file of ${release.date.toISOString()} is older than the one of ${newest.toISOString()} seen before`,
      {
        item: release.base,
        likely: 'a mirror that lags behind another, or someone giving out old, vulnerable packages',
        next: `try again later or use another mirror; if you went back on purpose, delete ${path}`,
      },
    )
  }
  if (newest?.getTime() === release.date.getTime()) return
  try {
    await mkdir(folder, { recursive: true })
  } catch (error) {
    throw fromSystemError(error, folder)
  }
  await writeAtomically(path, `${release.date.toISOString()}\n`)
}

async function readDate(path: string): Promise<Date | undefined> {
  try {
    const date = new Date((await readFile(path, 'utf8')).trim())
    return Number.isNaN(date.getTime()) ? undefined : date
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  }
}
