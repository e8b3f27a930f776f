import { defined } from '../../core/defined.ts'
import { hasHost, isImageText, isRegistryFolder, isVersioned, withoutScheme, withTag } from './image-text.ts'
import { type NamedRole, roleOf } from './roles.ts'

/** A value with a name: an entry of a map, an environment variable, a flag. */
export interface Named {
  name: string
  value: string
  /** where it is; unique among the entries that are joined */
  place: string
}

export interface Joined {
  images: { text: string; place: string; joined: boolean; dormant?: string }[]
  /** repositories whose version is written nowhere, and folders of repositories */
  unversioned: { text: string; place: string; isFolder: boolean }[]
  /** places whose value is used up */
  used: Set<string>
}

/** What surrounds the entries. */
export interface JoinContext {
  /** the entries are those of one image: the map under `image:` */
  underImage?: boolean
  /** runtimes pull the value of `image` as it is, with `latest` as the default tag: a container */
  verbatim?: boolean
  /** registry path and tag that entries without their own use */
  hub?: Hub
  /** the image of the program that has these entries as its variables or flags */
  program?: string
}

/** A registry path further up, with or without a tag, as charts and operators write them for several images. */
export interface Hub {
  hub: string
  tag?: string
}

interface Entry extends Named, NamedRole {}

/**
 * Joins the parts of images as most operators and charts do: registry, repository and image with `/`, a version with `:`, a
 * digest with `@`. Parts belong together if their names differ in the role only: `QUEUE_IMAGE` and `QUEUE_VERSION`.
 */
export function join(named: readonly Named[], context: JoinContext = {}): Joined {
  const entries = named.flatMap((one): Entry[] => {
    const isOwner = context.underImage === true && /^(?:namespace|project|owner|account)$/.test(one.name)
    const role = isOwner ? { role: 'namespace' as const, stem: '', ofImage: false } : roleOf(one.name)
    if (role === undefined || one.value === '') return []
    const value = one.value.trim()
    if (role.role !== 'tag' || !isVersioned(value)) return [{ ...one, ...role, value }]
    // `EXECUTOR_IMAGE_AND_VERSION`, `INIT_NAME_TAG`
    const stem = role.stem.replace(/(?:^| )name(?: and)?$/, '')
    const isWhole = stem !== role.stem || (role.ofImage && value.includes('/'))
    return [isWhole ? { ...one, ...role, role: 'image', stem, value } : { ...one, ...role, value }]
  })
  const result: Joined = { images: [], unversioned: [], used: new Set() }
  const find = (role: NamedRole['role'], stem: string) =>
    entries.find(one => one.role === role && one.stem === stem)
  const hub = context.hub ?? hubAmong(entries)
  const add = (entry: Entry, text: string, joined: boolean) => {
    const dormant = closedBy(entry, entries)
    result.images.push({ text, place: entry.place, joined, ...(dormant === undefined ? {} : { dormant }) })
    result.used.add(entry.place)
  }

  for (const entry of entries) {
    if (entry.role === 'images') addList(entry)
    else if (entry.role === 'image' || entry.role === 'weak') addImage(entry)
  }
  for (const entry of entries) if (entry.role === 'repository') addRepository(entry)
  if (context.underImage === true) addNamed()
  return result

  function addList(entry: Entry) {
    // `1.2=quay.io/a/b:1.2` of operators that support several versions
    const texts = entry.value.split(/[\s,;]+/).map(word => word.replace(/^[^=]*=/, ''))
    const images = texts.filter(text => isVersioned(text) && isImageText(text) && /[/:]/.test(text))
    for (const text of images) add(entry, text, false)
  }

  function addImage(entry: Entry) {
    const text = withoutScheme(entry.value)
    if (!isImageText(text)) return
    if (entry.role === 'weak' && !(isVersioned(text) && (text.includes('/') || /:v?[0-9]/.test(text)))) return
    const path = prefixed(text, entry.stem)
    const digest = digestOf(entry.stem)
    if (isVersioned(text)) return add(entry, withDigest(path, digest), path !== text || digest !== undefined)
    const version = versionOf(entry.stem) ?? inherited(path)?.tag
    if (version !== undefined || digest !== undefined) {
      const whole = versioned(path, { version, digest })
      // `name: x, version: 1` says nothing about an image; neither does a single word in a key of its own
      if (whole !== undefined && (isPath(path) || entry.role === 'image')) return add(entry, whole, true)
    }
    if (context.verbatim === true && entry.stem === '') return add(entry, withTag(path), path !== text)
    if (isPath(path)) leave(entry, path)
  }

  function addRepository(entry: Entry) {
    const { stem } = entry
    const isTaken = entries.some(
      one => one.role === 'image' && one.stem === stem && result.used.has(one.place),
    )
    const text = withoutScheme(entry.value)
    if (isTaken || !isImageText(text)) return
    // of Helm charts
    if (entry.value.startsWith('oci://') && context.underImage !== true && !entry.ofImage) return
    const outer = context.underImage === true && !hasHost(text) ? inherited(text)?.hub : undefined
    const registry = find('registry', stem)?.value ?? outer
    const image = nameOf(entry, text)
    const path = [registry, find('namespace', stem)?.value, text, image].filter(part => part).join('/')
    const version = versionOf(stem)
    const digest = digestOf(stem)
    // `repository: acme/tools, version: 1` may be a chart or a git repository
    const isImage =
      context.underImage === true ||
      entry.ofImage ||
      hasHost(path) ||
      tagged(stem) ||
      version?.includes('@sha256:')
    if (!isImage || (!isPath(path) && context.underImage !== true && !entry.ofImage)) return
    if (isVersioned(text)) return add(entry, withDigest(path, digest), registry !== undefined)
    const whole = versioned(path, { version, digest })
    // `DEFAULT_REPOSITORY` of a program that is inside it: the folder of other images
    const isOfProgram = !entry.ofImage && context.program?.startsWith(`${path}/`) === true
    if (whole !== undefined && !isOfProgram) add(entry, whole, true)
    else if (context.underImage === true || entry.ofImage || (version !== undefined && isFolder(path)))
      leave(entry, path)
  }

  /** `image: {registry, name, tag}` */
  function addNamed() {
    if (entries.some(one => one.role === 'repository' || one.role === 'image')) return
    const entry = find('name', '')
    if (entry === undefined) return
    const path = prefixed(withoutScheme(entry.value), '')
    if (!isImageText(path)) return
    const digest = digestOf('')
    const whole = isVersioned(path)
      ? withDigest(path, digest)
      : versioned(path, { version: versionOf(''), digest })
    if (whole !== undefined) add(entry, whole, true)
    else if (hasHost(path)) leave(entry, path)
  }

  function prefixed(text: string, stem: string): string {
    if (hasHost(text)) return text
    const parts = (['registry', 'namespace', 'repository'] as const).map(
      role => find(role, stem)?.value ?? '',
    )
    const own = parts.filter(part => part !== '' && isImageText(`${part}/x`)).join('/')
    const prefix = own === '' ? (inherited(text)?.hub ?? '') : own
    const path = prefix === '' ? text : `${prefix}/${text}`
    return isImageText(path) ? path : text
  }

  /** Of a single word; other text is a whole path, which only lacks a registry. */
  function inherited(path: string): Hub | undefined {
    if (hub === undefined) return undefined
    const isRegistry = !hub.hub.includes('/')
    return isRegistry || !path.includes('/') || path.startsWith(`${hub.hub}/`) ? hub : undefined
  }

  /** `repository: quay.io/acme, name: agent`: the last part of the path; elsewhere, a name is a label */
  function nameOf({ stem }: Entry, repository: string): string | undefined {
    if (stem === '' && context.underImage !== true) return undefined
    const name = find('name', stem)?.value
    if (name === undefined || !isImageText(name) || isVersioned(name)) return undefined
    return repository === name || repository.endsWith(`/${name}`) ? undefined : name
  }

  function versionOf(stem: string): string | undefined {
    const words = stem === '' ? [] : stem.split(' ')
    // `ENTERPRISE_DATABASE_IMAGE` with `DATABASE_VERSION`, `DATABASE_BASE_IMAGE` with `DATABASE_VERSION`
    const stems = [
      stem,
      ...words.slice(1).map((_, i) => words.slice(i + 1).join(' ')),
      ...(words.at(-1) === 'base' ? [words.slice(0, -1).join(' ')] : []),
    ]
    for (const one of stems) {
      const found = entries.filter(entry => entry.role === 'tag' && entry.stem === one)
      const entry =
        found.find(({ ofImage }) => ofImage) ?? found.find(({ name }) => /tag$/i.test(name)) ?? found[0]
      if (entry !== undefined) return entry.value
    }
    return undefined
  }

  function digestOf(stem: string): string | undefined {
    const text = find('digest', stem)?.value
    if (text === undefined) return undefined
    const digest = /^[0-9a-f]{64}$/.test(text) ? `sha256:${text}` : text
    return /^sha256:[0-9a-f]{64}$/.test(digest) ? digest : undefined
  }

  function tagged(stem: string): boolean {
    return entries.some(one => one.role === 'tag' && one.stem === stem && /tag$/i.test(one.name))
  }

  function isFolder(text: string): boolean {
    return isRegistryFolder(text) || context.program?.startsWith(`${text}/`) === true
  }

  function leave(entry: Entry, text: string) {
    result.unversioned.push({ text, place: entry.place, isFolder: isFolder(text) })
    result.used.add(entry.place)
  }
}

/** `IMAGE_REGISTRY` beside the images of a list of variables, with or without `IMAGE_TAG`. */
function hubAmong(entries: readonly Entry[]): Hub | undefined {
  const own = entries.filter(({ stem, ofImage }) => stem === '' && ofImage)
  const registry = own.find(({ role, value }) => role === 'registry' && hasHost(`${value}/`))
  if (registry === undefined || !isImageText(`${registry.value}/x`)) return undefined
  const tag = own.find(({ role }) => role === 'tag')
  return defined({ hub: registry.value, tag: tag?.value })
}

/** A single word may be anything. */
function isPath(text: string): boolean {
  return text.includes('/')
}

function withDigest(text: string, digest: string | undefined): string {
  return digest === undefined || text.includes('@') ? text : `${text}@${digest}`
}

function versioned(
  path: string,
  { version, digest }: { version: string | undefined; digest: string | undefined },
): string | undefined {
  const text =
    version === undefined || version === ''
      ? path
      : version.startsWith('sha256:')
        ? `${path}@${version}`
        : `${path}:${version}`
  const whole = withDigest(text, digest)
  return isVersioned(whole) && isImageText(whole) ? whole : undefined
}

/** `ENABLE_X: "false"`, `xEnabled: false`, `DISABLE_X: "true"` next to the image of x. */
function closedBy(entry: Entry, entries: readonly Entry[]): string | undefined {
  const gate = entries.find(({ role, stem, value }) => {
    if (stem === '' || (role !== 'enabled' && role !== 'disabled')) return false
    const isClosed = role === 'enabled' ? /^(?:false|no|off|0)$/i : /^(?:true|yes|on|1)$/i
    if (!isClosed.test(value)) return false
    return ` ${entry.stem} `.startsWith(` ${stem} `) || ` ${entry.stem} `.endsWith(` ${stem} `)
  })
  return gate === undefined ? undefined : `${gate.name} is ${gate.value}`
}
