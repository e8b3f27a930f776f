import { canonicalJson, compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import { formatPlatform } from '../core/platform.ts'
import { kinds } from '../kinds/index.ts'
import type { StackManifest } from '../manifest/stack.ts'

/**
 * Returns the digest of everything that a manifest requests, independent of its path, its layout, the order of its entries and
 * the mirrors. A lock with another digest of inputs is out of date.
 */
export function inputsDigest(manifest: StackManifest): Digest {
  const { name, version, platforms, collisions, firstUse, testUpstream } = manifest
  const guides = Object.keys(manifest.guides).sort(compareText)
  const requests = kinds.map(kind => [kind.entry.key, sorted(kind.inputs(manifest))] as const)
  const inputs = {
    name,
    version,
    collisions,
    firstUse,
    testUpstream,
    guides: guides.length > 0 ? guides : undefined,
    platforms: platforms.map(formatPlatform),
    ...Object.fromEntries(requests),
  }
  return digestOf(canonicalJson(defined(inputs)))
}

function sorted(list: unknown[] | undefined): unknown[] | undefined {
  return list
    ?.map(entry => ({ entry, text: canonicalJson(entry) }))
    .sort((a, b) => compareText(a.text, b.text))
    .map(({ entry }) => entry)
}
