import { defined } from '../core/defined.ts'
import { isRecord, type RenderedObject } from './documents.ts'
import { closedGate, notChosen } from './operators/gates.ts'
import { hasHost, isImageText } from './references/image-text.ts'
import type { Hub } from './references/join.ts'
import { embeddedDocuments, nestedDocuments } from './references/nested.ts'

/** A map at any depth of an object, or of a document inside a text of the object. */
export interface Node {
  object: RenderedObject
  /** all objects of the rendering */
  world: readonly RenderedObject[]
  path: string
  /** the key of the map; for an item of a list, that of the list */
  key: string
  value: Record<string, unknown>
  /** inside a text */
  inText?: true
  /** see FoundImage */
  dormant?: string
  hub?: Hub
}

/** Documents in texts of documents in texts, …: Argo CD applications that install Argo CD. */
const maxNesting = 5

/** Neither pulls anything, nor does any controller read images from there. */
const skippedKeys = new Set([
  'labels',
  'matchLabels',
  'matchExpressions',
  'nodeSelector',
  'selector',
  'managedFields',
  'ownerReferences',
  'openAPIV3Schema',
  'status',
])
const skippedKinds =
  /^(?:Cluster)?Role(?:Binding)?$|^(?:Validating|Mutating)WebhookConfiguration$|^(?:Service|Pod)Monitor$|^(?:PrometheusRule|NetworkPolicy|PriorityClass|StorageClass|Service|ServiceAccount|CustomResourceDefinition|APIService)$/

/** Returns the maps of an object from the outside in, including those of documents inside its texts. */
export function* nodesOf(object: RenderedObject, world: readonly RenderedObject[]): Generator<Node> {
  if (skippedKinds.test(object.kind)) return
  const dormant = isTest(object) ? 'only `helm test` runs it' : undefined
  const base = { object, owner: object, world, nesting: 0, hub: undefined, inText: undefined, dormant }
  yield* walk(object.value, { ...base, path: '', key: '' })
}

interface Place {
  object: RenderedObject
  /** the object that contains the text */
  owner: RenderedObject
  world: readonly RenderedObject[]
  path: string
  key: string
  nesting: number
  inText: true | undefined
  dormant: string | undefined
  hub: Hub | undefined
}

function* walk(value: unknown, place: Place): Generator<Node> {
  if (typeof value === 'string') return yield* walkText(value, place)
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) yield* walk(item, { ...place, path: `${place.path}[${i}]` })
    return
  }
  if (!isRecord(value)) return
  const { object, path, key } = place
  const dormant =
    place.dormant ??
    whyDormant(object, { path, value }) ??
    notChosen(place.owner, { path, value, world: place.world })
  const hub = hubOf(value, place.hub)
  yield defined({ object, world: place.world, path, key, value, inText: place.inText, dormant, hub })
  for (const [inner, item] of Object.entries(value)) {
    if (skippedKeys.has(inner) && typeof item === 'object') continue
    yield* walk(item, { ...place, dormant, hub, path: below(path, inner), key: inner })
  }
}

function* walkText(text: string, place: Place): Generator<Node> {
  if (place.nesting >= maxNesting || !mayName(text) || isExample(place.key)) return
  for (const document of [...nestedDocuments(text), ...embeddedDocuments(text)]) {
    if (isRecord(document) && isForPeople(document)) continue
    const isObject = isRecord(document) && typeof document['kind'] === 'string'
    const object = isObject
      ? { kind: document['kind'] as string, name: place.object.name, value: document }
      : { ...place.object, kind: '' }
    if (isObject && skippedKinds.test(object.kind)) continue
    const inside = {
      ...place,
      object,
      path: `${place.path}:`,
      nesting: place.nesting + 1,
      inText: true as const,
    }
    yield* walk(document, inside)
  }
}

/** Whether a text is worth parsing. */
export function mayName(text: string): boolean {
  return (
    text.length > 8 &&
    /image|repositor|registry|"hub"|\bhub:|_img|@sha256:|[a-z0-9]\.[a-z]{2,}(?::[0-9]+)?\/[a-z0-9/._-]+[:@]/i.test(
      text,
    )
  )
}

/** Knative and KServe document their ConfigMaps in a key that no program reads; so does OLM the resources of an operator. */
export function isExample(key: string): boolean {
  return key === '_example' || key === 'alm-examples'
}

/** Dashboards of Grafana and schemas: `image` is a label or a property in them. */
function isForPeople(document: Record<string, unknown>): boolean {
  const isDashboard = Array.isArray(document['panels']) || Array.isArray(document['rows'])
  return isDashboard || '$schema' in document || 'openapi' in document
}

export function below(path: string, key: string): string {
  if (!/^[A-Za-z0-9_-]+$/.test(key)) return `${path}["${key}"]`
  if (path === '') return key
  return path.endsWith(':') ? `${path} ${key}` : `${path}.${key}`
}

/** Keys for the registry path of all images below. */
const hubKeys = ['hub', 'base', 'imageRegistry', 'containerRegistry', 'imageRepository', 'registry']

function hubOf(value: Record<string, unknown>, outer: Hub | undefined): Hub | undefined {
  // `defaults: {registry}` beside the images
  const defaults = isRecord(value['defaults']) ? value['defaults'] : {}
  const own = [...hubKeys.map(key => value[key]), defaults['registry']].find(
    text => typeof text === 'string' && hasHost(`${text}/`),
  )
  const hub = typeof own === 'string' && isImageText(`${own}/x`) ? own : outer?.hub
  if (hub === undefined) return undefined
  const stated = value['tag'] ?? (own === undefined ? undefined : (value['imageTag'] ?? value['version']))
  const tag = typeof stated === 'string' || typeof stated === 'number' ? String(stated) : ''
  return tag === '' ? { ...outer, hub } : { hub, tag }
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

/** Keys of a map that turn the feature off which the map describes, with the value that does. */
const gates: readonly [string, RegExp][] = [
  ['enabled', /^false$/i],
  ['enable', /^false$/i],
  ['install', /^false$/i],
  ['deploy', /^false$/i],
  ['disabled', /^true$/i],
  ['disable', /^true$/i],
  ['mode', /^(?:none|disabled?|off)$/i],
  ['managementState', /^removed$/i],
]

function whyDormant(
  object: RenderedObject,
  { path, value }: { path: string; value: Record<string, unknown> },
): string | undefined {
  for (const [key, closed] of gates) {
    const state = value[key]
    if (typeof state !== 'boolean' && typeof state !== 'string') continue
    if (closed.test(String(state))) return `${below(path, key)} is ${state}`
  }
  return closedGate(object, path)
}
