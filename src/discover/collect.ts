import { defined } from '../core/defined.ts'
import { isRecord, type RenderedObject, renderedObjects } from './documents.ts'
import type { Found, How } from './found.ts'
import { isImageText, joinParts, qualifiedImages, withTag } from './image-text.ts'
import { closedGate, fetchedUnless, isPerNode } from './operators.ts'
import { publicUrls } from './urls.ts'

/** Returns the images that a rendered release would pull, and the URLs that its containers would fetch. */
export function collect(rendered: string, release: string): Found {
  const found: Found = { images: [], urls: [] }
  for (const object of renderedObjects(rendered, release)) {
    for (const node of nodesOf(object)) {
      for (const rule of rules) {
        for (const { how, images = [], urls = [], perNode, path = node.path } of rule(node)) {
          const seen = { release, object: `${object.kind} ${object.name}`, path, how }
          const { dormant } = node
          for (const text of new Set(images)) found.images.push(defined({ text, dormant, perNode, seen }))
          for (const url of new Set(urls)) found.urls.push({ url, seen })
        }
      }
    }
  }
  return found
}

/** A map at any depth of an object. */
interface Node {
  object: RenderedObject
  path: string
  value: Record<string, unknown>
  /** see FoundImage */
  dormant?: string
}

function* nodesOf(object: RenderedObject): Generator<Node> {
  const dormant = isTest(object) ? 'only `helm test` runs it' : undefined
  yield* walk(object.value, { path: '', dormant })

  function* walk(value: unknown, place: { path: string; dormant: string | undefined }): Generator<Node> {
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) yield* walk(item, { ...place, path: `${place.path}[${i}]` })
    }
    if (!isRecord(value)) return
    const dormant = place.dormant ?? whyDormant(object, { path: place.path, value })
    yield defined({ object, path: place.path, value, dormant })
    for (const [key, inner] of Object.entries(value))
      yield* walk(inner, { path: place.path === '' ? key : `${place.path}.${key}`, dormant })
  }
}

/** helm.sh/docs/topics/chart_tests */
function isTest({ value }: RenderedObject): boolean {
  const { metadata } = value
  const annotations = isRecord(metadata) ? metadata['annotations'] : undefined
  const hook = isRecord(annotations) ? annotations['helm.sh/hook'] : undefined
  return (
    typeof hook === 'string' && hook.split(',').every(name => /^test(-success|-failure)?$/.test(name.trim()))
  )
}

function whyDormant(
  object: RenderedObject,
  { path, value }: { path: string; value: Record<string, unknown> },
): string | undefined {
  if (value['enabled'] === false) return `${path === '' ? '' : `${path}.`}enabled is false`
  const gate = closedGate(object, path)
  return gate === undefined ? undefined : `${gate} is not true`
}

interface Match {
  how: How
  images?: string[]
  urls?: string[]
  perNode?: true
  /** where it differs from the node's own */
  path?: string
}

/** What counts as a reference; each rule examines one map. */
const rules: readonly ((node: Node) => Match[])[] = [
  imageField,
  joinedParts,
  commandLine,
  environment,
  textData,
]

/** In a container, `busybox` is an image; elsewhere, a single word may be anything. */
function imageField({ path, value }: Node): Match[] {
  const { image } = value
  if (typeof image !== 'string' || joined(value) !== undefined || !isImageText(image)) return []
  const isContainer = /(?:^|\.)(?:containers|initContainers|ephemeralContainers)\[[0-9]+\]$/.test(path)
  if (!isContainer && !/[/:]/.test(image)) return []
  const how = isContainer ? 'container' : 'field'
  return [{ how, images: [withTag(image)], path: `${path}.image` }]
}

function joinedParts({ object, path, value }: Node): Match[] {
  const text = joined(value)
  if (text === undefined) return []
  const perNode = isPerNode(object, path) ? (true as const) : undefined
  return [defined({ how: 'parts' as const, images: [text], path: `${path}.image`, perNode })]
}

/** `repository` (or `registry`) next to `image` and `version`: an operator joins them. */
function joined(value: Record<string, unknown>): string | undefined {
  const text = (key: string) => (typeof value[key] === 'string' ? value[key] : '')
  if (text('repository') === '') return undefined
  return joinParts({
    registry: text('registry'),
    repository: text('repository'),
    image: text('image'),
    version: text('version') || text('tag') || text('imageTag'),
  })
}

function commandLine({ path, value }: Node): Match[] {
  return ['command', 'args'].flatMap(key => {
    const words = value[key]
    if (!Array.isArray(words)) return []
    return words.flatMap((word, i): Match[] => {
      if (typeof word !== 'string') return []
      const place = `${path}.${key}[${i}]`
      return [{ how: 'argument', images: qualifiedImages(word), urls: publicUrls(word), path: place }]
    })
  })
}

function environment({ path, value }: Node): Match[] {
  const { env } = value
  if (!Array.isArray(env)) return []
  return env.flatMap((entry, i): Match[] => {
    if (!isRecord(entry) || typeof entry['value'] !== 'string') return []
    const { name, value: text } = entry
    // a short name counts only if the variable is named as an image
    const isImage =
      typeof name === 'string' && /(?:^|_)IMAGE$/.test(name) && /[/:]/.test(text) && isImageText(text)
    const images = isImage ? [withTag(text)] : qualifiedImages(text)
    const urls = [...publicUrls(text), ...(typeof name === 'string' ? fetchedUnless(name, text) : [])]
    return [{ how: 'env', images, urls, path: `${path}.env[${i}]` }]
  })
}

function textData({ object, path, value }: Node): Match[] {
  if (path !== '') return []
  const data =
    object.kind === 'ConfigMap' ? value['data'] : object.kind === 'Secret' ? value['stringData'] : undefined
  if (!isRecord(data)) return []
  return Object.entries(data).flatMap(([file, text]): Match[] => {
    if (typeof text !== 'string') return []
    // dashboards and rules contain links for people; only scripts fetch
    const urls = file.endsWith('.sh') ? publicUrls(text) : []
    return [{ how: 'text', images: qualifiedImages(text), urls, path: `data["${file}"]` }]
  })
}
