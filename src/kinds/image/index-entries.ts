import type { ParsedManifest } from '../../content/successors.ts'
import { defined } from '../../core/defined.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import type { Digest } from '../../core/digest.ts'
import { isIndexType, isManifestType } from '../../core/media-types.ts'
import {
  formatPlatform,
  isCompletePlatform,
  isUnknownPlatform,
  type Platform,
  preferredPlatforms,
} from '../../core/platform.ts'
import type { LeftOut } from '../../lock/left-out.ts'
import type { ResolvedManifest } from '../../remote/contract.ts'

/** An image, artifact or index in an index. */
export interface IndexEntry {
  descriptor: Descriptor
  /** of the entry or of the config of its image; undefined for artifacts, and for indexes inside the index */
  platform?: Platform
  /** the manifest, where it has been fetched to find the platform */
  found?: ResolvedManifest
  /** why it cannot be carried */
  unusable?: string
}

/** An entry without a descriptor that we can follow. */
interface UnusableEntry {
  name: string
  platform?: Platform
  unusable: string
}

export interface Attestation {
  descriptor: Descriptor
  /** the image of the index that it describes; undefined where it names none of them */
  describes?: Digest
}

/** Annotation of BuildKit's attestations: the digest of the image that they describe (buildkit, docs/attestations/attestation-storage.md). */
const describesKey = 'vnd.docker.reference.digest'

/** Sorts the entries of an index: images and artifacts, attestations (`unknown/unknown`), and what is neither. */
export function readIndex(index: ParsedManifest & { type: 'index' }): {
  entries: IndexEntry[]
  attestations: Attestation[]
  unreadable: UnusableEntry[]
} {
  const entries: IndexEntry[] = []
  const attestations: Attestation[] = []
  const unreadable: UnusableEntry[] = index.unreadable.map(({ name, reason, platform }) =>
    defined({ name, unusable: reason, platform: isCompletePlatform(platform) ? platform : undefined }),
  )
  for (const descriptor of index.manifests) {
    const { mediaType, digest } = descriptor
    const platform = isCompletePlatform(descriptor.platform) ? descriptor.platform : undefined
    if (!isManifestType(mediaType) && !isIndexType(mediaType)) {
      unreadable.push(
        defined({ name: digest, unusable: `its media type is ${JSON.stringify(mediaType)}`, platform }),
      )
    } else if (platform !== undefined && isUnknownPlatform(platform)) {
      // a tool that compresses the layers again leaves the old digest here
      const described = index.manifests.find(one => one.digest === descriptor.annotations?.[describesKey])
      attestations.push(defined({ descriptor, describes: described?.digest }))
    } else entries.push(defined({ descriptor, platform }))
  }
  return { entries, attestations, unreadable }
}

/**
 * Selects what the nodes of the requested platforms pull, in the order of the index: for each platform the entries that it prefers, and
 * all entries that state no platform: containerd fetches those whatever platform their config has (FilterPlatforms). Entries that cannot be carried are left out, also where a node would prefer them: then the platform
 * has nothing else, or the publisher lists it twice.
 */
export function selectEntries(
  all: readonly (IndexEntry | UnusableEntry)[],
  wanted: readonly Platform[],
): { selected: IndexEntry[]; leftOut: LeftOut[] } {
  const usable = all.filter(entry => 'descriptor' in entry && entry.unusable === undefined) as IndexEntry[]
  const leftOut = all.flatMap(entry =>
    entry.unusable === undefined
      ? []
      : [
          {
            name: 'name' in entry ? entry.name : entry.descriptor.digest,
            reason: reasonOf(entry.unusable, entry.platform),
          },
        ],
  )
  const chosen = new Set<IndexEntry>()
  for (const platform of wanted) {
    const best = preferredPlatforms(
      platform,
      all.map(entry => entry.platform),
    ).map(i => all[i]!)
    for (const entry of best) if (usable.includes(entry as IndexEntry)) chosen.add(entry as IndexEntry)
  }
  return { selected: usable.filter(entry => isForEveryNode(entry) || chosen.has(entry)), leftOut }
}

function isForEveryNode({ descriptor, platform }: IndexEntry): boolean {
  return platform === undefined || descriptor.platform === undefined
}

function reasonOf(reason: string, platform: Platform | undefined): string {
  return platform === undefined ? reason : `${reason} (${formatPlatform(platform)})`
}
