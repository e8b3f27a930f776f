import { parse } from 'yaml'
import { z } from 'zod'
import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'

/** One version of a chart in a repository's index.yaml (helm.sh/docs/topics/chart_repository); only what we use. */
const entrySchema = z.object({
  version: z.string(),
  urls: z.array(z.string()).min(1),
  digest: z.string().nullish(),
})

export interface IndexEntry {
  /** absolute */
  url: string
  /** hex, where the repository gives it */
  sha256?: string
}

/** Finds a chart's archive. NOT_FOUND_UPSTREAM names near versions; UPSTREAM_INVALID where the index cannot be read. */
export function findInIndex(
  text: string,
  wanted: { repo: string; name: string; version: string },
): IndexEntry {
  const { repo, name, version } = wanted
  const entries = z.array(z.looseObject({ version: z.coerce.string() })).safeParse(entriesOf(text, wanted))
  if (!entries.success) {
    throw new AirgapError('NOT_FOUND_UPSTREAM', `the repository has no chart ${name}`, {
      item: redactUrl(repo),
      next: 'check name and repository',
    })
  }
  const found = entries.data.find(entry => entry.version === version)
  if (found === undefined) {
    const versions = entries.data.map(entry => entry.version)
    const near = versions.filter(other => other.replace(/^v/, '') === version.replace(/^v/, ''))
    throw new AirgapError('NOT_FOUND_UPSTREAM', `chart ${name} has no version ${version}`, {
      item: redactUrl(repo),
      likely: `there is ${(near.length > 0 ? near : versions.slice(0, 8)).join(', ')}`,
      next: 'correct the version in the manifest',
    })
  }
  const entry = entrySchema.safeParse(found)
  if (!entry.success) throw invalid(repo, `the entry of ${name} ${version} has no usable urls`)
  const digest = entry.data.digest?.replace(/^sha256:/, '')
  if (digest && !/^[0-9a-f]{64}$/.test(digest))
    throw invalid(repo, `the digest of ${name} ${version} is no SHA-256`)
  return { url: absolute(entry.data.urls[0]!, repo), ...(digest ? { sha256: digest } : {}) }
}

/**
 * The list of one chart's versions. Indexes of public repositories reach tens of megabytes, and one chart is wanted: as
 * helm writes them, its entry is a block that can be cut out by indentation. Any other form is parsed whole.
 */
function entriesOf(text: string, wanted: { repo: string; name: string }): unknown {
  if (text.trimStart().startsWith('{'))
    return child(child(readJson(text, wanted.repo), 'entries'), wanted.name)
  const block = cutBlock(text, wanted.name)
  if (block !== undefined) return child(readYaml(block, wanted.repo), wanted.name)
  if (text.length > 32 * 1024 * 1024)
    throw invalid(wanted.repo, 'it is larger than 32 MiB and not in the form that helm writes')
  return child(child(readYaml(text, wanted.repo), 'entries'), wanted.name)
}

function cutBlock(text: string, name: string): string | undefined {
  const entries = /^entries:[ \t]*$/m.exec(text)
  if (!entries) return undefined
  const rest = text.slice(entries.index + entries[0].length)
  const quoted = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const start = new RegExp(`^  "?${quoted}"?:[ \\t]*$`, 'm').exec(rest)
  if (!start) return undefined
  const from = start.index + start[0].length
  const end = /^( {0,2}[^\s#-]| {0,1}\S)/m.exec(rest.slice(from + 1))
  return rest.slice(start.index, end ? from + 1 + end.index : undefined)
}

function readYaml(text: string, repo: string): unknown {
  try {
    return parse(text, { maxAliasCount: 100, schema: 'core', uniqueKeys: true, logLevel: 'error' })
  } catch (error) {
    throw invalid(repo, 'its index.yaml is not YAML', error)
  }
}

function readJson(text: string, repo: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalid(repo, 'its index.yaml is neither YAML nor JSON', error)
  }
}

function child(value: unknown, key: string): unknown {
  return value !== null && typeof value === 'object' && Object.hasOwn(value, key)
    ? Reflect.get(value, key)
    : undefined
}

function absolute(url: string, repo: string): string {
  const base = repo.endsWith('/') ? repo : `${repo}/`
  let made: URL
  try {
    made = new URL(url, base)
  } catch (error) {
    throw invalid(repo, 'it names an archive that is no URL', error)
  }
  if (made.protocol !== 'https:' && made.protocol !== 'http:')
    throw invalid(repo, `it names an archive by ${made.protocol}`)
  return made.href
}

function invalid(repo: string, what: string, cause?: unknown): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the chart repository cannot be read: ${what}`, {
    item: redactUrl(repo),
    next: 'check the address of the repository, or report it to its publisher',
    cause,
  })
}
