import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { defined } from '../core/defined.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { mediaTypes } from '../core/media-types.ts'
import { referrersAt } from '../remote/referrers.ts'
import { type BundleFile, bundleSuffixes, isBundleSuffix, maxBundleFile } from '../signature/bundle-files.ts'
import { checkSignatures, type SignatureCheck } from '../signature/check-signatures.ts'
import type { PublicKey } from '../signature/public-key.ts'
import { checkStated, parseStatement, type StatedContent } from '../signature/statement.ts'
import { readFilesManifest } from './published-bundle.ts'
import { fetchManifest, fetchSmall } from './published-content.ts'
import type { RegistryPlace } from './registry-place.ts'

/** A repository may collect more: somebody else's, or somebody who wants the pull to take for ever. */
const maxSets = 50
const maxFiles = 128

/**
 * Fetches the files next to a bundle: the newest set that refers to it, and signatures of older sets that are of the same statement, so that
 * several people can sign and push one after the other. Throws SIGNATURE_INVALID for a set of another bundle.
 */
export async function fetchBundleFiles(
  place: RegistryPlace,
  { root, content }: { root: Digest; content: StatedContent },
): Promise<BundleFile[]> {
  const sets: FileSet[] = []
  const { listed } = await referrersAt(place.endpoint, root, place.context)
  const ours = listed.filter(({ artifactType }) => artifactType === mediaTypes.bundleFiles)
  for (const { digest } of ours.slice(0, maxSets)) sets.push(await fetchSet(place, { digest, content }))
  // of two at the same time, the one with more signatures
  sets.sort((a, b) => (a.built < b.built ? 1 : a.built > b.built ? -1 : b.files.length - a.files.length))
  const [newest, ...older] = sets
  if (newest === undefined) return []
  const files = new Map(newest.files.map(file => [file.suffix, file]))
  for (const set of older)
    if (set.statement.equals(newest.statement))
      for (const file of set.files) if (!files.has(file.suffix)) files.set(file.suffix, file)
  return [...files.values()].sort((a, b) => (a.suffix < b.suffix ? -1 : 1))
}

interface FileSet {
  built: string
  statement: Buffer
  files: BundleFile[]
}

async function fetchSet(
  place: RegistryPlace,
  { digest, content }: { digest: Digest; content: StatedContent },
): Promise<FileSet> {
  const { bytes, mediaType, item } = await fetchManifest(place, { digest })
  const { built, layers } = readFilesManifest(bytes, { mediaType, item })
  const files: BundleFile[] = []
  for (const [suffix, descriptor] of layers.slice(0, maxFiles)) {
    if (!isBundleSuffix(suffix)) continue
    files.push({ suffix, bytes: await fetchSmall(place, { descriptor, maxBytes: maxBundleFile }) })
  }
  const statement = files.find(file => file.suffix === bundleSuffixes.statement)?.bytes ?? Buffer.alloc(0)
  checkStated(parseStatement(statement, item), { content, item })
  return { built, statement, files }
}

/** Verifies the signatures before the bundle is fetched. Throws what `checkSignatures` throws. */
export async function checkFetchedFiles(
  files: readonly BundleFile[],
  {
    bundle,
    name,
    ...check
  }: {
    /** name of the bundle's file */
    bundle: string
    /** in the registry, for messages */
    name: string
    keys: readonly PublicKey[]
    threshold: number
    content: StatedContent
    now: Date
  },
): Promise<SignatureCheck> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-pull-'))
  try {
    const path = join(folder, basename(bundle))
    await writeBundleFiles(path, files)
    return await checkSignatures(path, check)
  } catch (error) {
    if (!(error instanceof AirgapError) || error.item === undefined) throw error
    const { code, lines, item, likely, next } = error
    throw new AirgapError(code, lines, {
      item: item.replaceAll(`${folder}/`, `${name}: `),
      ...defined({ likely, next: pullAdvice[code] ?? next }),
      cause: error,
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const again = 'ask the person who built the bundle to push it again with its signatures'
const pullAdvice: { [code: string]: string } = {
  UNTRUSTED: `compare the keys with those of the person who built the bundle; if they are right, ${again}; do not use this bundle until its signatures are good`,
  SIGNATURE_INVALID: `do not use this bundle; ${again}`,
}

export async function writeBundleFiles(bundle: string, files: readonly BundleFile[]): Promise<void> {
  for (const { suffix, bytes } of files) await writeAtomically(`${bundle}${suffix}`, bytes)
}
