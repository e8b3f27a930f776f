import { compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import type { Reference } from '../core/reference.ts'
import type { KeylessSigner } from './keyless-signer.ts'
import type { NotationSigner } from './notation-signer.ts'
import type { SignerKey } from './signer-keys.ts'

/** Who may sign the content of one source: each artifact from there needs a signature by one of them. */
export interface SignaturePolicy {
  /** a registry host or a host/repository prefix, canonical */
  source: string
  /** in the manifest's order; if several have signed, the lock records the first */
  signers: PolicySigner[]
}

export type PolicySigner = SignerKey | KeylessSigner | NotationSigner

/** One form for names of one registry: another case or the default port must not lead around a policy. */
export function canonicalSource(name: string): string {
  const [host = '', ...path] = name.split('/')
  const plain = host.toLowerCase().replace(/:443$/, '')
  const isHub = plain === 'index.docker.io' || plain === 'registry-1.docker.io'
  return [isHub ? 'docker.io' : plain, ...path].join('/')
}

/** The names of an artifact: the one that it is deployed under, and the place that it is fetched from. */
export type ArtifactName = Pick<Reference, 'host' | 'repository'>

export function canonicalName({ host, repository }: ArtifactName): string {
  return canonicalSource(`${host}/${repository}`)
}

/** Returns the policies that apply to the names of an artifact, the longest prefix for each: neither name leads around a policy. */
export function policiesFor(
  names: readonly ArtifactName[],
  policies: readonly SignaturePolicy[],
): SignaturePolicy[] {
  const found = names.flatMap(artifact => {
    const name = canonicalName(artifact)
    return policies
      .filter(({ source }) => name === source || name.startsWith(`${source}/`))
      .sort((a, b) => b.source.length - a.source.length)
      .slice(0, 1)
  })
  return [...new Set(found)]
}

/** What the lock's digest of inputs covers of the policies of an artifact: sources, and which signers they accept. */
export function policyInputs(policies: readonly SignaturePolicy[]): unknown[] {
  return policies.map(({ source, signers }) => {
    const keys = signers.flatMap(signer => (signer.type === 'key' ? [signer.fingerprint] : []))
    const others = signers.flatMap(signer => (signer.type === 'key' ? [] : [otherInputs(signer)]))
    return {
      source,
      keys: keys.sort(compareText),
      ...defined({ others: others.length > 0 ? others : undefined }),
    }
  })
}

function otherInputs(signer: KeylessSigner | NotationSigner): unknown {
  if (signer.type === 'keyless')
    return { identity: signer.identity, issuer: signer.issuer, trustedRoot: signer.root.digest }
  return {
    authorities: signer.authorities.map(({ fingerprint256 }) => fingerprint256).sort(compareText),
    trustedIdentities: signer.identities.map(({ text }) => text).sort(compareText),
  }
}
