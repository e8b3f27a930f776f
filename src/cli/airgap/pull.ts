import { type Command, Option } from 'commander'
import { defined } from '../../core/defined.ts'
import { parseDigest } from '../../core/digest.ts'
import { type PulledBundle, pullBundle } from '../../publish/pull-bundle.ts'
import { openPlace, parseBundleReference } from '../../publish/registry-place.ts'
import { readPublicKeys } from '../../signature/open-signer.ts'
import { repeated } from '../shell/arguments.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes, humanTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { checkRegistryFiles, positiveInteger, type RegistryFlags, registryOptions } from './options.ts'
import { signedLines, thresholdWithoutKeys } from './verify.ts'

interface PullOptions extends RegistryFlags {
  out?: string
  expect?: string
  publicKey: string[]
  threshold?: number
  reuse: string[]
  replace?: boolean
  jobs: number
  dryRun?: boolean
}

export function pullCommand(program: Command, shell: Shell): void {
  const command = addExamples(program.command('pull'), [
    ['airgap pull registry.example/site/stack:1.0.0 --public-key release.pub'],
    [
      'airgap pull registry.example/site/stack:1.1.0 --reuse stack-1.0.0.tar',
      'fetch only what the earlier bundle lacks',
    ],
  ])
    .description(
      'Pull a bundle that `airgap push --as-bundle` pushed: the same bytes, with its signatures; run it again to resume',
    )
    .argument('<name>', 'the bundle in the registry: host[:port]/name:version, or @sha256:…')
    .option('--out <file>', 'the bundle to write (default: its own name, in the current folder)')
    .option(
      '--expect <digest>',
      'the digest that `airgap build` printed; exit 6 if the bundle has another one',
    )
    .option(
      '--public-key <file>',
      'verify the signatures with the keys in this file before anything else is fetched: of minisign, OpenSSH or PEM (repeatable)',
      repeated,
      [],
    )
    .option('--threshold <n>', 'how many of the keys must have signed (default: 1)', positiveInteger)
    .option('--reuse <bundle>', 'copy content from this earlier bundle (repeatable)', repeated, [])
    .option('--replace', 'overwrite the file if it is another bundle')
  registryOptions(command)
    .addOption(
      new Option('-j, --jobs <n>', 'number of parallel transfers').argParser(positiveInteger).default(4),
    )
    .option('--dry-run', 'show what would be pulled, and verify its signatures; write nothing')
    .action((name: string, options: PullOptions) => pull(name, { options, shell }))
}

async function pull(name: string, { options, shell }: { options: PullOptions; shell: Shell }): Promise<void> {
  const started = performance.now()
  const { publicKey, threshold, jobs } = options
  if (publicKey.length === 0 && threshold !== undefined) throw thresholdWithoutKeys()
  await checkRegistryFiles(options)
  const keys = (await Promise.all(publicKey.map(readPublicKeys))).flat()
  const reference = parseBundleReference(name)
  const expect = options.expect === undefined ? undefined : parseDigest(options.expect)
  const progress = shell.progress()
  const { signal } = shell
  const place = openPlace(reference, {
    access: 'pull',
    plainHttp: options.plainHttp ?? false,
    caFile: options.caFile,
    registryConfig: options.registryConfig,
    jobs,
    progress,
    signal,
  })
  shell.whenStopped('run the same command again: it continues where it stopped')
  const dryRun = options.dryRun ?? false
  try {
    const pulled = await pullBundle(place, {
      out: options.out,
      expect,
      keys,
      threshold: threshold ?? 1,
      replace: options.replace ?? false,
      reuse: options.reuse,
      dryRun,
      jobs,
      progress,
      signal,
    })
    const seconds = (performance.now() - started) / 1000
    const { path, signed, ...facts } = pulled
    shell.print({ bundle: path, ...facts, ...defined({ signed }), seconds, dryRun }, () =>
      render(pulled, { dryRun, seconds }),
    )
  } finally {
    await place.close()
  }
}

function render(pulled: PulledBundle, { dryRun, seconds }: { dryRun: boolean; seconds: number }): string[] {
  const { path, size, digest, blobs, files, signed } = pulled
  const what = dryRun ? ': would be written' : pulled.pulled ? '' : ': already here; every byte is verified'
  return [
    `${path}${what}`,
    `  size    ${humanBytes(size)} (${size} bytes), ${blobs} blobs`,
    `  digest  ${digest}`,
    ...(signed === undefined
      ? [
          '  signed  not checked: pass --public-key, or compare the digest with the one that the builder gave you',
        ]
      : signedLines(signed)),
    `  files   ${files.length === 0 ? 'none: the registry has no signatures of it' : files.join(', ')}`,
    `  time    ${humanTime(seconds)}`,
  ]
}
