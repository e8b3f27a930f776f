import { isRepository, isTag } from '../../core/reference.ts'
import { withoutTrailing } from '../../core/trim.ts'

/**
 * Finds image references in text. The grammar (distribution/reference) alone is not enough: `a:b` matches it. Where no name
 * marks an image, only full references count: host with a dot or a port, path, tag or digest.
 */

const maxReference = 600

/** Host, path and tag or digest; every quantifier is followed by a character that it does not match, so that scanning is linear. */
const qualified =
  /(?<![A-Za-z0-9._:/@%~$}-])(?:(?:docker|oci|docker-image):\/\/)?((?:[a-z0-9-]{1,63}\.){1,8}[a-z0-9-]{1,63}(?::[0-9]{1,5})?|localhost:[0-9]{1,5})\/([a-z0-9][a-z0-9._/-]{0,254})(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@sha256:([0-9a-f]{64}))?(?![A-Za-z0-9_/:@*?{$%-])/g

/** A name without a host, which the digest marks as an image. */
const digested =
  /(?<![A-Za-z0-9._:/@%~$}-])((?:[a-z0-9][a-z0-9._-]{0,127}\/){0,8}[a-z0-9][a-z0-9._-]{0,127}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?@sha256:[0-9a-f]{64})(?![A-Za-z0-9])/g

/** Returns all full references in a text. */
export function qualifiedImages(text: string): string[] {
  const found: string[] = []
  for (const match of text.matchAll(qualified)) {
    const [whole, host, repository, tag, digest] = match
    if (tag === undefined && digest === undefined) continue
    // `apps.example.io/name: value` and paths such as `a.b/c/` are not references
    if (!isRepository(repository!) || isFile(repository!) || !isRegistryHost(host!)) continue
    if (isRegistryFolder(`${host}/${repository}`)) continue
    // the mode of a mount
    if (digest === undefined && /^(?:r[ow]|[zZ]|true|false|[0-9]+m)$/.test(tag!)) continue
    found.push(withoutTrailing(withoutScheme(whole), '.'))
  }
  if (!text.includes('@sha256:')) return found
  // `3.12.0@sha256:…` is the version of an image whose repository has a key of its own
  for (const [, name] of text.matchAll(digested))
    if (isImageText(name!) && !/^v?[0-9][^/]*@/.test(name!)) found.push(name!)
  return [...new Set(found)]
}

/** Removes the transport that some programs write before a reference: `docker://` (containers-transports(5)). */
export function withoutScheme(text: string): string {
  return text.replace(/^(?:docker|oci|docker-image):\/\//, '')
}

/** Whether the value of a name for an image (`image:` of a container) is a reference, such as `busybox`. */
export function isImageText(text: string): boolean {
  if (text.length === 0 || text.length > maxReference || /\s|:\/\//.test(text)) return false
  const [name = '', digest, ...more] = text.split('@')
  if (more.length > 0 || (digest !== undefined && !/^sha256:[0-9a-f]{64}$/.test(digest))) return false
  const colon = name.lastIndexOf(':')
  const hasTag = colon > name.lastIndexOf('/')
  if (hasTag && !isTag(name.slice(colon + 1))) return false
  const path = hasTag ? name.slice(0, colon) : name
  if (isFile(path) || ((hasTag || digest !== undefined) && isRegistryFolder(path))) return false
  const repository = path.replace(/^[A-Za-z0-9.-]+(?::[0-9]{1,5})?\//, '')
  // a host may have capitals, a repository may not
  return isRepository(repository === path ? path : repository)
}

/** Registries where every repository is inside an organization or a project, with the parts that its path has at least. */
const depths: readonly [RegExp, number][] = [
  [
    /^(?:quay\.io|ghcr\.io|(?:[a-z]+\.)?gcr\.io|registry\.gitlab\.com|public\.ecr\.aws|nvcr\.io|(?:[a-z]+\.)?icr\.io|cgr\.dev|lscr\.io|xpkg\.(?:upbound|crossplane)\.io|oci\.stackable\.tech)$/,
    2,
  ],
  [/\.pkg\.dev$/, 3],
]

/** Whether a path, without tag or digest, is that of an organization and no image: `quay.io/acme`. */
export function isRegistryFolder(path: string): boolean {
  const [host = '', ...parts] = path.split('/')
  // its oldest images are at the root
  if (host === 'k8s.gcr.io') return false
  const depth = depths.find(([pattern]) => pattern.test(host))?.[1]
  return depth !== undefined && parts.filter(part => part !== '').length < depth
}

/** Whether the reference has a tag or a digest. */
export function isVersioned(text: string): boolean {
  return text.includes('@') || text.lastIndexOf(':') > text.lastIndexOf('/')
}

/** `acme/clone-plugin:2.6.3`: as the whole value of a variable, an image on Docker Hub whatever the variable is called. */
export function isShortVersioned(text: string): boolean {
  return /^[a-z0-9]+(?:[._-][a-z0-9]+)*\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*:v?[0-9]+\.[0-9][A-Za-z0-9._-]*$/.test(
    text,
  )
}

/** Whether the first part of the reference is a registry: it has a dot or a port. */
export function hasHost(text: string): boolean {
  const slash = text.indexOf('/')
  return slash > 0 && (/[.:]/.test(text.slice(0, slash)) || text.startsWith('localhost/'))
}

/** Adds the tag that container runtimes assume by default. */
export function withTag(text: string): string {
  return isVersioned(text) ? text : `${text}:latest`
}

/** Excludes services of the cluster, which also have ports and paths, and labels such as `app.kubernetes.io/name:x`. */
function isRegistryHost(host: string): boolean {
  const [name = '', port] = host.split(':')
  if (/(?:^|\.)(?:kubernetes|k8s)\.io$/.test(name) && !name.startsWith('registry.')) return false
  if (/^(?:www\.|docs?\.|github\.com$|gitlab\.com$|bitbucket\.org$)/.test(name)) return false
  // `v1.2/x:1`, `file.yaml/x:1`: a public name ends with letters
  if (port === undefined && (!/\.[a-z]{2,}$/.test(name) || isFile(name) || name.endsWith('.sock')))
    return false
  return !/\.(?:svc|local|cluster\.local)$/.test(name) && !/^(?:127|0)\.[0-9.]+$/.test(name)
}

/** No repository is named like a document or a picture. */
function isFile(path: string): boolean {
  return /\.(?:ya?ml|json|toml|md|sh|html?|go|txt|tgz|gz|zip|jar|whl|png|jpe?g|gif|svg|ico|webp|iso|qcow2|raw|vmdk|conf|crt|pem|key)$/i.test(
    path,
  )
}
