import { spawn } from 'node:child_process'
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { AirgapError } from '../core/errors.ts'
import { printableLine } from '../core/printable.ts'
import { decodeBase64 } from './base64.ts'
import { isSignedBy, type PublicKey, publicKeyOf } from './public-key.ts'

/** What makes signatures with one key: the key itself, or a program that has it. */
export interface Signer {
  key: PublicKey
  /** Returns the Ed25519 signature of the bytes: 64 bytes. */
  sign(message: Uint8Array): Promise<Buffer>
}

const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

/** A signer with a secret key of 32 bytes. */
export function signerOf(seed: Uint8Array, minisignId?: Buffer): Signer {
  const secret = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' })
  const { x } = createPublicKey(secret).export({ format: 'jwk' })
  const key = publicKeyOf(Buffer.from(x!, 'base64url'), minisignId)
  return { key, sign: async message => sign(null, message, secret) }
}

/**
 * A signer that runs a command of the shell, for keys in a token or a KMS. It gets the bytes on stdin and writes the signature to stdout: 64
 * bytes, or the same in base64. Each signature is verified. Throws STEP_FAILED if the command fails, SIGNATURE_INVALID for another answer.
 */
export function commandSigner(
  command: string,
  { key, signal }: { key: PublicKey; signal: AbortSignal },
): Signer {
  return {
    key,
    async sign(message) {
      const answer = await runCommand(command, { message, signal })
      const text = answer.length === 64 ? undefined : answer.toString('latin1').replace(/\s+/g, '')
      const signature = text === undefined ? answer : decodeBase64(text, 64)
      if (signature !== undefined && isSignedBy(key, { message, signature })) return signature
      throw new AirgapError('SIGNATURE_INVALID', 'the command did not return a signature of the key', {
        item: `${command}: ${answer.length} bytes`,
        likely: `it has another key than ${key.fingerprint}, signs a hash instead of its input, or uses another algorithm than Ed25519`,
        next: 'it must sign its standard input with plain Ed25519, and write the 64 bytes (or base64) to standard output',
      })
    },
  }
}

const maxAnswer = 64 * 1024 /* bytes */

async function runCommand(
  command: string,
  { message, signal }: { message: Uint8Array; signal: AbortSignal },
): Promise<Buffer> {
  const child = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'pipe', 'pipe'], signal })
  const output: Buffer[] = []
  const errors: Buffer[] = []
  const collect = (chunks: Buffer[]) => (chunk: Buffer) => {
    if (chunks.reduce((sum, { length }) => sum + length, 0) < maxAnswer) chunks.push(chunk)
  }
  child.stdout.on('data', collect(output))
  child.stderr.on('data', collect(errors))
  // a command that does not read its input, or fails at once, must not end this process
  child.stdin.on('error', () => {})
  child.stdin.end(message)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  if (code === 0) return Buffer.concat(output)
  const said = printableLine(Buffer.concat(errors).toString().trim(), 300)
  throw new AirgapError('STEP_FAILED', `the command that signs failed with exit code ${code}`, {
    item: command,
    ...(said === '' ? {} : { likely: said }),
    next: 'run it yourself, with a small file as its standard input',
  })
}
