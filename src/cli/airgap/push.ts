import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import pLimit from 'p-limit'
import { openBundle } from '../../bundle/reader.ts'
import { readAll } from '../../content/read.ts'
import type { ReadableStore } from '../../content/store.ts'
import { parseManifest } from '../../content/successors.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import { AirgapError } from '../../core/errors.ts'
import { annotationKeys, isIndexType } from '../../core/media-types.ts'
import { parseReference, type Reference } from '../../core/reference.ts'
import { type Oras, orasCopy, orasPushManifest, orasVersion } from '../../remote/oras.ts'
import type { Shell } from '../shell/run.ts'
import { positiveInteger } from './options.ts'

interface PushOptions {
  oras: string
  plainHttp?: boolean
  registryConfig?: string
  keepHost?: boolean
  jobs: number
  dryRun?: boolean
}

interface Pushed {
  from: string
  to: string
  digest: string
}

export function pushCommand(program: Command, shell: Shell): void {
  program
    .command('push')
    .description('copy a bundle’s images and charts into an existing registry, by the oras CLI')
    .argument('<bundle>')
    .argument('<registry>', 'host[:port][/prefix]')
    .addOption(new Option('--oras <program>', 'the oras CLI').default('oras').env('AIRGAP_ORAS'))
    .option('--plain-http', 'the registry speaks plain HTTP')
    .option(
      '--registry-config <file>',
      'docker config.json with its credentials (default: what `oras login` wrote)',
    )
    .option('--keep-host', 'keep the upstream host in the name: REGISTRY/quay.io/calico/node')
    .addOption(new Option('-j, --jobs <n>', 'how many copies at once').argParser(positiveInteger).default(2))
    .option('--dry-run', 'say what would be copied')
    .action((path: string, registry: string, options: PushOptions) =>
      push(resolve(path), registry, { options, shell }),
    )
}

async function push(
  path: string,
  registry: string,
  run: { options: PushOptions; shell: Shell },
): Promise<void> {
  const { options, shell } = run
  const oras: Oras = {
    program: options.oras,
    plainHttp: options.plainHttp ?? false,
    signal: shell.signal,
    ...(options.registryConfig === undefined ? {} : { registryConfig: options.registryConfig }),
  }
  const progress = shell.progress()
  const bundle = await openBundle(path)
  try {
    const roots = bundle
      .roots()
      .filter(root => ['image', 'chart'].includes(root.annotations?.[annotationKeys.kind] ?? ''))
    const copies = roots.map(root => ({
      root,
      ...target(root, { registry, keepHost: options.keepHost ?? false }),
    }))
    if (!options.dryRun) {
      progress.note(`oras ${await orasVersion(oras)}`)
      progress.total(copies.length, 0)
      const limit = pLimit(options.jobs)
      await Promise.all(
        copies.map(copy =>
          limit(async () => {
            await pushOne(oras, { path, store: bundle, ...copy })
            progress.done(copy.to, copy.root.size)
          }),
        ),
      )
    }
    const pushed: Pushed[] = copies.map(({ from, to, root }) => ({ from, to, digest: root.digest }))
    shell.print({ registry, pushed, dryRun: options.dryRun ?? false }, () =>
      [
        ...pushed.map(row => `${row.from} → ${row.to}`),
        `${pushed.length} ${options.dryRun ? 'would be copied' : 'copied'}`,
      ].join('\n'),
    )
  } finally {
    await bundle.close()
  }
}

function target(root: Descriptor, to: { registry: string; keepHost: boolean }): { from: string; to: string } {
  const name = root.annotations?.[annotationKeys.refName] ?? ''
  const reference: Reference = name.startsWith('charts/')
    ? parseReference(`charts.local/${name}`)
    : parseReference(name)
  const repository =
    to.keepHost && !name.startsWith('charts/')
      ? `${reference.host}/${reference.repository}`
      : reference.repository
  const suffix = reference.tag === undefined ? `@${root.digest}` : `:${reference.tag}`
  return { from: name, to: `${to.registry.replace(/\/+$/, '')}/${repository}${suffix}` }
}

/**
 * A whole artifact goes by `oras cp`. An index of which only some platforms are carried cannot: its children go one by
 * one, then the index with its own bytes, so that the digest stays the publisher's.
 */
async function pushOne(
  oras: Oras,
  copy: { path: string; store: ReadableStore; root: Descriptor; to: string },
): Promise<void> {
  const { path, store, root, to } = copy
  const carried = isIndexType(root.mediaType) ? await carriedChildren(store, root) : undefined
  if (carried === undefined) {
    await orasCopy(oras, { from: `${path}@${root.digest}`, to })
    return
  }
  const repository = to.replace(/(@.*|:[^/:]*)$/, '')
  for (const child of carried)
    await orasCopy(oras, { from: `${path}@${child.digest}`, to: `${repository}@${child.digest}` })
  const folder = await mkdtemp(join(tmpdir(), 'airgap-push-'))
  try {
    const file = join(folder, 'index.json')
    await writeFile(file, await readAll(store, root))
    await orasPushManifest(oras, { file, mediaType: root.mediaType, to })
  } catch (error) {
    const [only, ...others] = carried
    if (!(error instanceof AirgapError) || only === undefined || others.length > 0) throw sparse(error, to)
    // A registry that wants every platform of an index cannot hold it; the one platform carried can stand under the tag.
    await orasCopy(oras, { from: `${path}@${only.digest}`, to })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function sparse(error: unknown, to: string): unknown {
  if (!(error instanceof AirgapError) || error.code !== 'UPSTREAM') return error
  return new AirgapError(
    'UNSUPPORTED',
    'the registry does not take an index of which only some platforms are carried',
    {
      item: to,
      likely: error.likely ?? error.message,
      next: 'build the bundle with one platform, or with all that the image is published for',
      cause: error,
    },
  )
}

/** Children that the bundle holds, or undefined where it holds all. */
async function carriedChildren(store: ReadableStore, root: Descriptor): Promise<Descriptor[] | undefined> {
  const parsed = parseManifest(await readAll(store, root), {
    mediaType: root.mediaType,
    item: root.digest,
    code: 'BUNDLE_CORRUPT',
  })
  if (parsed.type !== 'index') return undefined
  const here = await Promise.all(parsed.manifests.map(child => store.exists(child)))
  return here.every(Boolean) ? undefined : parsed.manifests.filter((_, i) => here[i])
}
