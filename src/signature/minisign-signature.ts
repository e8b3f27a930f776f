import { createHash } from 'node:crypto'
import { decodeBase64 } from './base64.ts'
import { isSignedBy, minisignIdText, type PublicKey } from './public-key.ts'
import type { Signer } from './signer.ts'

/** A `.minisig` file (https://jedisct1.github.io/minisign, "Signature format"). */
export interface MinisignSignature {
  /** `ED` signs BLAKE2b-512 of the file; `Ed` (legacy) signs the file itself */
  algorithm: 'ED' | 'Ed'
  keyId: Buffer
  signature: Buffer
  /** covered by the global signature */
  trustedComment: string
  globalSignature: Buffer
}

const maxComment = 8192 /* bytes: TRUSTEDCOMMENTMAXBYTES of minisign.h */

/** Returns undefined for bytes that are not such a file. */
export function parseMinisign(bytes: Uint8Array): MinisignSignature | undefined {
  const text = Buffer.from(bytes).toString('utf8')
  // minisign ends its last line; a file without that end is read as well
  const [comment, line, trusted, global, ...rest] = text.replace(/\n$/, '').split('\n')
  if (rest.length > 0 || !comment?.startsWith('untrusted comment: ')) return undefined
  if (!trusted?.startsWith('trusted comment: ') || !isComment(comment) || !isComment(trusted))
    return undefined
  const signed = decodeBase64(line ?? '', 74)
  const globalSignature = decodeBase64(global ?? '', 64)
  const algorithm = signed?.toString('latin1', 0, 2)
  if (signed === undefined || globalSignature === undefined) return undefined
  if (algorithm !== 'ED' && algorithm !== 'Ed') return undefined
  return {
    algorithm,
    keyId: signed.subarray(2, 10),
    signature: signed.subarray(10),
    trustedComment: trusted.slice('trusted comment: '.length),
    globalSignature,
  }
}

/** Control characters would reach the terminal of `minisign -V`; minisign itself separates the parts of its comment by tabs. */
function isComment(text: string): boolean {
  return Buffer.byteLength(text) <= maxComment && !/[^\P{Cc}\t]|\ufffd/u.test(text)
}

/** Whether the key made both signatures: of the file, and of the first one with the trusted comment. */
export function isMinisignedBy(
  key: PublicKey,
  { message, parsed }: { message: Uint8Array; parsed: MinisignSignature },
): boolean {
  const { algorithm, signature, trustedComment, globalSignature } = parsed
  const signed = algorithm === 'ED' ? prehash(message) : message
  const global = Buffer.concat([signature, Buffer.from(trustedComment)])
  return (
    isSignedBy(key, { message: signed, signature }) &&
    isSignedBy(key, { message: global, signature: globalSignature })
  )
}

function prehash(message: Uint8Array): Buffer {
  return createHash('blake2b512').update(message).digest()
}

/** The `.minisig` file of a signer. */
export async function makeMinisign(
  message: Uint8Array,
  { signer, trustedComment }: { signer: Signer; trustedComment: string },
): Promise<string> {
  const { minisignId } = signer.key
  const signature = await signer.sign(prehash(message))
  const global = await signer.sign(Buffer.concat([signature, Buffer.from(trustedComment)]))
  return [
    `untrusted comment: signature from minisign secret key ${minisignIdText(minisignId)}`,
    Buffer.concat([Buffer.from('ED'), minisignId, signature]).toString('base64'),
    `trusted comment: ${trustedComment}`,
    global.toString('base64'),
    '',
  ].join('\n')
}
