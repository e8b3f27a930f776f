import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import { isRepository } from '../core/reference.ts'
import { withoutTrailing } from '../core/trim.ts'
import type { NamedRoot } from './images.ts'
import type { Collisions } from './names.ts'

/** Where `push` copies one image or chart of a bundle. */
export interface PushTarget {
  root: Descriptor
  /** its name in the bundle */
  name: string
  /** host[:port]/path */
  repository: string
  /** `repository:tag`, or `repository@digest` where there is no tag */
  to: string
}

export interface Registry {
  host: string
  /** path before all repositories, without slashes around it */
  prefix: string
}

/** Parses `host[:port][/prefix]`. Throws USAGE for anything else, without repeating a password in it. */
export function parseRegistry(text: string): Registry {
  const next = 'write it as host[:port] or host[:port]/prefix, for example harbor.example/airgap'
  if (/^[a-z+]+:\/\//i.test(text)) {
    throw new AirgapError('USAGE', 'the registry is written with a scheme', {
      item: redactUrl(text),
      next: text.startsWith('http:') ? `${next}, and add --plain-http` : next,
    })
  }
  if (text.includes('@')) {
    throw new AirgapError('USAGE', 'the registry is written with a user or a password', {
      likely: 'every user of this host can see arguments',
      next: 'run `oras login REGISTRY`, or pass --registry-config FILE',
    })
  }
  const [, host, prefix = ''] = /^([^/]+)(?:\/(.*))?$/.exec(withoutTrailing(text, '/')) ?? []
  const isHost = /^(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:\d{1,5})?$/i
  if (host !== undefined && isHost.test(host) && (prefix === '' || isRepository(prefix)))
    return { host, prefix }
  throw new AirgapError('USAGE', 'the text is not the name of a registry', { item: text.slice(0, 300), next })
}

/**
 * Names as on the site: the upstream host is left out, unless `keepHost`; of two upstreams that are the same without it, the
 * one that `collisions` does not name keeps its host. Throws NAME_COLLISION where two different contents would get one name,
 * UNSUPPORTED where a host cannot be part of a name.
 */
export function pushTargets(
  named: readonly NamedRoot[],
  options: { registry: Registry; keepHost: boolean; collisions: Collisions },
): PushTarget[] {
  const { registry, keepHost, collisions } = options
  const taken = new Map<string, PushTarget>()
  return named.map(each => {
    const path = keepHost || losesName(each, collisions) ? withHost(each, { keepHost }) : withoutHost(each)
    const repository = [registry.host, registry.prefix, path].filter(Boolean).join('/')
    const tag = each.reference === undefined ? each.chart?.tag : each.reference.tag
    const to = tag ? `${repository}:${tag}` : `${repository}@${each.root.digest}`
    const target = { root: each.root, name: each.name, repository, to }
    const other = taken.get(to)
    if (other !== undefined && other.root.digest !== each.root.digest) {
      throw new AirgapError('NAME_COLLISION', `${other.name} and ${each.name} get the same name`, {
        item: to,
        next: keepHost
          ? 'remove one of the two from the manifest, lock and build again'
          : 'push with --keep-host, or set under `collisions` in the manifest which one wins, lock and build again',
      })
    }
    taken.set(to, target)
    return target
  })
}

function losesName({ reference }: NamedRoot, collisions: Collisions): boolean {
  if (reference === undefined || !Object.hasOwn(collisions, reference.repository)) return false
  return collisions[reference.repository] !== reference.host
}

function withoutHost({ reference, chart }: NamedRoot): string {
  return reference?.repository ?? `charts/${chart?.name}`
}

/** A colon is not allowed in a repository name: the port of an upstream follows an underscore. */
function withHost(named: NamedRoot, { keepHost }: { keepHost: boolean }): string {
  const { reference } = named
  if (reference === undefined) return withoutHost(named)
  const name = `${reference.host.toLowerCase().replaceAll(':', '_')}/${reference.repository}`
  if (isRepository(name)) return name
  throw new AirgapError('UNSUPPORTED', 'the upstream host cannot be part of a repository name', {
    item: named.name,
    likely: 'the host is an IPv6 address',
    next: keepHost
      ? 'push without --keep-host'
      : `let this host win under \`collisions\` in the manifest, lock and build again`,
  })
}
