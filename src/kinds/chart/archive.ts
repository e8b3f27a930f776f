import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { Parser, type ReadEntry } from 'tar'
import { parse } from 'yaml'
import { z } from 'zod'
import { AirgapError, errnoOf } from '../../core/errors.ts'
import { safeRelativePath } from '../../core/safe-path.ts'

/** Bounds of a chart: the largest public ones are a few MiB. */
const maxUnpacked = 100 * 1024 * 1024 /* bytes */
const maxEntries = 20_000
const maxChartYaml = 1024 * 1024 /* bytes */

const metadataSchema = z
  .looseObject({
    name: z.string(),
    version: z.coerce.string(),
    dependencies: z.array(z.looseObject({ name: z.string(), repository: z.string().optional() })).optional(),
  })
  .catchall(z.json())
export type ChartMetadata = z.infer<typeof metadataSchema>

/**
 * Reads a chart archive without unpacking it. Refuses paths that leave it, links, devices and bombs (fault 55), a chart that
 * is not the one asked for (57), and declared subcharts that are not inside (58).
 */
export async function readChartArchive(
  archive: Readable,
  wanted: { name: string; version: string; item: string },
): Promise<ChartMetadata> {
  const { item } = wanted
  const fail = (what: string, cause?: unknown) =>
    new AirgapError('UPSTREAM_INVALID', `the chart archive is refused: ${what}`, {
      item,
      likely: 'a damaged or hostile archive',
      next: 'report it to its publisher; do not install it',
      cause,
    })
  const found = { entries: 0, bytes: 0, names: new Set<string>(), chartYaml: [] as Buffer[] }
  let refusal: AirgapError | undefined
  const parser = new Parser({ strict: true })
  parser.on('entry', (entry: ReadEntry) => {
    try {
      check(entry, found)
    } catch (error) {
      refusal ??= fail(error instanceof AirgapError ? `${error.message} ${error.item ?? ''}` : String(error))
    }
    entry.on('data', (chunk: Buffer) => {
      found.bytes += chunk.length
      if (found.bytes > maxUnpacked) refusal ??= fail(`it unpacks to more than ${maxUnpacked} bytes`)
      if (isChartYaml(entry.path)) found.chartYaml.push(chunk)
    })
  })
  try {
    await pipeline(archive, createGunzip(), async source => {
      for await (const chunk of source as AsyncIterable<Buffer>) {
        parser.write(chunk)
        if (refusal) throw refusal
      }
      parser.end()
    })
  } catch (error) {
    if (error instanceof AirgapError) throw error
    throw fail(errnoOf(error) ?? (error instanceof Error ? error.message : 'it cannot be read'), error)
  }
  if (refusal) throw refusal
  return checkMetadata(readMetadata(found.chartYaml, fail), { wanted, names: found.names, fail })
}

type Fail = (what: string, cause?: unknown) => AirgapError

function check(entry: ReadEntry, found: { entries: number; names: Set<string> }): void {
  const path = entry.path.replace(/\/$/, '')
  found.entries++
  if (found.entries > maxEntries) throw new AirgapError('UPSTREAM_INVALID', `more than ${maxEntries} entries`)
  if (!['File', 'OldFile', 'ContiguousFile', 'Directory', 'GNUDumpDir'].includes(entry.type)) {
    throw new AirgapError('UPSTREAM_INVALID', `a ${entry.type}:`, { item: path })
  }
  safeRelativePath(path, 'UPSTREAM_INVALID')
  const subchart = /^[^/]+\/charts\/([^/]+)/.exec(path)?.[1]
  if (subchart) found.names.add(subchart)
}

/** Chart.yaml of the chart itself, not of a subchart. */
function isChartYaml(path: string): boolean {
  return /^[^/]+\/Chart\.yaml$/.test(path)
}

function readMetadata(chunks: Buffer[], fail: Fail): ChartMetadata {
  const text = Buffer.concat(chunks)
  if (text.length === 0) throw fail('it has no Chart.yaml')
  if (text.length > maxChartYaml) throw fail('its Chart.yaml is larger than 1 MiB')
  let value: unknown
  try {
    value = parse(text.toString('utf8'), {
      maxAliasCount: 100,
      schema: 'core',
      uniqueKeys: true,
      logLevel: 'error',
    })
  } catch (error) {
    throw fail('its Chart.yaml is not YAML', error)
  }
  const parsed = metadataSchema.safeParse(value)
  if (!parsed.success) throw fail(`its Chart.yaml is malformed: ${parsed.error.issues[0]?.message}`)
  return parsed.data
}

function checkMetadata(
  metadata: ChartMetadata,
  context: { wanted: { name: string; version: string }; names: Set<string>; fail: Fail },
): ChartMetadata {
  const { wanted, names, fail } = context
  const same = metadata.version.replace(/^v/, '') === wanted.version.replace(/^v/, '')
  if (metadata.name !== wanted.name || !same) {
    throw fail(`it holds ${metadata.name} ${metadata.version}, not ${wanted.name} ${wanted.version}`)
  }
  for (const dependency of metadata.dependencies ?? []) {
    // subcharts stand as folders or as NAME-VERSION.tgz
    const inside = [...names].some(name => name === dependency.name || name.startsWith(`${dependency.name}-`))
    if (!inside) throw fail(`its subchart ${dependency.name} is not inside`)
  }
  return metadata
}
