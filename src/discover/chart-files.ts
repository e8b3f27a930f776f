import { createReadStream } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, posix, relative, sep } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Parser, type ReadEntry } from 'tar'

/** path in the chart → text: the templates and values schemas of a chart and of its subcharts, packed ones included */
export type ChartFiles = ReadonlyMap<string, string>

/** Larger than any public chart; helm itself stops at 100 MiB. */
const maxChart = 100 << 20 /* bytes */

const isWanted = (path: string) => /(?:^|\/)(?:templates\/.*|values\.schema\.json)$/.test(path)
const isArchive = (path: string) => /(?:^|\/)charts\/[^/]+\.tgz$/.test(path)

/** Reads a chart: a folder or an archive. What cannot be read is left out: helm reports it. */
export async function readChartFiles(chart: string): Promise<ChartFiles> {
  const files = new Map<string, string>()
  const found = await stat(chart).catch(() => undefined)
  if (found?.isDirectory()) await readFolder(chart, files)
  else if (found?.isFile()) await readArchive(createReadStream(chart), { files, folder: '' })
  return files
}

async function readFolder(chart: string, files: Map<string, string>): Promise<void> {
  const entries = await readdir(chart, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    const file = join(entry.parentPath, entry.name)
    const path = relative(chart, file).split(sep).join('/')
    if (!entry.isFile()) continue
    if (isWanted(path)) files.set(path, await readFile(file, 'utf8').catch(() => ''))
    if (isArchive(path))
      await readArchive(createReadStream(file), { files, folder: path.replace(/\.tgz$/, '') })
  }
}

async function readArchive(
  archive: Readable,
  { files, folder }: { files: Map<string, string>; folder: string },
): Promise<void> {
  const inner: { path: string; content: Buffer }[] = []
  let size = 0
  const parser = new Parser()
  parser.on('entry', (entry: ReadEntry) => {
    // without the chart's own folder
    const path = posix.join(folder, entry.path.replace(/^(?:\.\/)*[^/]*\//, ''))
    const chunks: Buffer[] = []
    const wanted = isWanted(path) || isArchive(path)
    entry.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (wanted && size <= maxChart) chunks.push(chunk)
    })
    entry.on('end', () => {
      const content = Buffer.concat(chunks)
      if (isArchive(path)) inner.push({ path, content })
      else if (wanted) files.set(path, content.toString())
    })
  })
  // the parser is a stream of another library's types; what can be read of a damaged archive is enough here, and helm reports it
  await pipeline(archive, parser as unknown as NodeJS.WritableStream).catch(() => undefined)
  for (const { path, content } of inner)
    await readArchive(Readable.from([content]), { files, folder: path.replace(/\.tgz$/, '') })
}
