import { readFile } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { fetchSlots } from '../../assemble/fetch.ts'
import type { ReusedBundle } from '../../assemble/near-copies.ts'
import { type BuildPlan, planBuild } from '../../assemble/plan.ts'
import { type BundleStore, openBundle } from '../../bundle/reader.ts'
import { signedContent } from '../../bundle/signed-content.ts'
import { verifyBundle } from '../../bundle/verify.ts'
import { BundleWriter } from '../../bundle/writer.ts'
import { type HashPool, hashPool } from '../../content/hash-pool.ts'
import { defined } from '../../core/defined.ts'
import { type Digest, digestOf } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { toolVersion } from '../../core/tool-version.ts'
import { packageSets } from '../../kinds/items.ts'
import { provenanceOf } from '../../kinds/provenance.ts'
import type { Lock } from '../../lock/schema.ts'
import { type SignedBundle, signBundle } from '../../signature/sign-bundle.ts'
import type { Signer } from '../../signature/signer.ts'
import { repeated } from '../shell/arguments.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes, humanTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import {
  currentLock,
  defaultJobs,
  layoutOf,
  openStack,
  type StackContext,
  type StackOptions,
} from './context.ts'
import { noSigning, type SigningFlags, signingOptions, stackOptions } from './options.ts'
import { signedText, signedValue, signersOf } from './sign.ts'

interface BuildOptions extends StackOptions, SigningFlags {
  out?: string
  frozen?: boolean
  reuse: string[]
  keepGoing?: boolean
  builder?: string
  dryRun?: boolean
}

export function buildCommand(program: Command, shell: Shell): void {
  addExamples(signingOptions(stackOptions(program.command('build'))), [
    ['airgap build -f stack.yaml --frozen --out /mnt/usb/stack.tar'],
    ['airgap build --sign-key ~/keys/release.key', 'sign the bundle when it is complete'],
    ['airgap build --reuse stack-1.0.0.tar', 'copy unchanged content from an earlier bundle'],
  ])
    .description('Build the bundle that the lockfile describes; run it again to resume an interrupted build')
    .option('--out <file>', 'the bundle to write (default: NAME-VERSION.tar in the current folder)')
    .option('--frozen', 'do not update the lockfile; exit 4 if it is missing or out of date')
    .option('--reuse <bundle>', 'copy content from this earlier bundle (repeatable)', repeated, [])
    .option('--keep-going', 'fetch everything that is available, then exit 9 if something is missing')
    .addOption(
      new Option('--builder <uri>', 'who builds, for the provenance: a URI of this host or pipeline')
        .argParser(builderUri)
        .default(defaultBuilder)
        .env('AIRGAP_BUILDER'),
    )
    .option('--dry-run', 'show what would be fetched; write nothing')
    .action((options: BuildOptions) => build(options, shell))
}

export function planCommand(program: Command, shell: Shell): void {
  addExamples(stackOptions(program.command('plan')), [
    ['airgap plan -f stack.yaml'],
    ['airgap plan --reuse stack-1.0.0.tar', 'what the next bundle adds to this one'],
  ])
    .description('Show what a build would fetch: blobs and bytes by source; write nothing')
    .option('--frozen', 'exit 4 if the lockfile is missing or out of date')
    .option('--reuse <bundle>', 'copy content from this earlier bundle (repeatable)', repeated, [])
    .action((options: Omit<BuildOptions, keyof SigningFlags>) =>
      build({ ...options, ...noSigning, dryRun: true }, shell),
    )
}

async function build(options: BuildOptions, shell: Shell): Promise<void> {
  const progress = shell.progress()
  const started = performance.now()
  const startedAt = new Date()
  // before hours of work: a wrong password ends the build at once
  const signers = options.dryRun ? [] : await signersOf(options, shell)
  const stack = await openStack(options, { progress, signal: shell.signal })
  const pool = hashPool()
  const reuse: (ReusedBundle & { store: BundleStore })[] = await Promise.all(
    options.reuse.map(async path => ({ path, store: await openBundle(path) })),
  )
  try {
    const frozen = options.frozen ?? false
    const lock = await currentLock(stack, {
      ...options,
      frozen,
      progress,
      signal: shell.signal,
      write: !options.dryRun,
    })
    const layout = layoutOf(lock)
    const out = resolve(options.out ?? `${lock.name}-${lock.version}.tar`)
    const earlier = reuse.some(({ path }) => resolve(path) === out) ? undefined : await earlierBundle(out)
    if (earlier !== undefined) reuse.push(earlier)
    if (options.dryRun) {
      const plan = await planBuild(layout, [...reuse.map(bundle => bundle.store), stack.cache])
      const sets = setRows(lock)
      shell.print({ name: lock.name, version: lock.version, ...plan, sets }, () => renderPlan(plan, sets))
      return
    }
    const built = earlier?.store.indexDigest === layout.indexDigest && (await isIntact(out, { shell, pool }))
    if (!built && earlier !== undefined)
      progress.note(`${out} exists: reusing its content, then replacing it`)
    const sealed = built
      ? { path: out, size: layout.size }
      : await write(out, { layout, stack, reuse, options, shell, progress, pool })
    const seconds = (performance.now() - started) / 1000
    const signed = await signSealed(sealed.path, {
      options,
      signers,
      lock,
      started: built ? undefined : startedAt,
    })
    const result = {
      bundle: sealed.path,
      size: sealed.size,
      digest: layout.indexDigest,
      seconds,
      built: !built,
    }
    shell.print({ ...result, signed: signedValue(sealed.path, signed) }, () => [
      `${sealed.path}${built ? ': already built; every byte is verified' : ''}`,
      `  size    ${humanBytes(sealed.size)} (${sealed.size} bytes)`,
      `  digest  ${layout.indexDigest}`,
      `  time    ${humanTime(seconds)}`,
      ...signedText(sealed.path, { signed, signers }),
    ])
  } finally {
    await pool.close()
    await Promise.all(reuse.map(bundle => bundle.store.close()))
    await stack.http.close()
  }
}

interface Sealed {
  options: BuildOptions
  signers: readonly Signer[]
  lock: Lock
  /** when this build began; undefined: the bundle was there already, and its provenance with it */
  started: Date | undefined
}

/** Writes the files next to the finished bundle; those of a bundle that it replaced go. */
async function signSealed(path: string, { options, signers, lock, started }: Sealed): Promise<SignedBundle> {
  const bundle = await openBundle(path)
  try {
    const { format: formats, expires } = options
    const content = signedContent(bundle)
    const made = started && (await provenance(lock, { options, started, index: content.index }))
    const files = { content, signers, formats, now: new Date(), expires, stale: 'replace' as const }
    return await signBundle(path, { ...files, ...defined({ provenance: made }) })
  } finally {
    await bundle.close()
  }
}

async function provenance(
  lock: Lock,
  { options, started, index }: { options: BuildOptions; started: Date; index: Digest },
) {
  const manifest = { name: basename(options.file), digest: digestOf(await readFile(options.file)) }
  const versions = { airgap: toolVersion, node: process.versions.node }
  const facts = { index, manifest, builder: options.builder ?? defaultBuilder, versions, started }
  return provenanceOf(lock, { ...facts, finished: new Date() })
}

const defaultBuilder = 'urn:astrago-airgap:builder'

function builderUri(text: string): string {
  if (/^[a-z][a-z0-9+.-]*:[\x21-\x7e]{1,500}$/.test(text)) return text
  throw new InvalidArgumentError('must be a URI, such as https://ci.example/pipelines/7')
}

/** The bundle that the build is about to replace; undefined where there is none that can be read. */
async function earlierBundle(out: string) {
  try {
    return { path: out, store: await openBundle(out), replaced: true as const }
  } catch (error) {
    if (error instanceof AirgapError) return undefined
    throw error
  }
}

/** The bundle has the right index; it is finished if every byte of it is right, too. */
async function isIntact(path: string, { shell, pool }: { shell: Shell; pool: HashPool }): Promise<boolean> {
  try {
    await verifyBundle(path, { progress: shell.progress(), signal: shell.signal, pool })
    return true
  } catch (error) {
    if (error instanceof AirgapError && error.exitCode === 6) return false
    throw error
  }
}

async function write(
  out: string,
  work: {
    layout: ReturnType<typeof layoutOf>
    stack: StackContext
    reuse: ReusedBundle[]
    options: BuildOptions
    shell: Shell
    progress: ReturnType<Shell['progress']>
    pool: HashPool
  },
): Promise<{ path: string; size: number }> {
  const { stack, options, shell, progress } = work
  const writer = await BundleWriter.open(out, work.layout, { progress, pool: work.pool })
  shell.whenStopped('run the same command again: it continues with what is missing')
  try {
    const slots = writer.pending()
    progress.phase('Fetching')
    progress.total(
      slots.length,
      slots.reduce((sum, slot) => sum + slot.descriptor.size - slot.received, 0),
    )
    await fetchSlots(writer, {
      http: stack.http,
      registry: stack.registry,
      reuse: work.reuse,
      cache: stack.cache,
      folder: stack.manifest.folder,
      runtime: stack.runtime,
      concurrency: options.jobs ?? defaultJobs.transfers,
      keepGoing: options.keepGoing ?? false,
      progress,
      signal: shell.signal,
    })
    return await writer.seal()
  } finally {
    await writer.close()
  }
}

interface SetRow {
  /** `debs/ubuntu-22.04`, `rpms/el9`, `pypi` */
  name: string
  packages: number
  bytes: number
}

/** Counts the packages of each OS release, and those of Python. */
function setRows(lock: Lock): SetRow[] {
  const rows = new Map<string, SetRow>()
  for (const { tree, items } of packageSets(lock)) {
    const row = rows.get(tree) ?? { name: tree, packages: 0, bytes: 0 }
    row.packages += items.length
    row.bytes += items.reduce((sum, item) => sum + item.size, 0)
    rows.set(tree, row)
  }
  return [...rows.values()].filter(row => row.packages > 0)
}

function renderPlan(plan: BuildPlan, sets: readonly SetRow[]): string[] {
  const row = (name: string, blobs: number, bytes: number) =>
    `  ${name.padEnd(32)} ${String(blobs).padStart(6)}  ${humanBytes(bytes).padStart(10)}`
  return [
    `bundle ${humanBytes(plan.size)}, ${plan.blobs} blobs`,
    ...sets.map(({ name, packages, bytes }) => row(`packages ${name}`, packages, bytes)),
    row('already here', plan.near.blobs, plan.near.bytes),
    row('to fetch', plan.fetch.blobs, plan.fetch.bytes),
    ...plan.sources.map(source => row(`  ${source.source}`, source.blobs, source.bytes)),
  ]
}
