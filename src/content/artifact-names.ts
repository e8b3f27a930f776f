import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import { formatReference, parseReference } from '../core/reference.ts'
import { safeRelativePath } from '../core/safe-path.ts'

/** The name of an entry of a manifest (document/fields.ts), of which `files`, `debs/debian-12`, `tree/deployment` are made. */
const part = '[a-z0-9][a-z0-9._-]{0,62}'
const treePattern = new RegExp(`^${part}(?:/${part})?$`)
const shardSuffix = /\+[1-9][0-9]{0,5}$/
const kindPattern = /^[a-z][a-z0-9-]{0,30}$/
const maxLength = 1024

/**
 * Checks the names of artifacts in index.json: only names that the builder produces, each once. Folders, URLs and lines of output are
 * made of them, and anyone can make a bundle with a right digest: `tree/..` would be extracted over the state folder of the site.
 * Throws BUNDLE_CORRUPT.
 */
export function checkArtifactNames(roots: readonly Descriptor[]): void {
  const seen = new Set<string>()
  for (const root of roots) {
    checkArtifactName(root)
    const { [annotationKeys.kind]: kind, [annotationKeys.refName]: name } = root.annotations ?? {}
    const key = `${kind}\0${name}`
    if (name !== undefined && seen.has(key)) throw invalid('second artifact with the name', name)
    seen.add(key)
  }
}

/** Throws BUNDLE_CORRUPT. */
export function checkArtifactName({ annotations = {}, artifactType }: Descriptor): void {
  const { [annotationKeys.kind]: kind, [annotationKeys.refName]: name } = annotations
  if (kind !== undefined && !kindPattern.test(kind)) throw invalid('kind', kind)
  if (name === undefined) return
  if (artifactType === mediaTypes.tree) checkTreeName(name.replace(shardSuffix, ''))
  else if (name.length > maxLength) throw invalid('name', name)
  else if (kind === 'image') checkReference(name)
  // a chart of a classic repository has no registry host in its name
  else if (kind === 'chart') checkReference(/^charts\/[^/]+$/.test(name) ? `charts.invalid/${name}` : name)
  else safeRelativePath(name)
}

/** Returns the name of a tree unchanged. Throws BUNDLE_CORRUPT. */
export function checkTreeName(name: string): string {
  if (treePattern.test(name)) return name
  throw invalid('name of a tree', name)
}

/** Only complete references are names (not `busybox:1`): two spellings of one name would be two artifacts here and one on the site. */
function checkReference(name: string): void {
  try {
    if (formatReference(parseReference(name)) === name) return
  } catch {
    // not a reference at all
  }
  throw invalid('name', name)
}

function invalid(what: string, text: string): AirgapError {
  return new AirgapError('BUNDLE_CORRUPT', `index.json has an invalid ${what}`, {
    item: JSON.stringify(text.slice(0, 300)),
    likely: 'another program made or changed the bundle: airgap never gives an artifact such a name',
    next: 'do not use it; copy it again from where it was built, or rebuild it',
  })
}
