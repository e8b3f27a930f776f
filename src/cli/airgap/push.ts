import { basename, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import pLimit from 'p-limit'
import { openFileSource } from '../../bundle/byte-source.ts'
import { type BundleStore, openBundle } from '../../bundle/reader.ts'
import { verifyStructure } from '../../bundle/verify.ts'
import { defined } from '../../core/defined.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { together } from '../../core/failures.ts'
import { carriedLock } from '../../lock/carried-lock.ts'
import { type PushedBundle, pushBundle } from '../../publish/push-bundle.ts'
import { openPlace, parseBundleReference } from '../../publish/registry-place.ts'
import { type Carried, describeCarried, type Pushed, pushArtifact } from '../../push/push-artifact.ts'
import { withLoginFor } from '../../push/registry-login.ts'
import { type Oras, orasVersion } from '../../remote/oras.ts'
import { namedRoots } from '../../site/images.ts'
import { parseRegistry, pushTargets } from '../../site/push-names.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes } from '../shell/format.ts'
import { findProgram } from '../shell/installation.ts'
import type { Shell } from '../shell/run.ts'
import { checkRegistryFiles, positiveInteger, type RegistryFlags, registryOptions } from './options.ts'

interface PushOptions extends RegistryFlags {
  asBundle?: boolean
  replace?: boolean
  oras?: string
  keepHost?: boolean
  jobs: number
  dryRun?: boolean
}

export function pushCommand(program: Command, shell: Shell): void {
  const command = addExamples(program.command('push'), [
    ['airgap push stack-1.0.0.tar harbor.example:443/airgap --dry-run'],
    ['airgap push stack-1.0.0.tar 10.0.0.5:5000 --plain-http'],
    [
      'airgap push --as-bundle stack-1.0.0.tar registry.example/site/stack:1.0.0',
      'the whole bundle, for `airgap pull`',
    ],
  ])
    .description(
      'Copy the images and charts of a bundle into an existing registry, with the oras CLI; or the whole bundle (--as-bundle)',
    )
    .argument('<bundle>', 'the .tar that `airgap build` wrote')
    .argument(
      '<registry>',
      'the registry: host[:port][/prefix]; with --as-bundle, host[:port]/name[:version]',
    )
    .option(
      '--as-bundle',
      'push the whole bundle under one name, with the files next to it; `airgap pull` restores the same bytes',
    )
    .option('--replace', 'with --as-bundle: move the name to this bundle if the registry has another one')
  registryOptions(command)
    .option('--keep-host', 'keep the upstream host in the name: REGISTRY/quay.io/calico/node')
    .addOption(
      new Option('-j, --jobs <n>', 'number of parallel transfers').argParser(positiveInteger).default(4),
    )
    .option('--dry-run', 'show what would be copied; copy nothing')
    .addOption(
      new Option('--oras <program>', 'the oras to run')
        .default(undefined, 'from PATH, or what scripts/setup installed')
        .env('AIRGAP_ORAS'),
    )
    .action((path: string, registry: string, options: PushOptions) =>
      options.asBundle === true
        ? pushAsBundle(resolve(path), registry, { options, shell })
        : push(resolve(path), registry, { options, shell }),
    )
}

async function push(
  path: string,
  registry: string,
  { options, shell }: { options: PushOptions; shell: Shell },
): Promise<void> {
  if (options.replace === true)
    throw new AirgapError('USAGE', '--replace is for whole bundles only', {
      item: '--replace',
      next: 'remove it, or add --as-bundle; images and charts replace those of the same tag in any case',
    })
  const to = parseRegistry(registry)
  await checkRegistryFiles(options)
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

/**
 * Pushes several repositories in parallel, but the artifacts of each one by one: for a registry without the referrers API, oras
 * keeps the list of referrers under a tag, and two parallel updates would lose an entry (distribution-spec, referrers tag
 * schema). The first failure stops the others.
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
    ...defined({ registryConfig: options.registryConfig, caFile: options.caFile }),
  }
  const progress = shell.progress()
  progress.note(`oras ${await orasVersion(oras)}`)
  shell.whenStopped('run the same command again: it skips what the registry already has')
  progress.phase('Pushing')
  progress.total(
    artifacts.length,
    artifacts.reduce((sum, { size }) => sum + size, 0),
  )
  const pushed = new Map<Carried, Pushed>()
  const refused: unknown[] = []
  let failure: unknown
  const limit = pLimit(options.jobs)
  const byRepository = Map.groupBy(artifacts, ({ target }) => target.repository)
  const pushGroup = async (group: readonly Carried[], withLogin: Oras) => {
    for (const carried of group) {
      withLogin.signal.throwIfAborted()
      const ended = progress.running(carried.target.to)
      try {
        pushed.set(carried, await pushArtifact(withLogin, { path, store: bundle, carried }))
      } catch (error) {
        // a failure of this artifact only: the others continue
        if (!isErrorCode(error, 'UNSUPPORTED')) throw error
        refused.push(error)
      } finally {
        ended()
      }
      progress.advance(carried.size)
      progress.done(carried.target.to, carried.size)
    }
  }
  const jobs = [...byRepository].map(([repository, group]) =>
    limit(() => withLoginFor(oras, repository, withLogin => pushGroup(group, withLogin))).catch(error => {
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
  return defined({ from: target.name, to: target.to, digest: target.root.digest, platforms })
}

function render(pushed: readonly Pushed[], dryRun: boolean): string[] {
  const lines = pushed.flatMap(row => [`${row.from} → ${row.to}`, ...remarks(row, dryRun)])
  const other = pushed.filter(row => row.published !== undefined).length
  const end = `${pushed.length} ${pushed.length === 1 ? 'artifact' : 'artifacts'} ${dryRun ? 'would be copied' : 'in the registry'}`
  return [...lines, other === 0 ? end : `${end}, ${other} with a digest that differs from the publisher's`]
}

/** For an index whose platforms are not all carried: whether its digest is still the publisher's. */
function remarks({ platforms, digest, published }: Pushed, dryRun: boolean): string[] {
  if (platforms === undefined) return []
  const only = `    carried for ${platforms.join(', ')} only`
  if (dryRun) return [`${only}: keeps its digest if the registry accepts an index with missing platforms`]
  if (published === undefined) return [`${only}; the digest is the publisher's: ${digest}`]
  return [
    `${only}, and the registry refuses an index with missing platforms:`,
    `    the tag refers to ${digest}; pulling by the publisher's ${published} fails`,
  ]
}

/** `airgap push --as-bundle` */
async function pushAsBundle(
  path: string,
  name: string,
  { options, shell }: { options: PushOptions; shell: Shell },
): Promise<void> {
  if (options.keepHost === true)
    throw new AirgapError('USAGE', '--keep-host is incompatible with --as-bundle', {
      item: '--keep-host',
      next: 'remove --keep-host: the whole bundle has one name',
    })
  await checkRegistryFiles(options)
  const source = await openFileSource(path)
  const bundle = await openBundle(source)
  try {
    const reference = parseBundleReference(name, bundle.info.version)
    const progress = shell.progress()
    await verifyStructure(source)
    const place = openPlace(reference, {
      access: 'pull,push',
      plainHttp: options.plainHttp ?? false,
      caFile: options.caFile,
      registryConfig: options.registryConfig,
      jobs: options.jobs,
      progress,
      signal: shell.signal,
    })
    shell.whenStopped('run the same command again: it skips what the registry already has')
    const dryRun = options.dryRun ?? false
    try {
      const pushed = await pushBundle(bundle, place, {
        file: basename(path),
        path,
        replace: options.replace ?? false,
        dryRun,
        jobs: options.jobs,
        progress,
        signal: shell.signal,
      })
      shell.print({ ...pushed, dryRun }, () => renderBundle(pushed, dryRun))
    } finally {
      await place.close()
    }
  } finally {
    await bundle.close()
  }
}

function renderBundle(pushed: PushedBundle, dryRun: boolean): string[] {
  const row = (title: string, { blobs, bytes }: PushedBundle['uploaded']) =>
    `  ${title} ${blobs} blobs, ${humanBytes(bytes)}`
  return [
    `${pushed.reference}${dryRun ? ': would be pushed' : ''}`,
    `  digest   ${pushed.digest}`,
    `  manifest ${pushed.manifest}`,
    row(dryRun ? 'missing ' : 'uploaded', pushed.uploaded),
    row('present ', pushed.present),
    pushed.files.length === 0
      ? '  files    none next to the bundle: it has no signatures'
      : `  files    ${pushed.files.join(', ')}`,
  ]
}
