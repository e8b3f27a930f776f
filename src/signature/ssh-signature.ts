import { createHash } from 'node:crypto'
import { decodeBase64 } from './base64.ts'
import { isSignedBy, isWeakKey, type PublicKey, publicKeyOf } from './public-key.ts'
import type { Signer } from './signer.ts'
import { fromSshBlob, splitSshStrings, sshKeyBlob, sshSignatureBlob, sshString } from './ssh-wire.ts'

/** What `ssh-keygen -Y sign -n` and `-Y verify -n` are called with: a signature for another purpose is not one of a bundle. */
export const sshNamespace = 'astrago-airgap'

/** A signature of OpenSSH (PROTOCOL.sshsig), which contains the public key. */
export interface SshSignature {
  key: PublicKey
  signature: Buffer
}

const begin = '-----BEGIN SSH SIGNATURE-----\n'
const end = '\n-----END SSH SIGNATURE-----\n'
const magic = Buffer.from('SSHSIG')
const version = Buffer.from([0, 0, 0, 1])

/** Returns undefined for bytes that are not such a file: of Ed25519 and SHA-512, for our namespace. */
export function parseSshSignature(bytes: Uint8Array): SshSignature | undefined {
  const text = Buffer.from(bytes).toString('latin1')
  if (!text.startsWith(begin) || !text.endsWith(end)) return undefined
  const body = text.slice(begin.length, -end.length)
  if (body.split('\n').some(line => line.length === 0 || line.length > 76)) return undefined
  const blob = decodeBase64(body.replaceAll('\n', ''))
  const head = Buffer.concat([magic, version])
  if (blob === undefined || !blob.subarray(0, head.length).equals(head)) return undefined
  const strings = splitSshStrings(blob.subarray(head.length)) ?? []
  const [keyBlob, namespace, reserved, hash, signatureBlob] = strings
  if (strings.length !== 5 || namespace?.toString('latin1') !== sshNamespace) return undefined
  if (reserved?.length !== 0 || hash?.toString('latin1') !== 'sha512') return undefined
  const raw = fromSshBlob(keyBlob!, 32)
  const signature = fromSshBlob(signatureBlob!, 64)
  if (raw === undefined || signature === undefined || isWeakKey(raw)) return undefined
  return { key: publicKeyOf(raw), signature }
}

/** Whether the signature is one of this message by the key that it contains. */
export function isSshSigned(message: Uint8Array, { key, signature }: SshSignature): boolean {
  return isSignedBy(key, { message: sshSignedData(message), signature })
}

/** The bytes that the key signs. */
function sshSignedData(message: Uint8Array): Buffer {
  const hash = createHash('sha512').update(message).digest()
  return Buffer.concat([magic, sshString(sshNamespace), sshString(''), sshString('sha512'), sshString(hash)])
}

/** The `.sig` file of a signer, as `ssh-keygen -Y sign` writes it. */
export async function makeSshSignature(message: Uint8Array, signer: Signer): Promise<string> {
  const signature = await signer.sign(sshSignedData(message))
  const blob = Buffer.concat([
    magic,
    version,
    sshString(sshKeyBlob(signer.key.raw)),
    sshString(sshNamespace),
    sshString(''),
    sshString('sha512'),
    sshString(sshSignatureBlob(signature)),
  ])
  return `${begin}${blob
    .toString('base64')
    .match(/.{1,70}/g)!
    .join('\n')}${end}`
}
