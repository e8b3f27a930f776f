import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../../core/atomic-file.ts'
import { AirgapError, errnoOf, fromSystemError } from '../../core/errors.ts'
import type { ResolveContext } from '../kind.ts'

/** What apt does not let change unnoticed either, because pins and `package/suite` go by it (pkgAcqMetaBase::VerifyVendor). */
const lastingFields = ['Origin', 'Label', 'Codename'] as const

interface Seen {
  date: Date
  fields: Record<string, string>
}

/**
 * Remembers the newest Release of each suite beside the cache, so that a mirror, or an attacker in front of it, cannot later
 * serve an older signed one with known vulnerabilities (fault 32), or that of another suite (fault 33). Throws UPSTREAM_INVALID.
 */
export async function checkNotOlder(
  release: { base: string; date: Date; fields: Record<string, string> },
  { cache }: Pick<ResolveContext, 'cache'>,
): Promise<void> {
  const folder = join(cache.folder, 'deb-releases')
  const path = join(folder, `${createHash('sha256').update(release.base).digest('hex').slice(0, 32)}.date`)
  const known = await readSeen(path)
  if (known !== undefined && release.date.getTime() < known.date.getTime()) {
    throw new AirgapError(
      'UPSTREAM_INVALID',
      `the Release file of ${release.date.toISOString()} is older than the last one seen, of ${known.date.toISOString()}`,
      {
        item: release.base,
        likely: 'a mirror that lags behind another, or an attacker who serves old, vulnerable packages',
        next: `try again later or use another mirror; if the older state is intended, delete ${path}`,
      },
    )
  }
  for (const name of lastingFields) {
    const [before, after] = [known?.fields[name], release.fields[name] ?? '']
    if (before === undefined || before === after) continue
    throw new AirgapError(
      'UPSTREAM_INVALID',
      `the Release file changed its ${name} from ${JSON.stringify(before)} to ${JSON.stringify(after)}`,
      {
        item: release.base,
        likely:
          "a new release under the same suite name (stable, devel), or another suite's signed file in its place",
        next: `if the change is announced by the archive, delete ${path} and run the command again`,
      },
    )
  }
  const text = seenText(release)
  if (known !== undefined && seenText(known) === text) return
  try {
    await mkdir(folder, { recursive: true })
  } catch (error) {
    throw fromSystemError(error, folder)
  }
  await writeAtomically(path, text)
}

function seenText({ date, fields }: Seen): string {
  return [date.toISOString(), ...lastingFields.map(name => `${name}: ${fields[name] ?? ''}`), ''].join('\n')
}

/** The date in the first line; an older version of airgap wrote nothing else. */
async function readSeen(path: string): Promise<Seen | undefined> {
  try {
    const [first = '', ...lines] = (await readFile(path, 'utf8')).split('\n')
    const date = new Date(first.trim())
    if (Number.isNaN(date.getTime())) return undefined
    const fields = lines.flatMap(line => {
      const mark = line.indexOf(': ')
      return mark < 0 ? [] : [[line.slice(0, mark), line.slice(mark + 2)]]
    })
    return { date, fields: Object.fromEntries(fields) }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  }
}
