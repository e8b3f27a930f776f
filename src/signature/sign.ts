import { writeAtomically } from '../core/atomic-file.ts'
import {
  readSignatures,
  readSignedFiles,
  type SignatureFile,
  type SignatureFormat,
  signaturePath,
  statementPath,
} from './files.ts'
import { makeMinisign } from './minisign-signature.ts'
import { parseRotation } from './rotation.ts'
import type { Signer } from './signer.ts'
import { makeSigstoreBundle } from './sigstore-bundle.ts'
import { makeSshSignature } from './ssh-signature.ts'
import { parseStatement } from './statement.ts'
import { verifySignatures } from './verify.ts'

/** A signature file that was written, or would be. */
export interface WrittenSignature {
  path: string
  format: SignatureFormat
  fingerprint: string
}

/**
 * Returns where a signer's files go: over the ones that it made before, else to the name that stock tools use, else, beside another signer's,
 * to one with the ID of the key. Throws SIGNATURE_INVALID for wrong signatures next to the bundle.
 */
export async function planSignatures(
  bundle: string,
  { signers, formats }: { signers: readonly Pick<Signer, 'key'>[]; formats: readonly SignatureFormat[] },
): Promise<PlannedSignature[]> {
  const { statement, signatures } = (await readSignedFiles(bundle)) ?? {
    statement: Buffer.alloc(0),
    signatures: [],
  }
  return planFiles(statementPath(bundle), { message: statement, signatures, signers, formats })
}

type PlannedSignature = WrittenSignature & { signer: number }

function planFiles(
  signed: string,
  {
    message,
    signatures,
    signers,
    formats,
  }: {
    message: Buffer
    signatures: readonly SignatureFile[]
    signers: readonly Pick<Signer, 'key'>[]
    formats: readonly SignatureFormat[]
  },
): PlannedSignature[] {
  const taken = new Map<string, string | undefined>()
  for (const file of signatures) taken.set(file.path, ownerOf(file, { message, signers }))
  return signers.flatMap(({ key }, signer) =>
    formats.map(format => {
      const own = [...taken].find(
        ([path, owner]) =>
          owner === key.fingerprint && signatures.find(one => one.path === path)?.format === format,
      )
      const plain = signaturePath(signed, { format })
      const path = own?.[0] ?? (taken.has(plain) ? signaturePath(signed, { format, id: key.id }) : plain)
      taken.set(path, key.fingerprint)
      return { path, format, fingerprint: key.fingerprint, signer }
    }),
  )
}

function ownerOf(
  file: SignatureFile,
  { message, signers }: { message: Buffer; signers: readonly Pick<Signer, 'key'>[] },
): string | undefined {
  const { good } = verifySignatures(message, { signatures: [file], keys: signers.map(({ key }) => key) })
  return good[0]?.key.fingerprint
}

/** Signs the statement next to a bundle with every signer in every format, and writes the files. Throws as `planSignatures`, and what signers throw. */
export async function writeSignatures(
  bundle: string,
  {
    statement,
    signers,
    formats,
  }: { statement: Buffer; signers: readonly Signer[]; formats: readonly SignatureFormat[] },
): Promise<WrittenSignature[]> {
  const planned = await planSignatures(bundle, { signers, formats })
  const { name, version, index } = parseStatement(statement, bundle)
  return await writePlanned(planned, {
    message: statement,
    signers,
    trustedComment: `${name} ${version} ${index}`,
  })
}

/** Signs a rotation of keys with every signer in every format, next to the signatures of others. Throws as `planSignatures`. */
export async function signRotation(
  path: string,
  {
    bytes,
    signers,
    formats,
  }: { bytes: Buffer; signers: readonly Signer[]; formats: readonly SignatureFormat[] },
): Promise<WrittenSignature[]> {
  const { made } = parseRotation(bytes, path)
  const signatures = await readSignatures(path)
  const planned = planFiles(path, { message: bytes, signatures, signers, formats })
  return await writePlanned(planned, { message: bytes, signers, trustedComment: `key rotation of ${made}` })
}

async function writePlanned(
  planned: readonly PlannedSignature[],
  {
    message,
    signers,
    trustedComment,
  }: { message: Buffer; signers: readonly Signer[]; trustedComment: string },
): Promise<WrittenSignature[]> {
  const written: WrittenSignature[] = []
  for (const { signer, ...file } of planned) {
    const made = await makers[file.format](message, { signer: signers[signer]!, trustedComment })
    await writeAtomically(file.path, made)
    written.push(file)
  }
  return written
}

const makers: Record<
  SignatureFormat,
  (message: Uint8Array, by: { signer: Signer; trustedComment: string }) => Promise<string>
> = {
  minisign: makeMinisign,
  ssh: (message, { signer }) => makeSshSignature(message, signer),
  sigstore: (message, { signer }) => makeSigstoreBundle(message, signer),
}
