import { realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { readGuarded } from '../core/guarded-file.ts'
import { namesIn } from '../core/read-folder.ts'

export type SignatureFormat = 'minisign' | 'ssh' | 'sigstore'

/** A signature file next to a bundle. */
export interface SignatureFile {
  path: string
  format: SignatureFormat
  bytes: Buffer
}

/** What is next to a bundle: the statement, and the signatures of it. */
export interface SignedFiles {
  /** path of `B.sums` */
  path: string
  statement: Buffer
  signatures: SignatureFile[]
}

/** `minisign -S` and `ssh-keygen -Y sign` use these names themselves. */
const suffixes: Record<SignatureFormat, string> = {
  minisign: 'minisig',
  ssh: 'sig',
  sigstore: 'sigstore.json',
}

export const signatureFormats = Object.keys(suffixes) as SignatureFormat[]

/** `stack-1.0.0.tar` → `stack-1.0.0.tar.sums` */
export function statementPath(bundle: string): string {
  return `${bundle}.sums`
}

/** What to type on site: a text for people. */
export function instructionsPath(bundle: string): string {
  return `${bundle}.verify.txt`
}

/** The first signer's file has the name that stock tools use; that of another signer also has the ID of the key. */
export function signaturePath(
  signed: string,
  { format, id }: { format: SignatureFormat; id?: string },
): string {
  return `${signed}${id === undefined ? '' : `.${id}`}.${suffixes[format]}`
}

const maxStatement = 64 * 1024 /* bytes */
const maxSignature = 64 * 1024 /* bytes */
const maxSignatures = 96

/**
 * Reads the statement and the signatures next to a bundle, or next to the file that a link leads to; returns undefined where there is no statement. Nothing is verified yet. Throws
 * SIGNATURE_INVALID for signatures without a statement, links, and files that are too large or too many.
 */
export async function readSignedFiles(bundle: string): Promise<SignedFiles | undefined> {
  const found = await readNextTo(bundle)
  if (found !== undefined) return found
  const target = await realpath(bundle).catch(() => bundle)
  return target === bundle ? undefined : await readNextTo(target)
}

async function readNextTo(bundle: string): Promise<SignedFiles | undefined> {
  const path = statementPath(bundle)
  const signatures = await readSignatures(path)
  const statement = await readSmall(path, maxStatement)
  if (statement !== undefined) return { path, statement, signatures }
  if (signatures.length === 0) return undefined
  throw wrongFile('there are signatures, but not the file that they sign', path)
}

/** Reads the signatures of a file, which are next to it. Throws SIGNATURE_INVALID. */
export async function readSignatures(path: string): Promise<SignatureFile[]> {
  const folder = dirname(path)
  const names = (await namesIn(folder)).filter(name => formatOf(path, name) !== undefined)
  if (names.length > maxSignatures) throw wrongFile(`more than ${maxSignatures} signature files`, path)
  const signatures: SignatureFile[] = []
  for (const name of names) {
    const bytes = await readSmall(join(folder, name), maxSignature)
    if (bytes !== undefined)
      signatures.push({ path: join(folder, name), format: formatOf(path, name)!, bytes })
  }
  return signatures
}

function formatOf(signed: string, name: string): SignatureFormat | undefined {
  const prefix = `${basename(signed)}.`
  if (!name.startsWith(prefix)) return undefined
  const suffix = name.slice(prefix.length).replace(/^[0-9a-f]{8}\./, '')
  return signatureFormats.find(format => suffix === suffixes[format])
}

async function readSmall(path: string, maxSize: number): Promise<Buffer | undefined> {
  try {
    return (await readGuarded(path, maxSize))?.bytes
  } catch (error) {
    throw isErrorCode(error, 'VALUES_INVALID') ? wrongFile(error.message, path, error) : error
  }
}

function wrongFile(what: string, item: string, cause?: unknown): AirgapError {
  return new AirgapError('SIGNATURE_INVALID', what, {
    item,
    likely: 'the files next to the bundle were changed, or copied in part',
    next: 'copy the bundle again with all files whose names start with its own name',
    cause,
  })
}
