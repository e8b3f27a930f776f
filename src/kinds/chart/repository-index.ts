import { z } from 'zod'
import { chosenByHelm, newestFirst, parseChartVersion } from '../../core/chart-version.ts'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { redactText, redactUrl } from '../../core/redact.ts'
import { leadsCloser } from '../../remote/addresses.ts'
import { entriesOf, IndexFault } from './index-text.ts'

/** One version of a chart in a repository's index.yaml (helm.sh/docs/topics/chart_repository); only what we use. */
const entrySchema = z.object({
  version: z.string(),
  urls: z.array(z.string()).nullish(),
  // quoted by some tools
  digest: z
    .string()
    .nullish()
    .transform(digest => (/^(null|~|)$/.test(digest ?? '') ? undefined : digest?.replace(/^sha256:/i, ''))),
})
type Entry = z.infer<typeof entrySchema>

/** helm passes over entries that are null, or whose name or version no chart can have (`loadIndex`, `Metadata.Validate`). */
const validEntry = entrySchema.extend({
  name: z.string().min(1).nullish(),
  type: z.enum(['', 'application', 'library']).nullish(),
})

export interface IndexEntry {
  version: string
  /** absolute */
  url: string
  /** hex, where the repository has it */
  sha256?: string
}

interface WantedChart {
  repo: string
  name: string
  /** a version, or a constraint as helm reads it */
  version: string
}

/**
 * Finds a chart's archive as helm does (`IndexFile.Get`): by the exact text of its version, else the newest version that satisfies
 * it as a constraint. Throws NOT_FOUND_UPSTREAM with near versions; UPSTREAM_INVALID where the index cannot be read, or has two
 * digests for the version.
 */
export function findInIndex(text: string, wanted: WantedChart): IndexEntry {
  const { repo, name, version } = wanted
  const listed = listedEntries(text, wanted)
  const entries = listed
    .flatMap(entry => {
      const parsed = validEntry.safeParse(entry)
      return parsed.success && parseChartVersion(parsed.data.version) !== undefined ? [parsed.data] : []
    })
    .sort((a, b) => newestFirst(a.version, b.version))
  const found = chosenByHelm(entries, version)
  if (found === undefined) throw missing(wanted, { listed, entries })
  const same = entries.filter(entry => entry.version === found.version)
  const digests = new Set(same.flatMap(entry => entry.digest?.toLowerCase() ?? []))
  if (digests.size > 1) throw invalid(repo, `it lists ${name} ${found.version} with different digests`)
  const [digest] = digests
  if (digest !== undefined && !/^[0-9a-f]{64}$/.test(digest))
    throw invalid(repo, `the digest of ${name} ${found.version} is not SHA-256`)
  // of entries that agree, one with a digest: its archive can be verified
  const { urls } = same.find(entry => entry.digest !== undefined) ?? found
  if (urls?.[0] === undefined || urls[0] === '')
    throw invalid(repo, `the entry of ${name} ${found.version} has no usable urls`)
  const url = archiveUrl(urls[0], repo)
  checkWay(url, { repo, isVouched: digest !== undefined })
  return { version: found.version, url, ...defined({ sha256: digest }) }
}

function listedEntries(text: string, { repo, name }: WantedChart): unknown[] {
  let value: unknown
  try {
    value = entriesOf(text, name)
  } catch (error) {
    throw error instanceof IndexFault ? invalid(repo, error.message, error.cause) : error
  }
  if (Array.isArray(value)) return value
  throw new AirgapError('NOT_FOUND_UPSTREAM', `the repository has no chart ${name}`, {
    item: redactUrl(repo),
    likely: 'a typing mistake, or the chart is in another repository',
    next: 'correct name: or repo: in the manifest',
  })
}

function missing(
  { repo, name, version }: WantedChart,
  { listed, entries }: { listed: readonly unknown[]; entries: readonly Entry[] },
): AirgapError {
  const written = z.array(z.looseObject({ version: z.string() }).catch({ version: '' })).parse(listed)
  if (written.some(entry => entry.version === version))
    return invalid(repo, `the entry of ${name} ${version} is not that of a chart`)
  const versions = [...new Set(entries.map(entry => entry.version))]
  return new AirgapError('NOT_FOUND_UPSTREAM', `chart ${name} has no version ${version}`, {
    item: redactUrl(repo),
    likely:
      versions.length === 0
        ? 'its index lists no valid version of this chart'
        : `available: ${versions.slice(0, 8).join(', ').slice(0, 500)}`,
    next: 'correct the version in the manifest',
  })
}

/**
 * `ResolveReferenceURL` of helm: a relative address starts below the repository's and gets its query, because that is how signed
 * repositories work. Another host never gets it.
 */
function archiveUrl(url: string, repo: string): string {
  const base = new URL(repo)
  base.pathname = `${base.pathname.replace(/\/$/, '')}/`
  let made: URL
  try {
    made = new URL(url, base)
  } catch (error) {
    throw invalid(repo, 'the address of an archive is not a URL', error)
  }
  if (made.protocol === 'oci:') {
    const parent = url.replace(/\/[^/]*$/, '')
    throw new AirgapError('UNSUPPORTED', 'the repository refers to an OCI registry', {
      item: redactUrl(url).slice(0, 300),
      likely: 'its charts have moved there',
      next: `set \`repo: ${redactText(parent)}\` in the manifest`,
    })
  }
  if (made.protocol !== 'https:' && made.protocol !== 'http:')
    throw invalid(repo, `the address of an archive begins with ${made.protocol}`)
  if (made.username !== '' || made.password !== '')
    throw invalid(repo, 'the address of an archive has a user or password')
  const isRelative = !/^[a-z][a-z0-9+.-]*:/i.test(url)
  if (isRelative && made.origin === base.origin && base.search !== '') made.search = base.search
  made.hash = ''
  return made.href
}

/**
 * An index must not lead closer to this machine than it is itself (SSRF), nor from https down to http where it has no digest of the
 * archive: then nobody would vouch for its bytes.
 */
function checkWay(url: string, { repo, isVouched }: { repo: string; isVouched: boolean }): void {
  const [to, from] = [new URL(url), new URL(repo)]
  if (leadsCloser(to, { from }))
    throw invalid(repo, `the address of an archive is in a private network, and the index is not: ${to.host}`)
  if (from.protocol === 'https:' && to.protocol === 'http:' && !isVouched)
    throw invalid(repo, `the address of an archive leads from https to http, without a digest: ${to.host}`)
}

function invalid(repo: string, what: string, cause?: unknown): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the chart repository cannot be read: ${what}`, {
    item: redactUrl(repo),
    likely: 'the address is not that of a chart repository, or the index is damaged or malicious',
    next: 'check the address of the repository, or report it to its publisher',
    cause,
  })
}
