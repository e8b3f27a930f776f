import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { Parser, type ReadEntry } from 'tar'
import { z } from 'zod'
import { isSameVersion } from '../../core/chart-version.ts'
import { AirgapError } from '../../core/errors.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import { type ChartMetadata, parseChartName, parseChartYaml, parseRequirements } from './metadata.ts'

/** Bounds of a chart: the largest public ones are a few MiB; helm itself stops at 100 MiB. */
const maxUnpacked = 100 * 1024 * 1024 /* bytes */
const maxEntries = 20_000
const maxYaml = 1024 * 1024 /* bytes, of Chart.yaml */

interface Bounds {
  /** bytes, unpacked */
  bytes: number
  entries: number
}

interface Wanted {
  name: string
  version: string
  /** for messages: where the archive is from */
  item: string
}

/**
 * Reads a chart archive without unpacking it. Refuses paths that leave it, links, devices and bombs (fault 55), a chart that
 * is not the requested one (57), and declared subcharts that are not inside (58): UPSTREAM_INVALID.
 */
export async function readChartArchive(archive: Readable, wanted: Wanted): Promise<ChartMetadata> {
  const content = new ArchiveContent({ bytes: maxUnpacked, entries: maxEntries })
  try {
    await scan(archive, content)
    return await checked(content, wanted)
  } catch (error) {
    throw refused(error, wanted.item)
  }
}

async function scan(archive: Readable, content: ArchiveContent): Promise<void> {
  const parser = new Parser({ strict: true })
  let refusal: unknown
  const note = (work: () => void) => {
    try {
      work()
    } catch (error) {
      refusal ??= error
    }
  }
  parser.on('entry', (entry: ReadEntry) => {
    note(() => content.enter(entry))
    entry.on('data', (chunk: Buffer) => note(() => content.take(entry.path, chunk)))
  })
  // what follows the end of the archive is ignored, as by every reader
  let ended = false
  parser.on('eof', () => {
    ended = true
  })
  // types that the parser does not know, and headers that are too large
  parser.on('ignoredEntry', (entry: ReadEntry) => note(() => refuseType(entry)))
  await pipeline(archive, createGunzip(), async source => {
    let size = 0
    for await (const chunk of source as AsyncIterable<Buffer>) {
      if (size === 0) refuseCompressed(chunk)
      size += chunk.length
      // the parser would keep all that follows, and copy it with each chunk
      if (!ended) parser.write(chunk)
      if (refusal) throw refusal
    }
    // the parser is silent about half a header at the end
    if (!ended && size % 512 !== 0) throw new Refusal('it is cut short')
    parser.end()
  })
  if (refusal) throw refusal
}

/** The parser would unpack a second time, without bounds; helm does not. */
function refuseCompressed(start: Buffer): void {
  const magic = start.subarray(0, 4).toString('hex')
  if (magic.startsWith('1f8b') || magic === '28b52ffd') throw new Refusal('it is compressed twice')
}

/** Why an archive is refused, in words. */
class Refusal extends Error {}

function refused(error: unknown, item: string): unknown {
  // errors of the store that the archive is read from
  if (error instanceof AirgapError) return error
  if (!(error instanceof Error)) return error
  return new AirgapError('UPSTREAM_INVALID', `the chart archive is refused: ${error.message}`, {
    item,
    likely: 'a damaged or malicious archive',
    next: 'report it to its publisher; do not install it',
    ...(error instanceof Refusal ? {} : { cause: error }),
  })
}

function refuseType(entry: ReadEntry): void {
  if (['File', 'OldFile', 'ContiguousFile', 'Directory', 'GNUDumpDir'].includes(entry.type)) return
  throw new Refusal(`it contains a ${entry.type}: ${JSON.stringify(entry.path.slice(0, 200))}`)
}

/** What has been seen of the archive. helm drops the first part of every path, whatever it is called. */
class ArchiveContent {
  readonly #paths = new Set<string>()
  /** content of the files that `isKept` */
  readonly #kept = new Map<string, Buffer[]>()
  readonly #limit: Bounds
  #entries = 0
  #bytes = 0

  constructor(limit: Bounds) {
    this.#limit = limit
  }

  enter(entry: ReadEntry): void {
    if (++this.#entries > this.#limit.entries) throw new Refusal(`more than ${maxEntries} entries`)
    refuseType(entry)
    const path = normalized(entry.path)
    try {
      safeRelativePath(path, 'UPSTREAM_INVALID')
    } catch {
      throw new Refusal(`an unsafe path: ${JSON.stringify(path.slice(0, 200))}`)
    }
    if (entry.type === 'Directory') return
    const inside = withoutRoot(path)
    if (inside === '')
      throw new Refusal(`a file outside of its folder: ${JSON.stringify(path.slice(0, 200))}`)
    // readers differ in which of the two they take
    if (this.#paths.has(inside))
      throw new Refusal(`${JSON.stringify(inside.slice(0, 200))} appears twice in it`)
    this.#paths.add(inside)
    if (isKept(inside)) this.#kept.set(inside, [])
  }

  take(path: string, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#limit.bytes) throw new Refusal(`it unpacks to more than ${maxUnpacked} bytes`)
    const name = withoutRoot(normalized(path))
    const chunks = this.#kept.get(name)
    if (chunks === undefined) return
    chunks.push(chunk)
    if (name.endsWith('.yaml') && chunks.reduce((sum, { length }) => sum + length, 0) > maxYaml)
      throw new Refusal(`its ${name} is larger than 1 MiB`)
  }

  /** What another archive of the same chart may still have. */
  get left(): Bounds {
    return { bytes: this.#limit.bytes - this.#bytes, entries: this.#limit.entries - this.#entries }
  }

  /** Text of a kept file without its byte order mark: helm removes it as well. */
  text(name: string): string | undefined {
    const chunks = this.#kept.get(name)
    return (
      chunks &&
      Buffer.concat(chunks)
        .toString('utf8')
        .replace(/^\uFEFF/, '')
    )
  }

  /** Subcharts in folders: their Chart.yaml. */
  subchartFolders(): string[] {
    return [...this.#kept.keys()].filter(path => /^charts\/[^/]+\/Chart\.yaml$/.test(path))
  }

  /** Subcharts in archives: their bytes. */
  subchartArchives(): Buffer[] {
    return [...this.#kept].flatMap(([path, chunks]) => (path.endsWith('.tgz') ? [Buffer.concat(chunks)] : []))
  }
}

/** helm ignores subcharts whose name begins with an underscore or a dot. */
function isKept(path: string): boolean {
  return (
    path === 'Chart.yaml' ||
    path === 'requirements.yaml' ||
    /^charts\/[^/_.][^/]*(?:\/Chart\.yaml|\.tgz)$/.test(path)
  )
}

/** Archives that were packed on Windows. */
function normalized(path: string): string {
  return path.replaceAll('\\', '/').replace(/\/$/, '')
}

function withoutRoot(path: string): string {
  const slash = path.indexOf('/')
  return slash < 0 ? '' : path.slice(slash + 1)
}

async function checked(content: ArchiveContent, wanted: Wanted): Promise<ChartMetadata> {
  const text = content.text('Chart.yaml')
  if (text === undefined) throw new Refusal('it has no Chart.yaml')
  const metadata = readYaml('Chart.yaml', () => parseChartYaml(text))
  if (metadata.name !== wanted.name || !isSameVersion(metadata.version, wanted.version)) {
    const found = `${metadata.name} ${metadata.version}`.slice(0, 200)
    throw new Refusal(`it holds ${found}, not ${wanted.name} ${wanted.version}`)
  }
  // helm reads it whatever the apiVersion is, and its list replaces that of Chart.yaml
  const requirements = content.text('requirements.yaml')
  const declared =
    (requirements === undefined
      ? undefined
      : readYaml('requirements.yaml', () => parseRequirements(requirements))) ??
    (metadata.dependencies ?? []).map(({ name }) => name)
  if (declared.length === 0) return metadata
  const present = await subchartNames(content)
  // also those that a condition turns off: helm refuses to install without them
  const missing = [...new Set(declared)].filter(name => !present.has(name))
  if (missing.length === 0) return metadata
  throw new AirgapError(
    'UPSTREAM_INVALID',
    `the chart archive is refused: its subcharts ${missing.join(', ')} are missing`,
    {
      item: wanted.item,
      likely: 'it was packed without `helm dependency build`',
      next: 'use another version, or package the chart again with its subcharts and set that repository',
    },
  )
}

/** A subchart is known by the name in its Chart.yaml (helm's `CheckDependencies`), whatever its folder or archive is called. */
async function subchartNames(content: ArchiveContent): Promise<Set<string>> {
  const names = new Set<string>()
  const add = (text: string | undefined) => {
    const name = text === undefined ? undefined : readYaml('subchart', () => parseChartName(text))
    if (name !== undefined) names.add(name)
  }
  for (const path of content.subchartFolders()) add(content.text(path))
  // all of them together are bounded like the chart itself, and their entries with it: many archives would be as many times the work
  let left = { ...content.left, bytes: maxUnpacked }
  for (const archive of content.subchartArchives()) {
    const inner = new ArchiveContent(left)
    try {
      await scan(Readable.from([archive]), inner)
    } catch (error) {
      const why = error instanceof Error ? error.message : 'it cannot be read'
      throw new Refusal(`one of its subcharts is refused: ${why}`, { cause: error })
    }
    left = inner.left
    add(inner.text('Chart.yaml'))
  }
  return names
}

function readYaml<T>(name: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    const issue = error instanceof z.ZodError ? error.issues[0] : undefined
    const why =
      issue === undefined
        ? `its ${name} cannot be read: ${error instanceof Error ? error.message.split('\n')[0] : 'not YAML'}`
        : `its ${name} is malformed: ${issue.path.join('.') || 'top level'}: ${issue.message}`
    throw new Refusal(why, { cause: error })
  }
}
