import { access, constants } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import pLimit from 'p-limit'
import { type BundleStore, openBundle } from '../../bundle/reader.ts'
import { fromSystemError, isErrorCode } from '../../core/errors.ts'
import { together } from '../../core/failures.ts'
import { carriedLock } from '../../lock/carried-lock.ts'
import { type Oras, orasVersion } from '../../remote/oras.ts'
import { namedRoots } from '../../site/images.ts'
import { parseRegistry, pushTargets } from '../../site/push-names.ts'
import type { Shell } from '../shell/run.ts'
import { findProgram } from './installation.ts'
import { positiveInteger } from './options.ts'
import { type Carried, describeCarried, type Pushed, pushArtifact } from './push-artifact.ts'

interface PushOptions {
  oras?: string
  plainHttp?: boolean
  registryConfig?: string
  caFile?: string
  keepHost?: boolean
  jobs: number
  dryRun?: boolean
}

export function pushCommand(program: Command, shell: Shell): void {
  program
    .command('push')
    .description('copy a bundle’s images and charts into an existing registry, by the oras CLI')
    .argument('<bundle>', 'the .tar that `airgap build` wrote')
    .argument('<registry>', 'host[:port][/prefix]')
    .option('--plain-http', 'the registry speaks plain HTTP')
    .option(
      '--registry-config <file>',
      'docker config.json with its credentials (default: what `oras login` or `docker login` wrote)',
    )
    .option('--ca-file <pem>', 'certificate authority of the registry')
    .option('--keep-host', 'keep the upstream host in the name: REGISTRY/quay.io/calico/node')
    .addOption(
      new Option('-j, --jobs <n>', 'how many repositories at once').argParser(positiveInteger).default(4),
    )
    .option('--dry-run', 'say what would be copied')
    .addOption(
      new Option('--oras <program>', 'the oras CLI')
        .default(undefined, 'from PATH, or what scripts/setup built')
        .env('AIRGAP_ORAS'),
    )
    .action((path: string, registry: string, options: PushOptions) =>
      push(resolve(path), registry, { options, shell }),
    )
}

async function push(
  path: string,
  registry: string,
  { options, shell }: { options: PushOptions; shell: Shell },
): Promise<void> {
  const to = parseRegistry(registry)
  for (const file of [options.registryConfig, options.caFile]) if (file !== undefined) await readable(file)
  const bundle = await openBundle(path)
  try {
    const { collisions } = await carriedLock(bundle, path)
    const names = { registry: to, keepHost: options.keepHost ?? false, collisions }
    const artifacts: Carried[] = []
    for (const target of pushTargets(namedRoots(bundle.roots()), names))
      artifacts.push(await describeCarried(bundle, target))
    const dryRun = options.dryRun ?? false
    const pushed = dryRun
      ? artifacts.map(planned)
      : await pushAll(artifacts, { path, bundle, options, shell })
    shell.print({ registry, pushed, dryRun }, () => render(pushed, dryRun))
  } finally {
    await bundle.close()
  }
}

async function readable(file: string): Promise<void> {
  try {
    await access(file, constants.R_OK)
  } catch (error) {
    throw fromSystemError(error, file)
  }
}

/**
 * Repository by repository, several at once: where a registry has no referrers API, oras keeps their list under a tag, and two
 * at once would lose each other's entry (distribution-spec, referrers tag schema). The first failure stops the others.
 */
async function pushAll(
  artifacts: readonly Carried[],
  run: { path: string; bundle: BundleStore; options: PushOptions; shell: Shell },
): Promise<Pushed[]> {
  const { path, bundle, options, shell } = run
  const failed = new AbortController()
  const oras: Oras = {
    program: options.oras ?? (await findProgram('oras')) ?? 'oras',
    plainHttp: options.plainHttp ?? false,
    signal: AbortSignal.any([shell.signal, failed.signal]),
    ...(options.registryConfig === undefined ? {} : { registryConfig: options.registryConfig }),
    ...(options.caFile === undefined ? {} : { caFile: options.caFile }),
  }
  const progress = shell.progress()
  progress.note(`oras ${await orasVersion(oras)}`)
  progress.total(
    artifacts.length,
    artifacts.reduce((sum, { size }) => sum + size, 0),
  )
  const pushed = new Map<Carried, Pushed>()
  const refused: unknown[] = []
  let failure: unknown
  const limit = pLimit(options.jobs)
  const byRepository = Map.groupBy(artifacts, ({ target }) => target.repository)
  const jobs = [...byRepository.values()].map(group =>
    limit(async () => {
      for (const carried of group) {
        oras.signal.throwIfAborted()
        try {
          pushed.set(carried, await pushArtifact(oras, { path, store: bundle, carried }))
        } catch (error) {
          // of this artifact alone: the others go on
          if (!isErrorCode(error, 'UNSUPPORTED')) throw error
          refused.push(error)
        }
        progress.advance(carried.size)
        progress.done(carried.target.to, carried.size)
      }
    }).catch(error => {
      failure ??= error
      failed.abort()
    }),
  )
  await Promise.all(jobs)
  if (failure !== undefined) throw failure
  if (refused.length > 0) throw together(refused, artifacts.length)
  return artifacts.flatMap(carried => pushed.get(carried) ?? [])
}

function planned({ target, platforms }: Carried): Pushed {
  const row = { from: target.name, to: target.to, digest: target.root.digest }
  return platforms === undefined ? row : { ...row, platforms }
}

function render(pushed: readonly Pushed[], dryRun: boolean): string {
  const lines = pushed.flatMap(row => [`${row.from} → ${row.to}`, ...remarks(row, dryRun)])
  const other = pushed.filter(row => row.published !== undefined).length
  const end = `${pushed.length} ${dryRun ? 'would be copied' : 'in the registry'}`
  return [...lines, other === 0 ? end : `${end}, ${other} under another digest than the publisher's`].join(
    '\n',
  )
}

/** An index that is not whole: is the publisher's digest kept? */
function remarks({ platforms, digest, published }: Pushed, dryRun: boolean): string[] {
  if (platforms === undefined) return []
  const only = `    carried for ${platforms.join(', ')} only`
  if (dryRun) return [`${only}: the digest is kept if the registry takes an index with platforms left out`]
  if (published === undefined) return [`${only}; the digest is the publisher's, ${digest}`]
  return [
    `${only}, and the registry refuses an index with platforms left out:`,
    `    the tag stands for ${digest}; it cannot be pulled by the publisher's ${published}`,
  ]
}
