import type { Descriptor } from '../../core/descriptor.ts'
import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { isRepository } from '../../core/reference.ts'
import type { NamedRoot } from '../../site/images.ts'
import type { Collisions } from '../../site/names.ts'

/** Where one image or chart of a bundle goes. */
export interface PushTarget {
  root: Descriptor
  /** as the bundle names it */
  name: string
  /** host[:port]/path */
  repository: string
  /** `repository:tag`, or `repository@digest` for what has no tag */
  to: string
}

export interface Registry {
  host: string
  /** path that all repositories stand under, without slashes around it */
  prefix: string
}

/** Parses `host[:port][/prefix]`. USAGE on anything else; a password in it is not shown again. */
export function parseRegistry(text: string): Registry {
  const next = 'write it as host[:port] or host[:port]/prefix, for example harbor.example/airgap'
  if (/^[a-z+]+:\/\//i.test(text)) {
    throw new AirgapError('USAGE', 'a registry is named without a scheme', {
      item: redactUrl(text),
      next: text.startsWith('http:') ? `${next}, and add --plain-http` : next,
    })
  }
  if (text.includes('@')) {
    throw new AirgapError('USAGE', 'a registry is named without user and password', {
      likely: 'arguments are seen by every user of this host',
      next: 'run `oras login REGISTRY`, or give --registry-config FILE',
    })
  }
  const [, host, prefix = ''] = /^([^/]+)(?:\/(.*?))?\/*$/.exec(text) ?? []
  const isHost = /^(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:\d{1,5})?$/i
  if (host !== undefined && isHost.test(host) && (prefix === '' || isRepository(prefix)))
    return { host, prefix }
  throw new AirgapError('USAGE', 'not a registry', { item: text.slice(0, 300), next })
}

/**
 * Names as on the site: the upstream host is left out, unless `keepHost`; of two upstreams that are the same without it, the
 * one that `collisions` does not name keeps its host. NAME_COLLISION where two different things would get one name.
 */
export function pushTargets(
  named: readonly NamedRoot[],
  options: { registry: Registry; keepHost: boolean; collisions: Collisions },
): PushTarget[] {
  const { registry, keepHost, collisions } = options
  const taken = new Map<string, PushTarget>()
  return named.map(each => {
    const path = keepHost || losesName(each, collisions) ? withHost(each) : withoutHost(each)
    const repository = [registry.host, registry.prefix, path].filter(Boolean).join('/')
    const tag = each.reference === undefined ? each.chart?.tag : each.reference.tag
    const to = tag ? `${repository}:${tag}` : `${repository}@${each.root.digest}`
    const target = { root: each.root, name: each.name, repository, to }
    const other = taken.get(to)
    if (other !== undefined && other.root.digest !== each.root.digest) {
      throw new AirgapError(
        'NAME_COLLISION',
        `${other.name} and ${each.name} would have the same name there`,
        {
          item: to,
          next: 'push with --keep-host, or say in the manifest under `collisions` which one wins, lock and build again',
        },
      )
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
function withHost(named: NamedRoot): string {
  const { reference } = named
  if (reference === undefined) return withoutHost(named)
  const name = `${reference.host.toLowerCase().replaceAll(':', '_')}/${reference.repository}`
  if (isRepository(name)) return name
  throw new AirgapError('UNSUPPORTED', 'the upstream host cannot be part of a repository name', {
    item: named.name,
    next: 'push without --keep-host',
  })
}
