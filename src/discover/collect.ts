import { defined } from '../core/defined.ts'
import { textBefore } from '../core/trim.ts'
import { isRecord, type RenderedObject } from './documents.ts'
import { ownHosts } from './downloads/fetches.ts'
import { sourcesOf } from './downloads/sources.ts'
import type { Found, Undecided } from './found.ts'
import { type Composed, composer, hasVersionOnly, isKnownResource } from './operators/compose.ts'
import { type Definitions, definitionsOf, withDefaults } from './operators/definitions.ts'
import { canNameImages, unsetImages } from './operators/image-fields.ts'
import { matchesIn, type Surroundings } from './references/in-map.ts'
import type { Match } from './references/match.ts'
import { type Node, nodesOf } from './walk.ts'

/** The objects of a release. */
export interface Rendering {
  release: string
  objects: readonly RenderedObject[]
  /** why nothing of it is installed in this cluster */
  condition?: string
}

/**
 * Returns the images that the rendered releases of an environment would pull, the URLs that its programs and controllers would
 * fetch, and what cannot be decided. Releases are collected together: one installs an operator, another its resources.
 */
export function collect(renderings: readonly Rendering[]): Found {
  const world = renderings.flatMap(({ objects }) => objects)
  const surroundings: Surroundings = { own: ownHosts(world), configMaps: configMapsOf(world) }
  const composedOf = composer(world)
  const definitions = definitionsOf(world)
  const found: Found = { images: [], urls: [], undecided: [] }
  for (const { release, objects, condition } of renderings) {
    for (const object of objects)
      collectObject(withDefaults(object, definitions), {
        release,
        condition,
        world,
        surroundings,
        composedOf,
        definitions,
        found,
      })
  }
  return { ...found, undecided: stillUndecided(found) }
}

interface Target {
  release: string
  condition: string | undefined
  world: readonly RenderedObject[]
  surroundings: Surroundings
  composedOf: (object: RenderedObject) => Composed
  definitions: Definitions
  found: Found
}

function collectObject(
  object: RenderedObject,
  { release, condition, world, surroundings, composedOf, definitions, found }: Target,
): void {
  const before = found.images.length + found.undecided.length
  const known = new Set<string>()
  const add = (
    { how, path, images = [], urls = [], undecided = [], perNode, dormant }: Match,
    node?: Node,
  ) => {
    const off = node?.dormant ?? dormant ?? condition
    const seen = { release, object: `${object.kind} ${object.name}`, path, how }
    for (const text of new Set(images)) {
      if (known.has(`${path}\n${text}`)) continue
      known.add(`${path}\n${text}`)
      found.images.push(defined({ text, dormant: off, perNode, seen }))
    }
    if (off !== undefined) return
    for (const url of new Set(urls)) found.urls.push({ url, seen })
    for (const { subject, reason } of undecided) found.undecided.push({ subject, reason, seen })
  }
  for (const node of nodesOf(decoded(object), world)) {
    for (const match of matchesIn(node, surroundings)) add(match, node)
    if (!('kind' in node.value) || typeof node.value['kind'] !== 'string') continue
    for (const { url, path } of sourcesOf(node.object)) add({ how: 'field', urls: [url], path }, node)
  }
  const subject = `${object.kind} ${object.name}`
  const { images, undecided } = composedOf(object)
  for (const { text, path } of images) add({ how: 'operator', images: [text], path })
  if (undecided.length > 0)
    add({ how: 'operator', path: 'spec', undecided: undecided.map(one => ({ subject, ...one })) })
  if (isKnownResource(object)) return
  const isSilent = found.images.length + found.undecided.length === before
  const reason = isSilent ? whySilent(object, definitions) : whyPartial(object, definitions)
  if (reason !== undefined) add({ how: 'operator', path: 'spec', undecided: [{ subject, reason }] })
}

/** Why a custom resource that names no image may have some. */
function whySilent(object: RenderedObject, definitions: Definitions): string | undefined {
  if (hasVersionOnly(object))
    return 'it has a version and no image: its operator starts images that the rendering does not show'
  return canNameImages(object, definitions)
    ? 'it may name images, and names none: its operator starts images that the rendering does not show'
    : undefined
}

/** Why a custom resource that names images may have more. */
function whyPartial(object: RenderedObject, definitions: Definitions): string | undefined {
  const keys = unsetImages(object, definitions)
  return keys.length === 0
    ? undefined
    : `it leaves ${keys.slice(0, 3).join(', ')} to its operator, which may start images that the rendering does not show`
}

/** With the data of Secrets as text. */
function decoded(object: RenderedObject): RenderedObject {
  const { data } = object.value
  if (object.kind !== 'Secret' || !isRecord(data)) return object
  const texts = Object.entries(data).flatMap(([key, value]) => {
    const text = typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : ''
    // binary data, such as a compressed release
    return text === '' || /[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text) ? [] : [[key, text] as const]
  })
  return { ...object, value: { ...object.value, data: Object.fromEntries(texts) } }
}

function configMapsOf(world: readonly RenderedObject[]): Map<string, string> {
  return new Map(
    world.flatMap(({ kind, name, value }) =>
      kind === 'ConfigMap' && isRecord(value['data'])
        ? Object.entries(value['data']).map(([key, text]) => [`${name}/${key}`, String(text)] as const)
        : [],
    ),
  )
}

/** Drops what another place decides: the repository is found with a version. */
function stillUndecided({ images, undecided }: Found): Undecided[] {
  const repositories = new Set(images.map(({ text }) => textBefore(text, '@').replace(/:[^/:]*$/, '')))
  const texts = new Set(images.map(({ text }) => text))
  const composed = images.filter(({ seen }) => seen.how === 'operator').map(({ text }) => text)
  const seen = new Set<string>()
  return undecided.filter(({ subject, reason }) => {
    const id = `${subject}\n${reason}`
    if (seen.has(id) || repositories.has(subject) || texts.has(subject)) return false
    if (composed.some(text => text.startsWith(`${subject}/`))) return false
    seen.add(id)
    return true
  })
}
