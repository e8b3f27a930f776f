import { defined } from './defined.ts'
import { type Digest, isDigest } from './digest.ts'
import { AirgapError } from './errors.ts'
import { redactText } from './redact.ts'

/** A complete image reference (grammar of distribution/reference): host and `library/` are explicit; it has a tag, a digest or both. */
export interface Reference {
  /** registry host with port, `docker.io` for Docker Hub */
  host: string
  /** repository path without host: `library/busybox` */
  repository: string
  tag?: string
  digest?: Digest
}

const pathPart = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const repositoryPattern = new RegExp(`^${pathPart}(?:/${pathPart})*$`)
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/
const hostPattern = /^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?$/

export function isRepository(text: string): boolean {
  return text.length <= 255 && repositoryPattern.test(text)
}

export function isTag(text: string): boolean {
  return tagPattern.test(text)
}

function invalid(text: string, why: string): AirgapError {
  return new AirgapError('REFERENCE_INVALID', `the image reference is invalid: ${why}`, {
    // somebody may have written user:password@registry/…
    item: redactText(text).slice(0, 300),
    next: 'write it as registry/repository:tag or registry/repository@sha256:…, for example docker.io/library/busybox:1.36',
  })
}

/**
 * Parses a reference as people write it (`busybox:1.36`, `quay.io/a/b@sha256:…`) and completes the short forms of Docker Hub. A
 * missing tag is an error, not `latest`: a bundle is built from exact names. Throws REFERENCE_INVALID.
 */
export function parseReference(text: string): Reference {
  let rest = text
  let digest: Digest | undefined
  const at = rest.indexOf('@')
  if (at >= 0) {
    const written = rest.slice(at + 1)
    if (!isDigest(written)) throw invalid(text, 'the part after @ is not a sha256 digest')
    digest = written
    rest = rest.slice(0, at)
  }
  let tag: string | undefined
  const colon = rest.lastIndexOf(':')
  if (colon > rest.lastIndexOf('/')) {
    tag = rest.slice(colon + 1)
    if (!isTag(tag)) throw invalid(text, `"${tag.slice(0, 140)}" is not a tag`)
    rest = rest.slice(0, colon)
  }
  if (tag === undefined && digest === undefined) throw invalid(text, 'it has neither tag nor digest')
  const { host, repository } = splitRepository(rest)
  if (!hostPattern.test(host)) throw invalid(text, `"${host}" is not a registry host`)
  if (!isRepository(repository)) throw invalid(text, `"${repository}" is not a repository name`)
  return defined({ host, repository, tag, digest })
}

/** Splits `host/repository`. A first part that has no dot or colon and is not `localhost` belongs to a repository of Docker Hub. */
export function splitRepository(name: string): { host: string; repository: string } {
  const slash = name.indexOf('/')
  const first = slash < 0 ? '' : name.slice(0, slash)
  const isHost = first.includes('.') || first.includes(':') || first === 'localhost'
  let host = isHost ? first : 'docker.io'
  let repository = isHost ? name.slice(slash + 1) : name
  if (host === 'index.docker.io' || host === 'registry-1.docker.io') host = 'docker.io'
  if (host === 'docker.io' && !repository.includes('/')) repository = `library/${repository}`
  return { host, repository }
}

export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`
  return `${reference.host}/${reference.repository}${tag}${digest}`
}
