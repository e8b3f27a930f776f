import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../../core/atomic-file.ts'
import { AirgapError, errnoOf, fromSystemError } from '../../core/errors.ts'
import type { ResolveContext } from '../kind.ts'

/**
 * Remembers the newest Release of each suite beside the cache, so that a mirror, or an attacker in front of it, cannot later
 * serve an older signed one with known vulnerabilities (fault 32). Throws UPSTREAM_INVALID.
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
      `the Release file of ${release.date.toISOString()} is older than the last one seen, of ${newest.toISOString()}`,
      {
        item: release.base,
        likely: 'a mirror that lags behind another, or an attacker who serves old, vulnerable packages',
        next: `try again later or use another mirror; if the older state is intended, delete ${path}`,
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
