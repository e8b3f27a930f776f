import { dirname, join, resolve } from 'node:path'
import { canonicalJson, compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { type Platform, parsePlatform } from '../core/platform.ts'
import { formatReference, parseReference, type Reference, splitRepository } from '../core/reference.ts'
import { safeRelativePath } from '../core/safe-path.ts'
import { type PositionedDocument, parseManifestDocument } from './document.ts'
import { type ManifestDocument, manifestSchema } from './schema.ts'
import { type ListLine, readList, readText } from './source-text.ts'
import type {
  ChartRequest,
  DebRequest,
  FileRequest,
  ImageRequest,
  StackManifest,
  TreeRequest,
} from './stack.ts'

/** Reads a stack manifest and all the lists it names. MANIFEST_INVALID, REFERENCE_INVALID, FILE_NOT_FOUND, NAME_COLLISION. */
export async function loadManifest(path: string): Promise<StackManifest> {
  const document = parseManifestDocument(await readText(path), { file: path, schema: manifestSchema })
  const { value } = document
  const folder = dirname(resolve(path))
  const context = { document, folder, platforms: value.platforms.map(parsePlatform) }
  return {
    file: resolve(path),
    folder,
    name: value.name,
    version: value.version,
    platforms: context.platforms,
    sources: value.sources,
    images: await imagesOf(context),
    charts: distinct(
      value.charts.map((chart, i) => chartOf(chart, document.at(['charts', i]))),
      chart => `${chart.name} ${chart.version}`,
    ),
    files: distinct(
      value.files.map((file, i) => fileOf(file, document.at(['files', i]))),
      file => file.path,
    ),
    debs: distinct(await Promise.all(value.debs.map((_, i) => debOf(context, i))), deb => deb.name),
    trees: distinct(
      value.trees.map(
        (tree, i): TreeRequest => ({
          at: document.at(['trees', i]),
          folder: resolve(folder, tree.from),
          ...tree,
        }),
      ),
      tree => tree.name,
    ),
    collisions: value.collisions,
    firstUse: value.firstUse,
  }
}

interface Context {
  document: PositionedDocument<ManifestDocument>
  folder: string
  platforms: Platform[]
}

async function imagesOf({ document, folder, platforms }: Context): Promise<ImageRequest[]> {
  const requests: ImageRequest[] = []
  for (const [i, entry] of document.value.images.entries()) {
    const at = document.at(['images', i])
    const plain = (line: ListLine): ImageRequest => {
      const reference = referenceAt(line)
      return { at: line.at, reference, from: reference, platforms, referrers: false, foreignLayers: 'refuse' }
    }
    if (typeof entry === 'string') requests.push(plain({ text: entry, at }))
    else if ('list' in entry) requests.push(...(await readList(join(folder, entry.list), at)).map(plain))
    else {
      const reference = referenceAt({ text: entry.ref, at: document.at(['images', i, 'ref']) })
      requests.push({
        at,
        reference,
        from:
          entry.from === undefined
            ? reference
            : fetchedFrom(reference, { text: entry.from, at: document.at(['images', i, 'from']) }),
        platforms: entry.platforms?.map(parsePlatform) ?? platforms,
        referrers: entry.referrers ?? false,
        foreignLayers: entry.foreignLayers ?? 'refuse',
      })
    }
  }
  return distinct(requests, request => formatReference(request.reference))
}

function referenceAt(line: ListLine): Reference {
  try {
    return parseReference(line.text)
  } catch (error) {
    if (!(error instanceof AirgapError)) throw error
    throw new AirgapError(error.code, error.message, {
      item: `${line.at}: ${line.text.slice(0, 200)}`,
      ...(error.next === undefined ? {} : { next: error.next }),
      cause: error,
    })
  }
}

/** `from` may leave the tag out: then it is the one of the name. */
function fetchedFrom(reference: Reference, from: ListLine): Reference {
  const last = from.text.slice(from.text.lastIndexOf('/') + 1)
  if (/[:@]/.test(last)) return referenceAt(from)
  const suffix = `${reference.tag === undefined ? '' : `:${reference.tag}`}${reference.digest === undefined ? '' : `@${reference.digest}`}`
  const { host, repository } = splitRepository(from.text)
  return referenceAt({ text: `${host}/${repository}${suffix}`, at: from.at })
}

function chartOf({ sha256, ...chart }: ManifestDocument['charts'][number], at: string): ChartRequest {
  return { at, ...chart, ...(sha256 === undefined ? {} : { sha256 }) }
}

function fileOf(file: ManifestDocument['files'][number], at: string): FileRequest {
  const { url, sha256, path, executable } = file
  return {
    at,
    url,
    path: path === undefined ? pathOfUrl(url, at) : safeRelativePath(path, 'MANIFEST_INVALID'),
    executable: executable ?? false,
    ...(sha256 === undefined ? {} : { sha256 }),
  }
}

/** Host and path of the URL, percent-escapes decoded, no query: what a site asks for under /files (fault 60). */
function pathOfUrl(url: string, at: string): string {
  const refuse = (what: string) =>
    new AirgapError('MANIFEST_INVALID', what, {
      item: `${at}: ${url.slice(0, 200)}`,
      next: 'give the file a name with `path:`',
    })
  let parsed: URL
  let path: string
  try {
    parsed = new URL(url)
    path = decodeURIComponent(parsed.pathname)
  } catch {
    throw refuse('not a URL')
  }
  if (path.endsWith('/')) throw refuse('the URL ends without a file name')
  try {
    return safeRelativePath(`${parsed.hostname}${path}`, 'MANIFEST_INVALID')
  } catch {
    throw refuse('no file name can be made of the URL')
  }
}

async function debOf({ document, folder }: Context, index: number): Promise<DebRequest> {
  const entry = document.value.debs[index]!
  const at = document.at(['debs', index])
  const { packages: written, lists, keys, ...rest } = entry
  const listed = await Promise.all(
    lists.map((list, i) => readList(join(folder, list), document.at(['debs', index, 'lists', i]))),
  )
  const lines = [
    ...written.map((text, i) => ({ text, at: document.at(['debs', index, 'packages', i]) })),
    ...listed.flat(),
  ]
  for (const line of lines) {
    // debian-policy 5.6.1: names; 5.6.12: versions
    if (/^[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+~:-]+)?$/.test(line.text)) continue
    throw new AirgapError('MANIFEST_INVALID', 'not a package name', {
      item: `${line.at}: ${line.text.slice(0, 200)}`,
      next: 'write one name (or name=version) a line',
    })
  }
  if (lines.length === 0) {
    throw new AirgapError('MANIFEST_INVALID', 'no packages are asked for', {
      item: at,
      next: 'add `packages:` or `lists:`',
    })
  }
  const packages = [...new Set(lines.map(line => line.text))].sort(compareText)
  return { at, ...rest, keys: keys.map(key => resolve(folder, key)), packages }
}

/** The same thing asked for twice is one; the same name with other wishes is a mistake that names both places. */
function distinct<T extends { at: string }>(requests: T[], nameOf: (request: T) => string): T[] {
  const found = new Map<string, T>()
  const wishes = ({ at, ...rest }: T) => canonicalJson(rest)
  for (const request of requests) {
    const name = nameOf(request)
    const before = found.get(name)
    if (before === undefined) found.set(name, request)
    else if (wishes(before) !== wishes(request)) {
      throw new AirgapError('NAME_COLLISION', `asked for twice, in different ways: ${name}`, {
        item: `${before.at} and ${request.at}`,
        next: 'keep one of them',
      })
    }
  }
  return [...found.values()]
}
