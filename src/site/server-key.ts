import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createAtomically } from '../core/atomic-file.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'

const proofKey = 'server-key.pem'

/**
 * Opens the key with which the servers of a site prove who they are: an Ed25519 key of its own, because the servers sign what any client
 * sends, and machines trust whatever the key of the repositories has signed. The first call generates it, with mode 0600. Throws
 * KEY_INVALID, PERMISSION.
 */
export async function openServerKey(folder: string): Promise<KeyObject> {
  return await openKey(folder, proofKey)
}

/** Opens the key that signs the tokens of users (access/token.ts), as `openServerKey` does; a key has one purpose. */
export async function openTokenKey(folder: string): Promise<KeyObject> {
  return await openKey(folder, 'token-key.pem')
}

async function openKey(folder: string, name: string): Promise<KeyObject> {
  const existing = await readKey(folder, name)
  if (existing !== undefined) return existing
  const path = join(folder, name)
  const { privateKey } = generateKeyPairSync('ed25519')
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await createAtomically(path, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600)
  } catch (error) {
    throw fromSystemError(error, path)
  }
  // another process may have been the first
  const made = await readKey(folder, name)
  if (made !== undefined) return made
  throw new AirgapError('KEY_INVALID', 'the key of the servers disappeared after it was written', {
    item: path,
  })
}

/** Reads the key; undefined where no servers have run yet. Throws KEY_INVALID, PERMISSION. */
export async function readServerKey(folder: string): Promise<KeyObject | undefined> {
  return await readKey(folder, proofKey)
}

async function readKey(folder: string, name: string): Promise<KeyObject | undefined> {
  const path = join(folder, name)
  let text: string
  try {
    if (((await stat(path)).mode & 0o077) !== 0)
      throw new AirgapError('PERMISSION', 'other users can read the key of the servers', {
        item: path,
        likely: 'it was copied or restored without its mode',
        next: `rm ${path}, then run \`offline-deploy stop\` and \`offline-deploy apply\`: the servers start with a new key`,
      })
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  }
  try {
    const key = createPrivateKey(text)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // reported below
  }
  throw new AirgapError('KEY_INVALID', 'the key of the servers is invalid', {
    item: path,
    likely: 'a damaged disk, or an edited file',
    next: `rm ${path}, then run \`offline-deploy stop\` and \`offline-deploy apply\`: the servers start with a new key`,
  })
}
