import type { Command } from 'commander'
import { openFileSource } from '../../bundle/byte-source.ts'
import { openBundle } from '../../bundle/reader.ts'
import { signedContent } from '../../bundle/signed-content.ts'
import { type VerifyReport, verifyBundle } from '../../bundle/verify.ts'
import { defined } from '../../core/defined.ts'
import { parseDigest } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { checkSignatures, type SignatureCheck } from '../../signature/check-signatures.ts'
import { readPublicKeys } from '../../signature/open-signer.ts'
import { checkBundleNames } from '../../site/check-names.ts'
import { repeated } from '../shell/arguments.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes, humanTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { positiveInteger } from './options.ts'

interface VerifyOptions {
  expect?: string
  publicKey: string[]
  threshold?: number
}

export function verifyCommand(program: Command, shell: Shell): void {
  addExamples(program.command('verify'), [
    ['airgap verify stack-1.0.0.tar --public-key release.pub'],
    [
      'airgap verify stack-1.0.0.tar --public-key a.pub --public-key b.pub --public-key c.pub --threshold 2',
      'signed by two of three',
    ],
  ])
    .description(
      'Verify every byte of the bundle and check that its names can be served; exit 6 if it is corrupt',
    )
    .argument('<bundle>', 'the .tar that `airgap build` wrote')
    .option(
      '--expect <digest>',
      'the digest that `airgap build` printed; exit 6 if the bundle has another one',
    )
    .option(
      '--public-key <file>',
      'also verify the signatures next to the bundle with the keys in this file: of minisign, OpenSSH or PEM (repeatable)',
      repeated,
      [],
    )
    .option('--threshold <n>', 'how many of the keys must have signed (default: 1)', positiveInteger)
    .action((path: string, options: VerifyOptions) => verify(path, { options, shell }))
}

async function verify(
  path: string,
  { options, shell }: { options: VerifyOptions; shell: Shell },
): Promise<void> {
  const started = performance.now()
  const { publicKey, threshold } = options
  if (publicKey.length === 0 && threshold !== undefined) throw thresholdWithoutKeys()
  const keys = (await Promise.all(publicKey.map(readPublicKeys))).flat()
  const expect = options.expect === undefined ? undefined : parseDigest(options.expect)
  // one open file: what was verified is what the signatures are compared with
  const source = await openFileSource(path)
  const bundle = await openBundle(source)
  let report: VerifyReport
  let signed: SignatureCheck | undefined
  try {
    report = await verifyBundle(source, {
      progress: shell.progress(),
      signal: shell.signal,
      ...defined({ expect }),
    })
    await checkBundleNames(bundle)
    const content = signedContent(bundle)
    if (keys.length > 0)
      signed = await checkSignatures(path, { keys, content, threshold: threshold ?? 1, now: new Date() })
  } finally {
    await bundle.close()
  }
  const seconds = (performance.now() - started) / 1000
  shell.print({ ...report, ...defined({ signed }), seconds }, () => [
    `${path}: good`,
    `  digest  ${report.indexDigest}`,
    ...(signed === undefined ? [] : signedLines(signed)),
    `  content ${report.blobs} blobs, ${humanBytes(report.size)}, read in ${humanTime(seconds)}`,
    ...(report.notCarried > 0
      ? [`  ${report.notCarried} manifests of other platforms are named but not carried`]
      : []),
  ])
}

export function signedLines({ signers, built, expires, unknown }: SignatureCheck): string[] {
  return [
    ...signers.map(({ short, words, formats }) => `  signed  ${short}  (${words}), ${formats.join(', ')}`),
    ...unknown.map(({ path }) => `  ignored ${path}: by none of the keys`),
    `  built   ${built}${expires === undefined ? '' : `, expires ${expires}`}`,
  ]
}

export function thresholdWithoutKeys(): AirgapError {
  return new AirgapError('USAGE', '--threshold counts keys, and there are none', {
    item: '--threshold',
    next: 'pass the public keys with --public-key FILE',
  })
}
