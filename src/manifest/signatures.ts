import { resolve } from 'node:path'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { splitRepository } from '../core/reference.ts'
import type { Mistakes } from '../document/mistakes.ts'
import type { Positioned } from '../document/positioned.ts'
import { readText } from '../document/read-text.ts'
import { chartRepository } from '../kinds/chart/entry.ts'
import type { Requests } from '../kinds/index.ts'
import { parseCertificates } from '../oci-signatures/certificate-file.ts'
import { parseTrustedIdentity, type TrustedIdentity } from '../oci-signatures/distinguished-name.ts'
import { identityMatcher, tooWide } from '../oci-signatures/keyless-identity.ts'
import type { KeylessSigner } from '../oci-signatures/keyless-signer.ts'
import type { NotationSigner } from '../oci-signatures/notation-signer.ts'
import {
  type ArtifactName,
  canonicalSource,
  policiesFor,
  type SignaturePolicy,
} from '../oci-signatures/policy.ts'
import { parseSignerKeys, type SignerKey } from '../oci-signatures/signer-keys.ts'
import type { ManifestDocument } from './schema.ts'

type Signed = Pick<Requests, 'images' | 'charts'>

interface Options {
  document: Positioned<ManifestDocument>
  folder: string
  mistakes: Mistakes
  allVariants: boolean
}

/** Returns the images and charts with the signatures that the `signatures:` of the manifest require of them. */
export async function withSignatures({ images, charts }: Signed, options: Options): Promise<Signed> {
  const { document, mistakes, allVariants } = options
  const policies: SignaturePolicy[] = []
  for (const [i, { from }] of document.value.signatures.entries()) {
    const source = canonicalSource(from)
    const invalid = (what: string, next: string) =>
      mistakes.add(new AirgapError('MANIFEST_INVALID', what, { item: document.at(['signatures', i]), next }))
    if (policies.some(policy => policy.source === source))
      invalid(`two entries of signatures are for ${source}`, 'list the signers of both in one entry')
    const policy = { source, signers: await signersAt(i, options) }
    policies.push(policy)
    const isUsed = [...images.map(namesOfImage), ...charts.map(namesOfChart)].some(
      names => policiesFor(names, [policy]).length > 0,
    )
    // a typing mistake would leave images unchecked
    if (!isUsed && allVariants)
      invalid(
        `no image and no chart of a registry is from ${source}`,
        'correct `from`, a registry host or HOST/REPOSITORY, or remove the entry',
      )
  }
  const withPolicies = <T>(request: T, names: ArtifactName[]) => {
    const signatures = policiesFor(names, policies)
    return signatures.length === 0 ? request : { ...request, signatures }
  }
  return {
    images: images.map(image => withPolicies(image, namesOfImage(image))),
    charts: charts.map(chart => withPolicies(chart, namesOfChart(chart))),
  }
}

function namesOfImage({ reference, from }: Requests['images'][number]): ArtifactName[] {
  return [reference, from]
}

function namesOfChart(chart: Requests['charts'][number]): ArtifactName[] {
  const repository = chartRepository(chart)
  return repository === undefined ? [] : [splitRepository(repository)]
}

async function signersAt(index: number, options: Options): Promise<SignaturePolicy['signers']> {
  return [
    ...(await keysAt(index, options)),
    ...(await keylessAt(index, options)),
    ...(await notationAt(index, options)),
  ]
}

async function keysAt(index: number, options: Options): Promise<SignerKey[]> {
  const { document } = options
  const keys = new Map<string, SignerKey>()
  for (const [i, file] of (document.value.signatures[index]!.cosign ?? []).entries()) {
    const at = document.at(['signatures', index, 'cosign', i])
    const found = await readSignerFile(file, { ...options, at, parse: parseSignerKeys })
    for (const key of found ?? []) keys.set(key.fingerprint, key)
  }
  return [...keys.values()]
}

async function keylessAt(index: number, options: Options): Promise<KeylessSigner[]> {
  const { document, mistakes } = options
  const { keyless } = document.value.signatures[index]!
  if (keyless === undefined) return []
  const at = document.at(['signatures', index, 'keyless', 'trustedRoot'])
  const { parseTrustedRoot } = await import('../oci-signatures/trusted-root.ts')
  const root = await readSignerFile(keyless.trustedRoot, { ...options, at, parse: parseTrustedRoot })
  for (const [i, { identity }] of keyless.identities.entries()) {
    const problem = tooWide(identity)
    if (problem === undefined) continue
    mistakes.add(
      new AirgapError('MANIFEST_INVALID', `the identity ${identity} matches strangers: ${problem}`, {
        item: document.at(['signatures', index, 'keyless', 'identities', i]),
        next: 'write the identity as the publisher announces it, with wildcards only for what changes between releases',
      }),
    )
  }
  if (root === undefined) return []
  return keyless.identities.map(({ identity, issuer }) => ({
    type: 'keyless',
    identity,
    isIdentity: identityMatcher(identity),
    issuer,
    root,
  }))
}

async function notationAt(index: number, options: Options): Promise<NotationSigner[]> {
  const { document, mistakes } = options
  const { notation } = document.value.signatures[index]!
  if (notation === undefined) return []
  const authorities: NotationSigner['authorities'] = []
  for (const [i, file] of notation.certificates.entries()) {
    const at = document.at(['signatures', index, 'notation', 'certificates', i])
    authorities.push(...((await readSignerFile(file, { ...options, at, parse: certificatesOf })) ?? []))
  }
  const identities: TrustedIdentity[] = []
  for (const [i, text] of notation.trustedIdentities.entries()) {
    if (text === '*') continue
    const parsed = parseTrustedIdentity(text)
    if (parsed !== undefined) identities.push(parsed)
    else
      mistakes.add(
        new AirgapError('MANIFEST_INVALID', `${text} is not a trusted identity of notation`, {
          item: document.at(['signatures', index, 'notation', 'trustedIdentities', i]),
          next: 'write it as in the trust policy of notation: "x509.subject: C=US, ST=WA, O=example", with at least C, ST and O',
        }),
      )
  }
  const isAny = notation.trustedIdentities.includes('*')
  if (authorities.length === 0 || (identities.length === 0 && !isAny)) return []
  return [{ type: 'notation', authorities, identities: isAny ? [] : identities }]
}

function certificatesOf(text: string, item: string): NotationSigner['authorities'] {
  const certificates = parseCertificates(text)
  if (certificates !== undefined) return certificates
  throw new AirgapError('KEY_INVALID', 'the file is not a list of certificates in PEM form', {
    item,
    likely: 'it is a key or a DER file, or was copied in part',
    next: "use the publisher's certificates as `notation certificate add` takes them; convert DER with `openssl x509 -inform DER`",
  })
}

const maxFile = 1024 * 1024 /* bytes */

async function readSignerFile<T>(
  file: string,
  {
    folder,
    mistakes,
    at,
    parse,
  }: Pick<Options, 'folder' | 'mistakes'> & { at: string; parse: (text: string, item: string) => T },
): Promise<T | undefined> {
  const item = `${at}: ${file}`
  return await mistakes.attemptLater(async () =>
    parse(await readSignerText(resolve(folder, file), item), item),
  )
}

async function readSignerText(path: string, item: string): Promise<string> {
  try {
    return await readText(path, {
      maxSize: maxFile,
      invalid: what => new AirgapError('KEY_INVALID', `the file of a signer ${what}`, { item }),
    })
  } catch (error) {
    if (!isErrorCode(error, 'FILE_NOT_FOUND')) throw error
    throw new AirgapError('FILE_NOT_FOUND', 'the file of a signer does not exist', {
      item,
      next: 'correct the path; it is relative to the manifest',
      cause: error,
    })
  }
}
