import { canonicalJson } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import { type Digest, digestOf, hexOf } from '../core/digest.ts'
import { formatLock } from '../lock/lock.ts'
import type { Lock } from '../lock/schema.ts'
import { itemsWithFacts } from './items.ts'

/** What a build is, apart from its lock. */
export interface BuildFacts {
  /** digest of index.json */
  index: Digest
  /** of the manifest's file, with its name */
  manifest: { name: string; digest: Digest }
  /** a URI that names the builder: a host, a pipeline */
  builder: string
  versions: { airgap: string; node: string }
  started: Date
  finished: Date
}

/** A resource descriptor (in-toto/attestation, spec/v1/resource_descriptor.md). */
interface Resource {
  name: string
  uri?: string
  digest: { sha256: string }
  annotations?: Record<string, string>
}

/**
 * Returns the provenance of a bundle as an in-toto statement with a predicate of SLSA (https://slsa.dev/spec/v1.0/provenance): the manifest,
 * the lock and every item that it resolves to, each with its digest and who vouches for it. Throws LOCK_INVALID.
 */
export function provenanceOf(lock: Lock, facts: BuildFacts) {
  const { index, manifest, builder, versions, started, finished } = facts
  const lockDigest = digestOf(formatLock(lock))
  return {
    _type: 'https://in-toto.io/Statement/v1' as const,
    subject: [{ name: 'index.json', digest: sha256(index) }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'urn:astrago-airgap:build:v1',
        externalParameters: {
          name: lock.name,
          version: lock.version,
          platforms: lock.platforms,
          variants: lock.variants ?? [],
          manifest: { name: manifest.name, digest: sha256(manifest.digest) },
        },
        internalParameters: { inputs: lock.inputs, collisions: canonicalJson(lock.collisions) },
        resolvedDependencies: [
          { name: 'lock.json', digest: sha256(lockDigest) },
          ...runtime(lock),
          ...items(lock),
        ],
      },
      runDetails: {
        builder: { id: builder, version: versions },
        metadata: { startedOn: seconds(started), finishedOn: seconds(finished) },
      },
    },
  }
}

function runtime(lock: Lock): Resource[] {
  return lock.runtime.map(({ path, digest }) => ({ name: path, digest: sha256(digest) }))
}

function items(lock: Lock): Resource[] {
  return itemsWithFacts(lock).map(({ kind, name, version, digest, source, vouchedBy }) => ({
    name,
    ...defined({ uri: /^[a-z][a-z0-9+.-]*:\/\//.test(source) ? source : undefined }),
    digest: sha256(digest),
    annotations: defined({ kind, vouchedBy, version }),
  }))
}

function sha256(digest: Digest): { sha256: string } {
  return { sha256: hexOf(digest) }
}

/** RFC 3339, as SLSA requires. */
function seconds(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}
