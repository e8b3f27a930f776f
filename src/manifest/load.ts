import { dirname, resolve } from 'node:path'
import { compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { parsePlatform } from '../core/platform.ts'
import { formatReference, type Reference } from '../core/reference.ts'
import { safeRelativePath } from '../core/safe-path.ts'
import { distinctRequests, refuseFileInFolder, refuseTwoDigests } from './distinct.ts'
import { parseManifestDocument } from './document.ts'
import { fetchedFrom, publicReferenceAt, referenceAt } from './image-names.ts'
import { debsOf, type LoadContext, rpmsOf, wheelsOf } from './load-packages.ts'
import { createMistakes, type Mistakes } from './mistakes.ts'
import { manifestSchema, overlaySchema } from './schema.ts'
import { type ListLine, readList, readManifest } from './source-text.ts'
import type {
  ChartRequest,
  Excuse,
  FileRequest,
  ImageRequest,
  SourceRemap,
  StackManifest,
  TreeRequest,
} from './stack.ts'
import { withVariants } from './variants.ts'

/**
 * Reads a stack manifest and all the lists it names. `overlays` are further YAML files with `sources:` only (a company's
 * mirrors, a test's registries): tried before the manifest's own, a later file before an earlier one. `variants` of the
 * manifest are taken in by name. `privateAddresses` of registries are kept where somebody wants to be told of them all.
 * Throws MANIFEST_INVALID, REFERENCE_INVALID, FILE_NOT_FOUND, NAME_COLLISION; several mistakes together are MANIFEST_INVALID.
 */
export async function loadManifest(
  path: string,
  options: { overlays?: string[]; variants?: readonly string[]; privateAddresses?: 'refused' | 'kept' } = {},
): Promise<StackManifest> {
  const document = withVariants(
    parseManifestDocument(await readManifest(path), { file: path, schema: manifestSchema }),
    options.variants ?? [],
  )
  const { value } = document
  const folder = dirname(resolve(path))
  const mistakes = createMistakes()
  const context = { document, folder, mistakes }
  const sources = await overlaySources(options.overlays ?? [])
  const manifest: StackManifest = {
    file: resolve(path),
    folder,
    name: value.name,
    version: value.version,
    platforms: value.platforms.map(parsePlatform),
    sources: [...sources, ...value.sources],
    ...(await imagesOf(context, options.privateAddresses === 'kept' ? referenceAt : publicReferenceAt)),
    charts: chartsOf(context),
    files: filesOf(context),
    debs: await debsOf(context),
    rpms: await rpmsOf(context),
    wheels: await wheelsOf(context),
    trees: distinctRequests(
      value.trees.map(
        (tree, i): TreeRequest => ({
          at: document.at(['trees', i]),
          folder: resolve(folder, tree.from),
          ...tree,
        }),
      ),
      { nameOf: tree => tree.name, mistakes },
    ),
    deployments: value.deployments.map(({ helmfile, environments, values }, i) => ({
      at: document.at(['deployments', i]),
      helmfile: resolve(folder, helmfile),
      environments,
      values: values.map(path => resolve(folder, path)),
    })),
    variants: Object.entries(value.variants)
      .map(([name, { description }]) => ({
        name,
        description,
        taken: options.variants?.includes(name) ?? false,
      }))
      .sort((a, b) => compareText(a.name, b.name)),
    versions: value.versions,
    ...(value.compatibility === undefined ? {} : { compatibility: resolve(folder, value.compatibility) }),
    collisions: value.collisions,
    firstUse: value.firstUse,
  }
  mistakes.throwIfAny()
  return manifest
}

async function overlaySources(files: string[]): Promise<SourceRemap[]> {
  const layers = await Promise.all(
    files.map(
      async file => parseManifestDocument(await readManifest(file), { file, schema: overlaySchema }).value,
    ),
  )
  return layers.reverse().flatMap(layer => layer.sources)
}

async function imagesOf(
  context: LoadContext,
  nameAt: (line: ListLine) => Reference,
): Promise<{ images: ImageRequest[]; excuses: Excuse[] }> {
  const { document, folder, mistakes } = context
  const platforms = document.value.platforms.map(parsePlatform)
  const requests: ImageRequest[] = []
  const excuses = excusesOf(context)
  const plain = (line: ListLine) =>
    mistakes.attempt(() => {
      const reference = nameAt(line)
      requests.push({
        at: line.at,
        reference,
        from: reference,
        platforms,
        referrers: false,
        foreignLayers: 'refuse',
      })
    })
  for (const [i, entry] of document.value.images.entries()) {
    const at = document.at(['images', i])
    if (typeof entry === 'string') plain({ text: entry, at })
    else if ('list' in entry) {
      const lines = await mistakes.attemptLater(() => readList(resolve(folder, entry.list), at))
      for (const line of lines ?? []) {
        plain(line)
        if (entry.usedBy !== undefined)
          excuses.push({ at: line.at, name: line.text, reason: `used by ${entry.usedBy}` })
      }
    } else {
      mistakes.attempt(() => {
        const reference = nameAt({ text: entry.ref, at: document.at(['images', i, 'ref']) })
        const from =
          entry.from === undefined
            ? reference
            : fetchedFrom(reference, { text: entry.from, at: document.at(['images', i, 'from']) })
        requests.push({
          at,
          reference,
          from,
          platforms: entry.platforms?.map(parsePlatform) ?? platforms,
          referrers: entry.referrers ?? false,
          foreignLayers: entry.foreignLayers ?? 'refuse',
        })
      })
    }
  }
  const images = distinctRequests(requests, {
    nameOf: request => formatReference(request.reference),
    mistakes,
  })
  refuseTwoDigests(images, mistakes)
  return { images, excuses: excuses.map(excuse => spelledOut(excuse, mistakes)) }
}

function excusesOf({ document }: LoadContext): Excuse[] {
  return document.value.excuses.map(({ name, reason }, i) => ({
    at: document.at(['excuses', i]),
    name,
    reason,
  }))
}

/** Images by their full names, as they are listed and found. */
function spelledOut(excuse: Excuse, mistakes: Mistakes): Excuse {
  if (/^https?:\/\//.test(excuse.name)) return excuse
  const reference = mistakes.attempt(() => referenceAt({ text: excuse.name, at: excuse.at }))
  return reference === undefined ? excuse : { ...excuse, name: formatReference(reference) }
}

function chartsOf({ document, mistakes }: LoadContext): ChartRequest[] {
  const requests: ChartRequest[] = []
  for (const [i, { sha256, ...chart }] of document.value.charts.entries()) {
    mistakes.attempt(() => {
      checkChartRepository(chart.repo, document.at(['charts', i, 'repo']))
      const at = document.at(['charts', i])
      requests.push({ at, ...chart, ...(sha256 === undefined ? {} : { sha256 }) })
    })
  }
  // the name of the archive: `a` 1-b and `a-1` b would be one file
  return distinctRequests(requests, { nameOf: chart => `${chart.name}-${chart.version}`, mistakes })
}

function checkChartRepository(repo: string, at: string): void {
  if (!repo.startsWith('oci://')) {
    refuseSecrets(parseUrl(repo, at), at)
    return
  }
  const [host = '', ...rest] = repo.slice('oci://'.length).replace(/\/+$/, '').split('/')
  const named = /[.:]/.test(host) || host === 'localhost'
  if (named && rest.every(part => part !== '') && !host.includes('@')) return
  throw new AirgapError('MANIFEST_INVALID', 'not the address of an OCI registry', {
    item: `${at}: ${repo.slice(0, 200)}`,
    likely: 'the host is missing: it holds a dot or a port',
    next: 'write it as oci://host/path, without the name of the chart',
  })
}

function filesOf({ document, mistakes }: LoadContext): FileRequest[] {
  const requests: FileRequest[] = []
  for (const [i, file] of document.value.files.entries()) {
    mistakes.attempt(() => {
      const { url, sha256, path, executable } = file
      const written = document.at(['files', i, 'url'])
      const parsed = parseUrl(url, written)
      refuseSecrets(parsed, written)
      requests.push({
        at: document.at(['files', i]),
        url,
        path:
          path === undefined
            ? pathOfUrl(parsed, written)
            : writtenPath(path, document.at(['files', i, 'path'])),
        executable: executable ?? false,
        ...(sha256 === undefined ? {} : { sha256 }),
      })
    })
  }
  const files = distinctRequests(requests, { nameOf: file => file.path, mistakes })
  refuseFileInFolder(files, mistakes)
  return files
}

function parseUrl(url: string, at: string): URL {
  try {
    return new URL(url)
  } catch (error) {
    throw new AirgapError('MANIFEST_INVALID', 'not a URL', {
      item: `${at}: ${url.slice(0, 200)}`,
      next: 'write it as https://host/path',
      cause: error,
    })
  }
}

/** The lock and the bundle carry the URL: a password in it would travel with them. */
function refuseSecrets(url: URL, at: string): void {
  if (url.username === '' && url.password === '') return
  throw new AirgapError('MANIFEST_INVALID', 'a URL with a user or a password', {
    item: `${at}: ${url.protocol}//…@${url.host}`,
    likely: 'the lockfile and the bundle would carry the password',
    next: 'leave it out of the URL',
  })
}

function writtenPath(path: string, at: string): string {
  try {
    return safeRelativePath(path, 'MANIFEST_INVALID')
  } catch (error) {
    throw new AirgapError('MANIFEST_INVALID', 'not a relative path', {
      item: `${at}: ${JSON.stringify(path.slice(0, 200))}`,
      next: 'write it as folder/name, without .. and without a slash at either end',
      cause: error,
    })
  }
}

/** Host and path of the URL, percent-escapes decoded, no query: what a site asks for under /files (fault 60). */
function pathOfUrl(url: URL, at: string): string {
  const refuse = (what: string, cause?: unknown) =>
    new AirgapError('MANIFEST_INVALID', what, {
      item: `${at}: ${url.host}${url.pathname.slice(0, 200)}`,
      next: 'give the file a name with `path:`',
      cause,
    })
  if (url.pathname.endsWith('/')) throw refuse('the URL ends without a file name')
  try {
    return safeRelativePath(`${url.hostname}${decodeURIComponent(url.pathname)}`, 'MANIFEST_INVALID')
  } catch (error) {
    throw refuse('no file name can be made of the URL', error)
  }
}
