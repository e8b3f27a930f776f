import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { parse } from 'yaml'
import { AirgapError } from '../../../src/core/errors.ts'
import { formatReference } from '../../../src/core/reference.ts'
import type { ChartRequest } from '../../../src/kinds/chart/entry.ts'
import type { ImageRequest } from '../../../src/kinds/image/entry.ts'
import { loadManifest } from '../../../src/manifest/load.ts'
import type { StackManifest } from '../../../src/manifest/stack.ts'
import { wheelFile } from '../../../test/kinds/wheel/support/wheel-file.ts'
import { run } from '../run.ts'
import { type DockerRegistry, startDockerRegistry } from '../upstreams/docker-registry.ts'
import { createLayout, hashFile, type LayerFile, putImage, tagLayout } from '../upstreams/oci-layout.ts'
import { packPublishedCharts } from '../upstreams/published-charts.ts'
import { serveFolder } from '../upstreams/serve-folder.ts'
import type { RealImage } from './cluster-downloads.ts'

/** Programs that `startStackUpstream` needs, and that render the releases. */
export const stackPrograms = ['docker-registry', 'skopeo', 'helm', 'helmfile', 'kubectl'] as const

/** An upstream that serves everything a manifest names, under the publishers' names. */
export interface StackUpstream {
  /** the layer for `--test-upstream` */
  layer: string
  images: number
  charts: number
  files: number
  wheels: number
}

/** `charts` is a folder with the published charts, as archives or unpacked; by default stand-ins are used. */
export async function startStackUpstream(options: {
  manifest: string
  variants: readonly string[]
  charts?: string | undefined
  /** URL → the real file; other files, and wheels, are placeholders */
  real?: ReadonlyMap<string, string>
  /** REGISTRY/NAME:TAG → the real image; other images contain only their name */
  realImages?: ReadonlyMap<string, RealImage>
  /** fetch wheels from the manifest's own indexes */
  realWheels?: boolean
  work: string
  resources: AsyncDisposableStack
  signal?: AbortSignal
}): Promise<StackUpstream> {
  const { work, resources } = options
  const manifest = await loadManifest(options.manifest, { variants: options.variants })
  const registry = await startDockerRegistry(join(work, 'registry'))
  resources.defer(() => registry.close())
  const hosts = new Set<string>()
  for (const request of manifest.images) {
    options.signal?.throwIfAborted()
    hosts.add(await pushImage(request, { registry, work, real: options.realImages ?? new Map() }))
  }
  const folder = join(work, 'web')
  const sources: { from: string; to: string[] }[] = []
  const server = await serveFolder(folder)
  resources.defer(() => server.close())
  const charts = options.charts === undefined ? join(work, 'published-charts') : resolve(options.charts)
  if (options.charts === undefined) await packPublishedCharts(charts)
  const repositories = await layCharts(manifest.charts, { folder, from: charts, work, registry })
  for (const [repo, path] of repositories) sources.push({ from: repo, to: [`${server.url}/${path}`] })
  for (const chart of manifest.charts) if (chart.repo.startsWith('oci://')) hosts.add('docker.io')
  for (const host of hosts) sources.push({ from: host, to: [`http://${registry.host}/${host}`] })
  const checksums = await layFiles(manifest, { folder, real: options.real ?? new Map() })
  for (const origin of new Set(manifest.files.map(file => new URL(file.url).origin)))
    sources.push({ from: `${origin}/`, to: [`${server.url}/files/${new URL(origin).host}/`] })
  const wheels = options.realWheels ? 0 : await layWheels(manifest, join(folder, 'pypi'))
  for (const index of options.realWheels
    ? []
    : new Set(manifest.wheels.flatMap(({ indexes }) => indexes.map(({ url }) => url))))
    sources.push({ from: index, to: [`${server.url}/pypi/`] })
  // addresses that the manifest itself remaps must lead here, too
  for (const { from } of manifest.sources) {
    const host = from.split('/')[0]!
    if (hosts.has(host)) sources.push({ from, to: [`http://${registry.host}/${from}`] })
  }
  const layer = join(work, 'test-upstream.yaml')
  await writeFile(
    layer,
    JSON.stringify({ apiVersion: 'airgap/v1', testUpstream: true, sources, checksums }, null, 2),
  )
  return {
    layer,
    images: manifest.images.length,
    charts: manifest.charts.length,
    files: manifest.files.length,
    wheels,
  }
}

/** Writes a package index (PEP 503) with a wheel without dependencies for every pinned requirement; returns their number. */
async function layWheels(manifest: StackManifest, folder: string): Promise<number> {
  const pages = new Map<string, string>()
  for (const { text } of manifest.wheels.flatMap(({ requirements }) => requirements)) {
    const [, name, version] = /^([\w.-]+)==([\w.!+]+)$/.exec(text) ?? []
    if (name === undefined || version === undefined) continue
    const { project, filename, bytes } = wheelFile({ name, version })
    const digest = createHash('sha256').update(bytes).digest('hex')
    await mkdir(join(folder, project), { recursive: true })
    await writeFile(join(folder, project, filename), bytes)
    pages.set(project, `${pages.get(project) ?? ''}<a href="${filename}#sha256=${digest}">${filename}</a>\n`)
  }
  for (const [project, page] of pages) await writeFile(join(folder, project, 'index.html'), page)
  return pages.size
}

/** Pushes the real image, or for each name a small distinct one: one layer with the name. Returns the host. */
async function pushImage(
  request: ImageRequest,
  { registry, work, real }: { registry: DockerRegistry; work: string; real: ReadonlyMap<string, RealImage> },
): Promise<string> {
  const name = formatReference(request.reference)
  const layout = join(work, 'layout')
  await rm(layout, { recursive: true, force: true })
  await createLayout(layout)
  const image = await putImage(layout, {
    architecture: 'amd64',
    ...(real.get(name) ?? { layers: [await nameLayer(name, work)], config: { Cmd: ['/bin/true'] } }),
  })
  await tagLayout(layout, { image })
  registry.push(`${layout}:image`, name)
  return request.reference.host
}

async function nameLayer(name: string, work: string): Promise<LayerFile> {
  await writeFile(join(work, 'name'), `${name}\n`)
  const path = join(work, 'layer.tar')
  await run(['tar', '--mtime=@0', '--owner=0', '--group=0', '-cf', path, '-C', work, 'name'])
  return { path, gzip: false, diffId: (await hashFile(path)).digest }
}

/** Makes a chart repository with helm for each that the manifest names, and pushes charts of registries. Returns repository → path. */
async function layCharts(
  charts: readonly ChartRequest[],
  { folder, from, work, registry }: { folder: string; from: string; work: string; registry: DockerRegistry },
): Promise<Map<string, string>> {
  const found = await findCharts(from, join(work, 'charts'))
  const repositories = new Map<string, string>()
  for (const { name, version, repo } of charts) {
    const archive = found.get(`${name}-${version}`)
    if (archive === undefined) {
      throw new AirgapError('FILE_NOT_FOUND', `chart ${name} ${version} is missing`, {
        item: from,
        next: 'add NAME-VERSION.tgz, or the unpacked chart, to that folder',
      })
    }
    if (repo.startsWith('oci://')) {
      const path = repo.slice('oci://'.length).replace(/^registry-1\.docker\.io/, 'docker.io')
      await run(['helm', 'push', archive, `oci://${registry.host}/${path}`, '--plain-http'])
      continue
    }
    const path = `charts/${createHash('sha256').update(repo).digest('hex').slice(0, 12)}`
    await mkdir(join(folder, path), { recursive: true })
    await writeFile(join(folder, path, `${name}-${version}.tgz`), await readFile(archive))
    repositories.set(repo, path)
  }
  for (const path of repositories.values()) await run(['helm', 'repo', 'index', join(folder, path)])
  return repositories
}

/** Returns NAME-VERSION → archive; folders with a Chart.yaml are packaged. */
async function findCharts(folder: string, packaged: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  await mkdir(packaged, { recursive: true })
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile() && entry.name.endsWith('.tgz')) found.set(entry.name.slice(0, -4), path)
    if (!entry.isFile() || entry.name !== 'Chart.yaml') continue
    const { name, version } = parse(await readFile(path, 'utf8')) as { name: string; version: string }
    if (found.has(`${name}-${version}`)) continue
    // a subchart inside another chart may be incomplete
    const made = await run(['helm', 'package', dirname(path), '--destination', packaged]).catch(
      () => undefined,
    )
    if (made !== undefined) found.set(`${name}-${version}`, join(packaged, `${name}-${version}.tgz`))
  }
  return found
}

/** Writes a small distinct placeholder for every file. Returns URL → SHA-256 for files with a checksum in the manifest. */
async function layFiles(
  manifest: StackManifest,
  { folder, real }: { folder: string; real: ReadonlyMap<string, string> },
): Promise<Record<string, string>> {
  const checksums: Record<string, string> = {}
  for (const { url, sha256 } of manifest.files) {
    const { host, pathname } = new URL(url)
    const path = join(folder, 'files', host, decodeURIComponent(pathname))
    const text = `placeholder of ${url}\n`
    await mkdir(dirname(path), { recursive: true })
    const given = real.get(url)
    if (given === undefined && /\.t(?:ar\.)?gz$/.test(path)) await packText(path, text)
    else if (given === undefined) await writeFile(path, text)
    else await copyFile(given, path)
    if (sha256 !== undefined) checksums[url] = (await hashFile(path)).digest.slice('sha256:'.length)
  }
  return checksums
}

/** Packs a placeholder as a real archive, because kubespray unpacks it. */
async function packText(path: string, text: string): Promise<void> {
  const folder = `${path}.folder`
  await mkdir(join(folder, 'placeholder'), { recursive: true })
  await writeFile(join(folder, 'placeholder', 'README'), text)
  await run([
    'tar',
    '--sort=name',
    '--mtime=@0',
    '--owner=0',
    '--group=0',
    '-czf',
    path,
    '-C',
    folder,
    'placeholder',
  ])
  await rm(folder, { recursive: true })
}
