import { defined } from '../../core/defined.ts'
import { isRecord } from '../documents.ts'
import { type Fetches, fetchedByPrograms, fetchedByValue, fetchedByWord } from '../downloads/fetches.ts'
import { sourceUrl } from '../downloads/urls.ts'
import type { How } from '../found.ts'
import { injectedImage } from '../operators/compose.ts'
import { closedVariable, isCatalogue, isPerNode } from '../operators/gates.ts'
import { below, type Node } from '../walk.ts'
import { flagsOf } from './command-line.ts'
import { isImageText, isShortVersioned, isVersioned, qualifiedImages, withTag } from './image-text.ts'
import { type Joined, join, type Named } from './join.ts'
import { type Match, unversioned } from './match.ts'
import { roleOf } from './roles.ts'
import { textMatches } from './text.ts'

/** What the whole environment says: see `ownHosts` and `valuesFrom`. */
export interface Surroundings {
  own: ReadonlySet<string>
  /** values of ConfigMaps, by `name/key` */
  configMaps: ReadonlyMap<string, string>
}

/** Returns everything that one map refers to; its inner maps are not part of it. */
export function matchesIn(node: Node, surroundings: Surroundings): Match[] {
  // the list that contains it joins it with its neighbours
  if (node.path.endsWith(']') && isPair(node.value)) return []
  const named: Named[] = []
  const rest: { key: string; text: string; path: string }[] = []
  const matches: Match[] = []
  for (const [key, value] of Object.entries(node.value)) {
    const path = below(node.path, key)
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      named.push({ name: key, value: String(value), place: path })
      if (typeof value === 'string') rest.push({ key, text: value, path })
    } else if (Array.isArray(value)) {
      const words = wordsOf(value, path)
      if (words !== undefined) matches.push(...inList(words, { node, key, surroundings }))
      else if (isPairs(value)) matches.push(...inPairs(value, { node, key, path, surroundings }))
    }
  }
  return [...inEntries(node, { named, rest, surroundings }), ...matches]
}

/** Keys of lists of containers, in pods and in custom resources. */
const containerLists =
  /^(?:containers|initContainers|ephemeralContainers|sidecars|extraContainers|extraInitContainers|additionalContainers|sidecarContainers|steps|stepTemplate)$/
const containerMaps = /^(?:container|script|sidecar|initContainer|mainContainer|containerTemplate)$/

function isContainer({ key, value }: Node): boolean {
  if (containerLists.test(key) || containerMaps.test(key)) return true
  // values of charts have the same keys, but no name and no list of mounts
  return (
    typeof value['name'] === 'string' && ('imagePullPolicy' in value || Array.isArray(value['volumeMounts']))
  )
}

function inEntries(
  node: Node,
  {
    named,
    rest,
    surroundings,
  }: { named: Named[]; rest: { key: string; text: string; path: string }[]; surroundings: Surroundings },
): Match[] {
  const { object, path, key, value, hub } = node
  const verbatim = isContainer(node)
  const parent = roleOf(key)
  // `images: {logger: {repository, name, tag}}`: a map of images by their purpose
  const underImage =
    (parent !== undefined && ['image', 'images', 'weak'].includes(parent.role) && path !== '') ||
    /(?:^|[.\s])images\.[\w-]+$/.test(path)
  // `image: auto` in a container: replaced before anything is pulled
  const injected = typeof value['image'] === 'string' ? injectedImage(value['image']) : undefined
  if (injected !== undefined) {
    const isKnown = node.world.some(
      ({ kind, value: other }) =>
        kind === 'ConfigMap' && JSON.stringify(other['data'] ?? '').includes(injected.knownBy),
    )
    const injection = {
      subject: `${object.kind} ${object.name}`,
      reason: 'an admission webhook chooses its image',
    }
    return isKnown ? [] : [{ how: 'container', path: below(path, 'image'), undecided: [injection] }]
  }
  const isVolume = underImage && typeof value['reference'] === 'string'
  const entries = isVolume
    ? named.map(one => (one.name === 'reference' ? { ...one, name: 'image' } : one))
    : named
  const joined = join(
    kustomized(key === 'annotations' ? entries.filter(({ name }) => !isCatalogue(name)) : entries),
    defined({ underImage, verbatim: verbatim || isVolume, hub }),
  )
  const bare = bareWord(value['image'], verbatim)
  if (bare !== undefined && !joined.used.has(below(path, 'image')))
    joined.images.push({ text: bare, place: below(path, 'image'), joined: false })
  const perNode = isPerNode(object, path) ? (true as const) : undefined
  const matches = imagesOf(joined, verbatim || isVolume ? 'container' : 'field').map(match =>
    match.images === undefined ? match : defined({ ...match, perNode }),
  )
  for (const { key: name, text, path: place } of rest) {
    // `images: {agent: acme/agent:1}`
    if (parent?.role === 'images' && !joined.used.has(place) && isShortVersioned(text))
      matches.push({ how: 'field', path: place, images: [text] })
    if (joined.used.has(place) || (key === 'annotations' && isCatalogue(name))) continue
    // an artifact or a repository that a controller fetches; https may be anything
    const source = /^(?:oci|docker|hf|git|ssh):\/\//.test(text) ? sourceUrl(text) : undefined
    if (source !== undefined) matches.push({ how: 'field', path: place, urls: [source] })
    matches.push(...textMatches(text, { key: name, path: place, own: surroundings.own }))
  }
  if (key === 'env' || key === 'environment')
    for (const { name, value: text, place } of named)
      matches.push(
        ...fetched(fetchedByValue(name, { value: text, own: surroundings.own }), { how: 'env', path: place }),
      )
  return matches
}

/** In a container, `busybox` is an image; elsewhere, a single word may be anything. */
function bareWord(image: unknown, verbatim: boolean): string | undefined {
  if (!verbatim || typeof image !== 'string' || !isImageText(image) || isVersioned(image)) return undefined
  return withTag(image)
}

/** `images: [{name: a/b, newName: c/d, newTag: v1}]` (kubectl.docs.kubernetes.io: Kustomization, images). */
function kustomized(entries: Named[]): Named[] {
  if (!entries.some(({ name }) => name === 'newTag' || name === 'newName')) return entries
  const hasNew = entries.some(({ name }) => name === 'newName')
  return entries
    .filter(({ name }) => !(hasNew && name === 'name'))
    .map(one => ({
      ...one,
      name: one.name === 'newName' ? 'name' : one.name === 'newTag' ? 'tag' : one.name,
    }))
}

type Words = { text: string; place: string }[]

function wordsOf(list: unknown[], path: string): Words | undefined {
  const words = list.map((text, i) => ({ text, place: `${path}[${i}]` }))
  const texts = words.flatMap(({ text, place }) => (typeof text === 'string' ? [{ text, place }] : []))
  return texts.length > 0 && list.every(item => typeof item !== 'object') ? texts : undefined
}

function inList(
  words: Words,
  { node, key, surroundings }: { node: Node; key: string; surroundings: Surroundings },
): Match[] {
  const role = roleOf(key)
  if (role?.role === 'images' || role?.role === 'image')
    return words.flatMap(({ text, place }) => {
      // `old=new:1` of kustomize
      const image = text.replace(/^[^=]*=/, '')
      const isImage = isImageText(image) && isVersioned(image)
      return isImage ? [{ how: 'field' as const, images: [image], path: place }] : []
    })
  const isCommand = /^(?:command|args|cmd|entrypoint|exec|script)$|Args$|Command$/.test(key)
  if (!isCommand && !words.some(({ text }) => text.startsWith('--')))
    return words.flatMap(({ text, place }) => textMatches(text, { key, path: place, own: surroundings.own }))
  const how = 'argument'
  const named = flagsOf(words)
  const numbered = named.map((one, i) => ({ ...one, place: `${one.place}#${i}` }))
  const joined = join(numbered, ofProgram(node))
  const found = imagesOf(joined, how).map(match => ({
    ...match,
    path: match.path.replace(/#\d+$/, ''),
    how: how as How,
  }))
  const known = new Set(found.flatMap(({ images = [] }) => images))
  const command = [node.value['command'], node.value['args']].flat().join(' ')
  const texts = words.flatMap(({ text, place }) => {
    const images = qualifiedImages(text.replace(/(?:^|\s)#\s.*$/gm, '')).filter(
      image => !isPartOf(image, known),
    )
    const fetches = isCommand
      ? fetchedByWord(text, { own: surroundings.own, command })
      : { urls: [], undecided: [] }
    return [
      ...(images.length > 0 ? [{ how: how as How, images, path: place }] : []),
      ...fetched(fetches, { how, path: place }),
    ]
  })
  const isLast = key === 'args' || !('args' in node.value)
  const programs =
    isCommand && isLast ? fetchedByPrograms(command || words.map(({ text }) => text).join(' ')) : []
  const fetches = programs.length > 0 ? [{ how: how as How, path: words[0]!.place, urls: programs }] : []
  return [...found, ...texts, ...fetches]
}

function ofProgram({ value }: Node): { program?: string } {
  return typeof value['image'] === 'string' ? { program: value['image'] } : {}
}

/** Already found, with the digest that belongs to it. */
function isPartOf(image: string, known: ReadonlySet<string>): boolean {
  return known.has(image) || [...known].some(one => one.startsWith(`${image}@`))
}

/** `env:` of containers, `parameters:` of Argo CD and many more: a list of names with values. */
function isPairs(list: unknown[]): list is { name: string; value?: unknown; valueFrom?: unknown }[] {
  return (
    list.length > 0 &&
    list.every(item => isRecord(item) && typeof item['name'] === 'string') &&
    list.every(isPair)
  )
}

function isPair(item: unknown): boolean {
  return (
    isRecord(item) &&
    typeof item['name'] === 'string' &&
    Object.keys(item).every(key =>
      /^(?:name|value|valueFrom|type|description|default|forceString)$/.test(key),
    ) &&
    Object.keys(item).length > 1 &&
    !('image' in item)
  )
}

function inPairs(
  list: { name: string; value?: unknown; valueFrom?: unknown }[],
  { node, key, path, surroundings }: { node: Node; key: string; path: string; surroundings: Surroundings },
): Match[] {
  const named = list.flatMap(({ name, value, valueFrom }, i): Named[] => {
    const text =
      typeof value === 'object' || value === undefined
        ? fromConfigMap(valueFrom, surroundings)
        : String(value)
    return text === undefined ? [] : [{ name, value: text, place: `${path}[${i}]` }]
  })
  const joined = join(named, ofProgram(node))
  const isEnvironment = /env/i.test(key)
  return [
    ...imagesOf(joined, 'env').map(match => {
      const name = named.find(({ place }) => place === match.path)?.name ?? ''
      const dormant = match.dormant ?? closedVariable(name, node.world)
      return defined({ ...match, dormant })
    }),
    ...named.flatMap(({ name, value, place }) => [
      ...(isEnvironment && !joined.used.has(place) && isShortVersioned(value)
        ? [{ how: 'env' as const, images: [value], path: place }]
        : []),
      ...(joined.used.has(place)
        ? []
        : textMatches(value, { key: name, path: place, own: surroundings.own })
      ).map(match => ({
        ...match,
        how: match.how === 'text' ? ('env' as const) : match.how,
        urls: [],
      })),
      ...(isEnvironment
        ? fetched(fetchedByValue(name, { value, own: surroundings.own }), { how: 'env', path: place })
        : []),
    ]),
  ]
}

function fromConfigMap(valueFrom: unknown, { configMaps }: Surroundings): string | undefined {
  const reference = isRecord(valueFrom) ? valueFrom['configMapKeyRef'] : undefined
  return isRecord(reference) ? configMaps.get(`${reference['name']}/${reference['key']}`) : undefined
}

function imagesOf({ images, unversioned: left }: Joined, how: How): Match[] {
  return [
    ...images.map(({ text, place, joined, dormant }) =>
      defined({
        how: joined && how !== 'env' && how !== 'argument' ? ('parts' as const) : how,
        images: [text],
        path: place,
        dormant,
      }),
    ),
    ...left.map(one => ({ how, path: one.place, undecided: [unversioned(one)] })),
  ]
}

function fetched({ urls, undecided }: Fetches, { how, path }: { how: How; path: string }): Match[] {
  const matches: Match[] = urls.length > 0 ? [{ how, path, urls }] : []
  const reason = 'a program may open connections to it'
  return undecided.length > 0
    ? [...matches, { how, path, undecided: undecided.map(subject => ({ subject, reason })) }]
    : matches
}
