import { isRepository, isTag } from '../core/reference.ts'

/**
 * Finds image references in text. The grammar (distribution/reference) alone is not enough: `a:b` matches it. Where no key
 * marks an image, only full references count: host with a dot or a port, path, tag or digest.
 */

const maxReference = 600

/** Host, path and tag or digest; every quantifier is followed by a character that it does not match, so that scanning is linear. */
const qualified =
  /(?<![A-Za-z0-9._:/@%-])((?:[a-z0-9-]{1,63}\.){1,8}[a-z0-9-]{1,63}(?::[0-9]{1,5})?|localhost:[0-9]{1,5})\/([a-z0-9][a-z0-9._/-]{0,254})(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@sha256:([0-9a-f]{64}))?(?![A-Za-z0-9_/:@-])/g

/** Returns all full references in a text. */
export function qualifiedImages(text: string): string[] {
  const found: string[] = []
  for (const match of text.matchAll(qualified)) {
    const [whole, host, repository, tag, digest] = match
    if (tag === undefined && digest === undefined) continue
    // `apps.example.io/name: value` and paths such as `a.b/c/` are not references
    if (!isRepository(repository!) || isFile(repository!) || !isRegistryHost(host!)) continue
    found.push(whole.replace(/\.$/, ''))
  }
  return found
}

/** Whether the value of a key for an image (`image:` of a container) is a reference, such as `busybox`. */
export function isImageText(text: string): boolean {
  if (text.length === 0 || text.length > maxReference || /\s|:\/\//.test(text)) return false
  const [name = '', digest, ...more] = text.split('@')
  if (more.length > 0 || (digest !== undefined && !/^sha256:[0-9a-f]{64}$/.test(digest))) return false
  const colon = name.lastIndexOf(':')
  const hasTag = colon > name.lastIndexOf('/')
  if (hasTag && !isTag(name.slice(colon + 1))) return false
  const path = hasTag ? name.slice(0, colon) : name
  return isRepository(path.replace(/^[A-Za-z0-9.-]+(?::[0-9]{1,5})?\//, '').toLowerCase())
}

/** Adds the tag that container runtimes assume by default. */
export function withTag(text: string): string {
  if (text.includes('@') || text.lastIndexOf(':') > text.lastIndexOf('/')) return text
  return `${text}:latest`
}

/**
 * Joins parts as GPU Operator and most other operators do: repository, image and version with `/` and `:`, a version that is a
 * digest with `@`. Returns undefined for an image that is a full reference by itself.
 */
export function joinParts(parts: {
  registry?: string
  repository?: string
  image?: string
  version?: string
}): string | undefined {
  const { registry, repository, image, version } = parts
  const path = [registry, repository, image].filter(part => part).join('/')
  if (path === '' || !path.includes('/') || version === undefined || version === '') return undefined
  const text = version.startsWith('sha256:') ? `${path}@${version}` : `${path}:${version}`
  return isImageText(text) ? text : undefined
}

/** Excludes services of the cluster, which also have ports and paths, and labels such as `app.kubernetes.io/name:x`. */
function isRegistryHost(host: string): boolean {
  const name = host.replace(/:[0-9]+$/, '')
  if (/(?:^|\.)(?:kubernetes|k8s)\.io$/.test(name) && !name.startsWith('registry.')) return false
  return !/\.(?:svc|local|cluster\.local)$/.test(name) && !/^(?:127|0)\.[0-9.]+$/.test(name)
}

function isFile(path: string): boolean {
  return /\.(?:ya?ml|json|md|sh|html?|go|txt|tgz|gz)$/.test(path)
}
