import { resolve } from 'node:path'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import type { Mistakes } from '../document/mistakes.ts'
import type { Positioned } from '../document/positioned.ts'
import { readText } from '../document/read-text.ts'
import {
  canonicalSource,
  parseSignerKeys,
  type SignerKey,
  type Signers,
  signersOf,
} from '../kinds/image/signers.ts'
import type { Requests } from '../kinds/index.ts'
import type { ManifestDocument } from './schema.ts'

/** Returns the images with the signatures that the `signatures:` of the manifest require of them. */
export async function withSigners(
  images: Requests['images'],
  options: {
    document: Positioned<ManifestDocument>
    folder: string
    mistakes: Mistakes
    allVariants: boolean
  },
): Promise<Requests['images']> {
  const { document, mistakes, allVariants } = options
  const policies: Signers[] = []
  for (const [i, { from }] of document.value.signatures.entries()) {
    const source = canonicalSource(from)
    const invalid = (what: string, next: string) =>
      mistakes.add(new AirgapError('MANIFEST_INVALID', what, { item: document.at(['signatures', i]), next }))
    if (policies.some(policy => policy.source === source))
      invalid(`two entries of signatures are for ${source}`, 'list the keys of both in one entry')
    policies.push({ source, keys: await keysOf(i, options) })
    const isUsed = images.some(image => signersOf(image, policies.slice(-1)).length > 0)
    // a typing mistake would leave images unchecked
    if (!isUsed && allVariants)
      invalid(
        `no image is from ${source}`,
        'correct `from`, a registry host or HOST/REPOSITORY, or remove the entry',
      )
  }
  return images.map(image => {
    const signers = signersOf(image, policies)
    return signers.length === 0 ? image : { ...image, signers }
  })
}

async function keysOf(
  index: number,
  {
    document,
    folder,
    mistakes,
  }: { document: Positioned<ManifestDocument>; folder: string; mistakes: Mistakes },
): Promise<SignerKey[]> {
  const keys = new Map<string, SignerKey>()
  for (const [i, file] of document.value.signatures[index]!.cosign.entries()) {
    const at = document.at(['signatures', index, 'cosign', i])
    const item = `${at}: ${file}`
    const found = await mistakes.attemptLater(async () =>
      parseSignerKeys(await readKeyFile(resolve(folder, file), item), item),
    )
    for (const key of found ?? []) keys.set(key.fingerprint, key)
  }
  return [...keys.values()]
}

const maxKeyFile = 64 * 1024 /* bytes */

async function readKeyFile(path: string, item: string): Promise<string> {
  try {
    return await readText(path, {
      maxSize: maxKeyFile,
      invalid: what => new AirgapError('KEY_INVALID', `the public key file ${what}`, { item }),
    })
  } catch (error) {
    if (!isErrorCode(error, 'FILE_NOT_FOUND')) throw error
    throw new AirgapError('FILE_NOT_FOUND', 'the public key does not exist', {
      item,
      next: 'correct the path; it is relative to the manifest',
      cause: error,
    })
  }
}
