import { z } from 'zod'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { redactText, redactUrl } from '../../core/redact.ts'
import { parseTexts } from './metadata.ts'

/** One version of a chart in a repository's index.yaml (helm.sh/docs/topics/chart_repository); only what we use. */
const entrySchema = z.object({
  version: z.string(),
  urls: z.array(z.string()).min(1),
  // one parser reads `digest:` without a value as text, the other as null
  digest: z
    .string()
    .nullish()
    .transform(digest => (/^(null|~|)$/.test(digest ?? '') ? undefined : digest?.replace(/^sha256:/, ''))),
})

export interface IndexEntry {
  /** absolute */
  url: string
  /** hex, where the repository has it */
  sha256?: string
}

interface WantedChart {
  repo: string
  name: string
  version: string
}

/** Finds a chart's archive. Throws NOT_FOUND_UPSTREAM with near versions, and UPSTREAM_INVALID where the index cannot be read. */
export function findInIndex(text: string, wanted: WantedChart): IndexEntry {
  const { repo, name, version } = wanted
  const entries = z.array(z.looseObject({ version: z.string() })).safeParse(versionsOf(text, wanted))
  if (!entries.success) {
    throw new AirgapError('NOT_FOUND_UPSTREAM', `the repository has no chart ${name}`, {
      item: redactUrl(repo),
      likely: 'a typing mistake, or the chart is in another repository',
      next: 'correct name: or repo: in the manifest',
    })
  }
  const found = entries.data.filter(entry => entry.version === version)
  if (found.length === 0) {
    const versions = entries.data.map(entry => entry.version)
    const near = versions.filter(other => other.replace(/^v/, '') === version.replace(/^v/, ''))
    throw new AirgapError('NOT_FOUND_UPSTREAM', `chart ${name} has no version ${version}`, {
      item: redactUrl(repo),
      likely: `available: ${(near.length > 0 ? near : versions.slice(0, 8)).join(', ').slice(0, 500)}`,
      next: 'correct the version in the manifest',
    })
  }
  if (found.length > 1) throw invalid(repo, `it lists ${name} ${version} twice`)
  const entry = entrySchema.safeParse(found[0])
  if (!entry.success) throw invalid(repo, `the entry of ${name} ${version} has no usable urls`)
  const { digest, urls } = entry.data
  if (digest !== undefined && !/^[0-9a-f]{64}$/.test(digest))
    throw invalid(repo, `the digest of ${name} ${version} is not SHA-256`)
  return { url: absolute(urls[0]!, repo), ...defined({ sha256: digest }) }
}

/**
 * The list of one chart's versions. Indexes of public repositories reach tens of megabytes: in helm's own output, the entry of
 * a chart is a block that can be cut out by indentation. Any other form is parsed completely.
 */
function versionsOf(text: string, wanted: WantedChart): unknown {
  const { name, repo } = wanted
  if (text.trimStart().startsWith('{')) return child(child(readJson(text, repo), 'entries'), name)
  const blocks = cutBlocks(text, name)
  if (blocks !== undefined) {
    if (blocks.length > 1) throw invalid(repo, `it lists ${name} twice`)
    return blocks[0] === undefined ? undefined : child(readYaml(blocks[0], repo), name)
  }
  if (text.length > maxWhole)
    throw invalid(repo, `it is larger than ${maxWhole} bytes and not formatted as helm formats it`)
  return child(child(readYaml(text, repo), 'entries'), name)
}

/** Parsing needs about 100 times the text's size in memory. */
const maxWhole = 8 * 1024 * 1024

/**
 * The blocks of `  NAME:` under `entries:`; undefined where the text is not formatted as helm does: a line at that depth is
 * neither a name nor a list item, or no line has that depth.
 */
function cutBlocks(text: string, name: string): string[] | undefined {
  const entries = /^entries:[ \t\r]*$/m.exec(text)
  if (!entries) return undefined
  const lines = /^( {0,2})(?![ \t\n\r]|$)(.*)$/gm
  lines.lastIndex = entries.index + entries[0].length
  const blocks: string[] = []
  let named = false
  let start: number | undefined
  let end = text.length
  for (let line = lines.exec(text); line !== null; line = lines.exec(text)) {
    const [, indent, rest = ''] = line
    if (indent === '  ' && rest.startsWith('- ')) continue
    if (indent === '') {
      end = line.index
      break
    }
    const key = /^(["']?)([A-Za-z0-9._-]+)\1:\s*$/.exec(rest)?.[2]
    if (indent !== '  ' || key === undefined) return undefined
    named = true
    if (start !== undefined) blocks.push(text.slice(start, line.index))
    start = key === name ? line.index : undefined
  }
  if (start !== undefined) blocks.push(text.slice(start, end))
  return named ? blocks : undefined
}

function readYaml(text: string, repo: string): unknown {
  try {
    return parseTexts(text)
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
  return made.href
}

function invalid(repo: string, what: string, cause?: unknown): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the chart repository cannot be read: ${what}`, {
    item: redactUrl(repo),
    likely: 'the address is not that of a chart repository, or the index is damaged or malicious',
    next: 'check the address of the repository, or report it to its publisher',
    cause,
  })
}
