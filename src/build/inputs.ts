import { canonicalJson, compareText } from '../core/canonical-json.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import { formatPlatform } from '../core/platform.ts'
import { formatReference } from '../core/reference.ts'
import type { StackManifest } from '../manifest/stack.ts'

/**
 * Digest of what the manifest asks for: where it stands, how it is laid out, in what order, and which mirrors are used do
 * not count.
 * A lock with other inputs is out of date.
 */
export function inputsDigest(manifest: StackManifest): Digest {
  const {
    name,
    version,
    platforms,
    images,
    charts,
    files,
    debs,
    rpms,
    wheels,
    trees,
    collisions,
    firstUse,
    testUpstream,
  } = manifest
  const asked = <T extends { at: string }>(requests: T[]) => requests.map(({ at, ...rest }) => rest)
  const sorted = <T>(list: T[]) =>
    list
      .map(entry => ({ entry, text: canonicalJson(entry) }))
      .sort((a, b) => compareText(a.text, b.text))
      .map(({ entry }) => entry)
  const inputs = {
    name,
    version,
    collisions,
    firstUse,
    ...(testUpstream ? { testUpstream } : {}),
    platforms: platforms.map(formatPlatform),
    images: sorted(
      asked(images).map(image => ({
        ...image,
        reference: formatReference(image.reference),
        from: formatReference(image.from),
        platforms: image.platforms.map(formatPlatform),
      })),
    ),
    charts: sorted(asked(charts)),
    files: sorted(asked(files)),
    debs: sorted(asked(debs).map(deb => ({ ...deb, sources: deb.sources.map(withoutPlaces) }))),
    // which entitlement the build host has is not what is asked for
    rpms: sorted(
      asked(rpms).map(rpm => ({
        ...rpm,
        repositories: rpm.repositories.map(({ client, ...repository }) => withoutPlaces(repository)),
      })),
    ),
    wheels: sorted(
      asked(wheels).map(wheel => ({
        ...wheel,
        requirements: asked(wheel.requirements),
        constraints: asked(wheel.constraints),
      })),
    ),
    trees: sorted(asked(trees).map(({ folder, ...tree }) => tree)),
  }
  return digestOf(canonicalJson(inputs))
}

function withoutPlaces<T extends { keys: string[]; keysAsWritten: string[] }>({
  keys,
  keysAsWritten,
  ...rest
}: T): Omit<T, 'keys' | 'keysAsWritten'> & { keys: string[] } {
  return { ...rest, keys: keysAsWritten }
}
