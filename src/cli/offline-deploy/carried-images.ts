import { parseReference } from '../../core/reference.ts'
import type { OpenBundle } from '../../deploy/open-bundles.ts'
import { namedRoots } from '../../site/images.ts'

/** Whether the bundles bring an image of this upstream name: containerd then has it from the site. */
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
    // Kubernetes looks at the digest alone where both are given
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
