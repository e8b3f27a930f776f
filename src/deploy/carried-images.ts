import { parseReference } from '../core/reference.ts'
import { namedRoots } from '../site/images.ts'
import type { OpenBundle } from './open-bundles.ts'

/** Returns whether the bundles carry an image of an upstream name: containerd then pulls it from the site. */
export function carriedImages(bundles: readonly OpenBundle[]): (reference: string) => boolean {
  const names = new Set<string>()
  for (const { root, kind, reference } of namedRoots(bundles.flatMap(({ store }) => store.roots()))) {
    if (kind !== 'image' || reference === undefined) continue
    const name = `${reference.host}/${reference.repository}`
    if (reference.tag !== undefined) names.add(`${name}:${reference.tag}`)
    names.add(`${name}@${root.digest}`)
  }
  return text => {
    const written = parsed(text) ?? parsed(`${text}:latest`)
    if (written === undefined) return false
    const { host, repository, tag, digest } = written
    // Kubernetes pulls by the digest alone where a name has both
    return names.has(`${host}/${repository}${digest === undefined ? `:${tag}` : `@${digest}`}`)
  }
}

function parsed(text: string) {
  try {
    return parseReference(text)
  } catch {
    return undefined
  }
}
