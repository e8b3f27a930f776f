import { type Command, InvalidArgumentError } from 'commander'
import { createAtomically } from '../../core/atomic-file.ts'
import { AirgapError } from '../../core/errors.ts'
import { readGuarded } from '../../core/guarded-file.ts'
import { type PublicKey, parsePublicKeys } from '../../signature/public-key.ts'
import { parseRotation, printRotation, type Rotation } from '../../signature/rotation.ts'
import { signRotation } from '../../signature/sign.ts'
import { printTime } from '../../signature/statement.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { type SigningFlags, signingOptions } from './options.ts'
import { signersOf } from './sign.ts'

interface RotateOptions extends SigningFlags {
  out: string
  threshold: number
  dryRun?: boolean
}

export function rotateCommand(program: Command, shell: Shell): void {
  addExamples(signingOptions(program.command('rotate'), { expiry: false }), [
    ['airgap rotate new.pub second.pub --sign-key old.key', 'the site trusts new and second afterwards'],
    ['airgap rotate --sign-key other-old.key', 'another holder of a present key signs the same rotation'],
  ])
    .description('Write which keys sign bundles from now on, signed with keys that the sites have')
    .argument('[key...]', 'public keys, those that stay included (default: sign the rotation that is there)')
    .option('--out <file>', 'the rotation; its signatures are written next to it', 'keys.rotation')
    .option('--threshold <count>', 'how many of the keys must sign a bundle', count, 1)
    .option('--dry-run', 'show the keys; write nothing')
    .action((files: string[], options: RotateOptions) => rotate(files, { options, shell }))
}

async function rotate(
  files: string[],
  { options, shell }: { options: RotateOptions; shell: Shell },
): Promise<void> {
  const { out, threshold, format: formats } = options
  const rotation = files.length === 0 ? undefined : await newRotation(files, threshold)
  const before = rotation === undefined ? await existing(out) : undefined
  const signers = await signersOf(options, shell)
  if (signers.length === 0) throw withoutKey()
  const text = rotation === undefined ? before!.toString('latin1') : printRotation(rotation)
  const stated = parseRotation(Buffer.from(text), out)
  if (options.dryRun) return print(stated, { out, written: [], shell })
  if (rotation !== undefined) {
    await refuseExisting(out)
    await createAtomically(out, text)
  }
  const written = await signRotation(out, { bytes: Buffer.from(text), signers, formats })
  print(stated, { out, written: written.map(({ path }) => path), shell })
}

async function newRotation(files: readonly string[], threshold: number): Promise<Rotation> {
  const keys = new Map<string, PublicKey>()
  for (const path of files) {
    const file = await readGuarded(path, maxSize)
    if (file === undefined) throw missing(path, 'pass the public key that `airgap keygen` wrote')
    for (const key of parsePublicKeys(file.bytes.toString('utf8'), path)) keys.set(key.fingerprint, key)
  }
  if (threshold > keys.size)
    throw new AirgapError('USAGE', `a threshold of ${threshold} cannot be reached with ${keys.size} keys`, {
      item: '--threshold',
      next: 'name every public key that signs from now on, those that stay included',
    })
  return { made: printTime(new Date()), threshold, keys: [...keys.values()] }
}

const maxSize = 64 * 1024 /* bytes */

async function existing(path: string): Promise<Buffer> {
  const file = await readGuarded(path, maxSize)
  if (file !== undefined) return file.bytes
  throw missing(path, 'name the public keys that sign from now on, or the rotation to sign with --out FILE')
}

/** What others have signed must not be replaced: their signatures would be wrong. */
async function refuseExisting(path: string): Promise<void> {
  if ((await readGuarded(path, maxSize)) === undefined) return
  throw new AirgapError('USAGE', 'the file exists already', {
    item: path,
    likely: 'it is a rotation that was made before',
    next: 'to sign it with another key, name no public keys; for another rotation, choose another file with --out',
  })
}

function missing(item: string, next: string): AirgapError {
  return new AirgapError('FILE_NOT_FOUND', 'the file does not exist', { item, next })
}

function withoutKey(): AirgapError {
  return new AirgapError('USAGE', 'the signing key is missing', {
    item: '--sign-key',
    likely: 'a rotation is signed with the keys that the sites have now, not with the new ones',
    next: 'pass --sign-key FILE or --sign-command COMMAND',
  })
}

function count(text: string): number {
  if (/^[1-9]\d?$/.test(text)) return Number(text)
  throw new InvalidArgumentError('must be a number from 1 to 99')
}

function print(
  { made, threshold, keys }: Rotation,
  { out, written, shell }: { out: string; written: readonly string[]; shell: Shell },
): void {
  const shown = keys.map(({ fingerprint, short, words }) => ({ fingerprint, short, words }))
  shell.print({ rotation: out, made, threshold, keys: shown, signatures: written }, () =>
    [
      `${written.length === 0 ? 'would write ' : ''}${out}: ${threshold} of ${keys.length} must sign bundles from now on`,
      ...keys.map(({ short, words }) => `  key     ${short}  (${words})`),
      ...written.map(path => `  file    ${path}`),
      'on each site: `offline-deploy keys rotate FILE`, with the signatures next to it',
    ].join('\n'),
  )
}
