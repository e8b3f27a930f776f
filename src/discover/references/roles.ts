/**
 * What the name of a key, a flag or an environment variable says about its value. `queueImage`, `QUEUE_IMAGE` and
 * `--queue-image` are the same name: the words `queue`, `image`.
 */
export type Role =
  | 'image'
  /** a list of images */
  | 'images'
  /** contains the word image, but may say something else about it: `RELATED_IMAGE_PROXY` */
  | 'weak'
  | 'registry'
  | 'repository'
  /** the organization or project in a registry */
  | 'namespace'
  | 'name'
  | 'tag'
  | 'digest'
  /** the feature that the other words name is on or off */
  | 'enabled'
  | 'disabled'

export interface NamedRole {
  role: Role
  /** the words that are left, which names with other roles share: `queue` */
  stem: string
  /** the name contains the word image */
  ofImage: boolean
}

/** Splits a name of any convention into lower-case words. */
export function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .split(/[^A-Za-z0-9]+/)
    .filter(word => word !== '')
    .map(word => word.toLowerCase())
}

const lastWords: Readonly<Record<string, Role>> = {
  image: 'image',
  img: 'image',
  images: 'images',
  registry: 'registry',
  hub: 'registry',
  repository: 'repository',
  repo: 'repository',
  tag: 'tag',
  version: 'tag',
  digest: 'digest',
  sha: 'digest',
  sha256: 'digest',
  name: 'name',
  enabled: 'enabled',
  enable: 'enabled',
  disabled: 'disabled',
}

/** Words that say nothing about which image it is. */
const noise = new Set(['image', 'img', 'docker', 'container', 'oci', 'default', 'related', 'full'])

/** `REGISTRY_NAMESPACE`, `imageOrg`; a namespace alone is one of Kubernetes. */
const organizations = new Set(['namespace', 'org', 'organization'])
const places = new Set(['registry', 'image', 'images', 'repository', 'repo', 'hub'])

/** Words that make a repository one of something else. */
const otherRepositories = new Set([
  'git',
  'helm',
  'chart',
  'charts',
  'maven',
  'npm',
  'apt',
  'yum',
  'source',
  'backup',
  'snapshot',
  'restic',
])

/** Words after which an image is the subject, not the value: `imagePullPolicy`, `imageScanner`. */
const aboutImages =
  /^(?:pull|policy|secrets?|credentials?|type|format|size|id|ids|cache|scan\w*|updat\w+|update|gc|gcs|age|dir|path|file|url|list|count|timeout|interval|insecure|namespace|provider|verif\w+|sign\w*|family|project|streams?|quality|width|height|allow\w*|deny\w*|block\w*|max|min|build\w*|push\w*|process\w*)$/

/** Returns the role of a name, or undefined if it says nothing about an image. */
export function roleOf(name: string): NamedRole | undefined {
  const words = wordsOf(name)
  const ofImage = words.some(word => word === 'image' || word === 'img' || word === 'images')
  const named = (role: Role, rest: readonly string[]): NamedRole => ({
    role,
    stem: rest.filter(word => !noise.has(word)).join(' '),
    ofImage,
  })
  if (['enable', 'use', 'with'].includes(words[0]!)) return named('enabled', words.slice(1))
  if (words[0] === 'disable' || words[0] === 'skip') return named('disabled', words.slice(1))
  const gate = words.indexOf('enable')
  if (gate > 0 && gate < words.length - 1) return named('enabled', words.slice(gate + 1))
  const last = words.at(-1)
  if (last === undefined) return undefined
  const rest = words.slice(0, -1)
  if (last === 'tag' && rest.at(-1) === 'version') rest.pop()
  const before = rest.at(-1)
  if (before === 'image' || before === 'img') {
    if (['name', 'ref', 'reference', 'uri', 'url', 'path', 'fullname', 'spec'].includes(last))
      return named('image', rest)
  }
  if (last === 'reference' && words.length === 1) return undefined
  if (
    ['url', 'uri', 'path', 'prefix'].includes(last) &&
    ['repo', 'repository', 'registry', 'hub'].includes(before ?? '')
  )
    return named('repository', rest.slice(0, -1))
  if (organizations.has(last) && (last !== 'namespace' || places.has(before ?? '')))
    return named(
      'namespace',
      rest.filter(word => !places.has(word)),
    )
  if (places.has(before ?? '') && ['host', 'hostname', 'server', 'domain', 'address'].includes(last))
    return named('registry', rest.slice(0, -1))
  const role = Object.hasOwn(lastWords, last) ? lastWords[last] : undefined
  if (role === 'repository' && rest.some(word => otherRepositories.has(word))) return undefined
  if (role !== undefined) return named(role, rest)
  if (!ofImage) return undefined
  const after = words.slice(words.lastIndexOf('image') + 1)
  return after.some(word => aboutImages.test(word)) ? undefined : named('weak', words)
}
