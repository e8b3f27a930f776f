import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { Parser, type ReadEntry } from 'tar'
import { z } from 'zod'
import { AirgapError } from '../../core/errors.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import { type ChartMetadata, parseChartYaml, parseRequirements } from './metadata.ts'

/** Bounds of a chart: the largest public ones are a few MiB; helm itself stops at 100 MiB. */
const maxUnpacked = 100 * 1024 * 1024 /* bytes */
const maxEntries = 20_000
const maxYaml = 1024 * 1024 /* bytes, of Chart.yaml */

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
  const content = new ArchiveContent()
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
  // types that the parser does not know, and headers that are too large
  parser.on('ignoredEntry', (entry: ReadEntry) => note(() => refuseType(entry)))
  try {
    await pipeline(archive, createGunzip(), async source => {
      let size = 0
      for await (const chunk of source as AsyncIterable<Buffer>) {
        if (size === 0) refuseCompressed(chunk)
        size += chunk.length
        parser.write(chunk)
        if (refusal) throw refusal
      }
      // the parser is silent about half a header at the end
      if (size % 512 !== 0) throw new Refusal('it is cut short')
      parser.end()
    })
    if (refusal) throw refusal
  } catch (error) {
    throw refused(error, wanted.item)
  }
  return checked(content, wanted)
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
    likely: 'a damaged or hostile archive',
    next: 'report it to its publisher; do not install it',
    ...(error instanceof Refusal ? {} : { cause: error }),
  })
}

function refuseType(entry: ReadEntry): void {
  if (['File', 'OldFile', 'ContiguousFile', 'Directory', 'GNUDumpDir'].includes(entry.type)) return
  throw new Refusal(`a ${entry.type}: ${JSON.stringify(entry.path.slice(0, 200))}`)
}

/** What has been seen of the archive. helm drops the first part of every path, whatever it is called. */
class ArchiveContent {
  readonly #paths = new Set<string>()
  readonly #yaml = { 'Chart.yaml': [] as Buffer[], 'requirements.yaml': [] as Buffer[] }
  readonly #subcharts = new Set<string>()
  #entries = 0
  #bytes = 0

  enter(entry: ReadEntry): void {
    if (++this.#entries > maxEntries) throw new Refusal(`more than ${maxEntries} entries`)
    refuseType(entry)
    const path = entry.path.replace(/\/$/, '')
    try {
      safeRelativePath(path, 'UPSTREAM_INVALID')
    } catch {
      throw new Refusal(`an unsafe path: ${JSON.stringify(path.slice(0, 200))}`)
    }
    const inside = withoutRoot(path)
    const subchart = /^charts\/([^/]+)/.exec(inside)?.[1]
    if (subchart) this.#subcharts.add(subchart)
    if (entry.type === 'Directory') return
    if (inside === '')
      throw new Refusal(`a file outside of its folder: ${JSON.stringify(path.slice(0, 200))}`)
    // readers differ in which of the two they take
    if (this.#paths.has(inside))
      throw new Refusal(`${JSON.stringify(inside.slice(0, 200))} stands twice in it`)
    this.#paths.add(inside)
  }

  take(path: string, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > maxUnpacked) throw new Refusal(`it unpacks to more than ${maxUnpacked} bytes`)
    const name = withoutRoot(path)
    if (name !== 'Chart.yaml' && name !== 'requirements.yaml') return
    const chunks = this.#yaml[name]
    chunks.push(chunk)
    if (chunks.reduce((sum, { length }) => sum + length, 0) > maxYaml)
      throw new Refusal(`its ${name} is larger than 1 MiB`)
  }

  has(path: string): boolean {
    return this.#paths.has(path)
  }

  text(name: 'Chart.yaml' | 'requirements.yaml'): string {
    return Buffer.concat(this.#yaml[name]).toString('utf8')
  }

  /** Subcharts stand as folders or as NAME-VERSION.tgz. */
  hasSubchart(name: string): boolean {
    return [...this.#subcharts].some(
      file =>
        file === name || (file.startsWith(`${name}-`) && /^v?\d.*\.tgz$/.test(file.slice(name.length + 1))),
    )
  }
}

function withoutRoot(path: string): string {
  const slash = path.indexOf('/')
  return slash < 0 ? '' : path.slice(slash + 1)
}

function checked(content: ArchiveContent, wanted: Wanted): ChartMetadata {
  const { item } = wanted
  if (!content.has('Chart.yaml')) throw refused(new Refusal('it has no Chart.yaml'), item)
  const metadata = readYaml('Chart.yaml', { item, read: () => parseChartYaml(content.text('Chart.yaml')) })
  // with and without v are the same version to helm
  const same = metadata.version.replace(/^v/, '') === wanted.version.replace(/^v/, '')
  if (metadata.name !== wanted.name || !same) {
    const found = `${metadata.name} ${metadata.version}`.slice(0, 200)
    throw refused(new Refusal(`it holds ${found}, not ${wanted.name} ${wanted.version}`), item)
  }
  const declared = (metadata.dependencies ?? []).map(({ name }) => name)
  if (metadata.apiVersion === 'v1' && content.has('requirements.yaml')) {
    declared.push(
      ...readYaml('requirements.yaml', {
        item,
        read: () => parseRequirements(content.text('requirements.yaml')),
      }),
    )
  }
  // also those that a condition turns off: helm refuses to install without them
  const missing = declared.filter(name => !content.hasSubchart(name))
  if (missing.length === 0) return metadata
  throw new AirgapError(
    'UPSTREAM_INVALID',
    `the chart archive is refused: its subcharts ${missing.join(', ')} are missing`,
    {
      item,
      likely: 'it was packed without `helm dependency build`',
      next: 'use another version, or package the chart again with its subcharts and set that repository',
    },
  )
}

function readYaml<T>(name: string, options: { item: string; read: () => T }): T {
  try {
    return options.read()
  } catch (error) {
    const issue = error instanceof z.ZodError ? error.issues[0] : undefined
    const why =
      issue === undefined
        ? `its ${name} cannot be read: ${error instanceof Error ? error.message.split('\n')[0] : 'not YAML'}`
        : `its ${name} is malformed: ${issue.path.join('.') || 'top level'}: ${issue.message}`
    throw refused(new Refusal(why, { cause: error }), options.item)
  }
}
