import type { Command } from 'commander'
import { openFileSource } from '../../bundle/byte-source.ts'
import { openBundle } from '../../bundle/reader.ts'
import { signedContent } from '../../bundle/signed-content.ts'
import { verifyBundle } from '../../bundle/verify.ts'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { openSigners, type SecretSources } from '../../signature/open-signer.ts'
import type { PublicKey } from '../../signature/public-key.ts'
import {
  planSigning,
  type SignedBundle,
  type SigningOptions,
  signBundle,
} from '../../signature/sign-bundle.ts'
import type { Signer } from '../../signature/signer.ts'
import type { StatedContent } from '../../signature/statement.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { askHidden } from '../shell/terminal.ts'
import { type SigningFlags, signingOptions } from './options.ts'

interface SignOptions extends SigningFlags {
  dryRun?: boolean
}

export function signCommand(program: Command, shell: Shell): void {
  addExamples(signingOptions(program.command('sign')), [
    ['airgap sign stack-1.0.0.tar --sign-key ~/keys/release.key'],
    ["airgap sign stack-1.0.0.tar --sign-command 'ssh hsm sign-raw' --public-key hsm.pub"],
  ])
    .description('Sign a bundle: verify every byte, then write signatures of BUNDLE.sums next to it')
    .argument('<bundle>', 'the .tar that `airgap build` wrote')
    .option('--dry-run', 'verify the bundle and show what would be written; write nothing')
    .action((path: string, options: SignOptions) => sign(path, { options, shell }))
}

async function sign(path: string, { options, shell }: { options: SignOptions; shell: Shell }): Promise<void> {
  const signers = await signersOf(options, shell)
  if (signers.length === 0) throw withoutKey(path)
  // a signature vouches for the whole bundle, so nobody signs what was not read
  const content = await readContent(path, shell)
  const work: SigningOptions = {
    content,
    signers,
    formats: options.format,
    now: new Date(),
    expires: options.expires,
    stale: 'refuse',
  }
  if (options.dryRun) {
    const { statement, ...planned } = await planSigning(path, work)
    const files = planned.signatures.map(file => file.path)
    return shell.print({ bundle: path, ...planned, ...statement }, () =>
      [...(planned.isNew ? [planned.sums] : []), ...files].map(file => `would write ${file}`).join('\n'),
    )
  }
  const signed = await signBundle(path, work)
  shell.print(signedValue(path, signed), () => signedText(path, { signed, signers }).join('\n'))
}

async function readContent(path: string, shell: Shell): Promise<StatedContent> {
  const source = await openFileSource(path)
  const bundle = await openBundle(source)
  try {
    await verifyBundle(source, { progress: shell.progress(), signal: shell.signal })
    return signedContent(bundle)
  } finally {
    await bundle.close()
  }
}

function withoutKey(item: string): AirgapError {
  return new AirgapError('USAGE', 'the signing key is missing', {
    item,
    next: 'pass --sign-key FILE or --sign-command COMMAND; create a key with `airgap keygen`',
  })
}

/** What `build` and `sign` print of the files next to a bundle, as JSON. */
export function signedValue(
  bundle: string,
  { statement, instructions, provenance, ...signed }: SignedBundle,
) {
  const files = { instructions: instructions.path, provenance: provenance ?? null }
  return { bundle, ...signed, ...files, ...statement }
}

/** The same for people, and what to type on site. */
export function signedText(
  bundle: string,
  { signed, signers }: { signed: SignedBundle; signers: readonly Pick<Signer, 'key'>[] },
): string[] {
  const { statement, signatures, provenance, instructions } = signed
  const written = [signed.sums, ...signatures.map(({ path }) => path), provenance, instructions.path]
  const files = written.filter(path => path !== undefined)
  return [
    `${bundle}: ${signatures.length === 0 ? 'not signed' : `signed as ${statement.name} ${statement.version}`}`,
    ...signers.map(({ key }) => `  key     ${keyText(key)}`),
    ...files.map(path => `  file    ${path}`),
    '',
    ...instructions.text.trimEnd().split('\n'),
  ]
}

function keyText({ short, words }: PublicKey): string {
  return `${short}  (${words})`
}

/** Opens the keys that the options name; none without such options. Throws as `openSigners`, and USAGE. */
export async function signersOf(flags: SigningFlags, shell: Shell): Promise<Signer[]> {
  const { signKey: keys, signCommand: command, publicKey, passwordFile } = flags
  if (command === undefined && publicKey !== undefined)
    throw new AirgapError('USAGE', '--public-key belongs to --sign-command', {
      item: publicKey,
      next: 'leave it out: a secret key file contains its public key',
    })
  return await openSigners({ keys, ...defined({ command, publicKey, passwordFile }) }, secretSources(shell))
}

export function secretSources(shell: Shell): SecretSources {
  return {
    environment: process.env,
    askSecret: process.stdin.isTTY ? question => askHidden(question, shell.signal) : undefined,
    stdin: process.stdin,
    signal: shell.signal,
  }
}
