import { readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { assembleLock } from '../../assemble/assemble-lock.ts'
import { type Layout, planLayout } from '../../bundle/layout.ts'
import { LayoutStore } from '../../content/layout-store.ts'
import { AirgapError, fromSystemError, isErrorCode } from '../../core/errors.ts'
import { parsePlatform } from '../../core/platform.ts'
import type { Progress } from '../../core/progress.ts'
import { redactText } from '../../core/redact.ts'
import { refuseLogin } from '../../document/urls.ts'
import { isPrivate } from '../../kinds/image/names.ts'
import { readLock, writeLock } from '../../lock/lock.ts'
import type { Lock, SiteFacts } from '../../lock/schema.ts'
import { loadManifest } from '../../manifest/load.ts'
import type { SourceRemap, StackManifest } from '../../manifest/stack.ts'
import { withTestLayer } from '../../manifest/test-layer.ts'
import { parseProbe } from '../../probe/schema.ts'
import type { HttpClient, RegistryClient } from '../../remote/contract.ts'
import { createHttpClient } from '../../remote/http-client.ts'
import { createRegistryClient } from '../../remote/registry-client.ts'
import { inputsDigest } from '../../resolve/inputs.ts'
import { resolveStack } from '../../resolve/resolve-stack.ts'
import { lockRuntime, type RuntimePaths } from '../../resolve/runtime.ts'
import { factsOf, forSite, kernelsUnknown } from '../../resolve/site.ts'
import { checkNames } from '../../site/check-names.ts'
import { checkCollisions } from '../../site/names.ts'
import { toolVersion } from '../shell/version.ts'
import { runtimePaths } from './installation.ts'

/** Options of every command that reads a manifest. */
export interface StackOptions {
  file: string
  lock?: string
  remap: string[]
  platform: string[]
  cache?: string
  jobs: number
  /** probes of the site's machines; `none` forgets those that the lock was made for */
  site?: string[]
  /** variants of the manifest; `none` forgets those that the lock was made with */
  with: string[]
  /** a layer for rehearsals */
  testUpstream?: string
}

/** One run of a command that works on a stack: the manifest, its lock, the network. */
export interface StackContext {
  /** as it is for the site */
  manifest: StackManifest
  site: SiteFacts[]
  lockPath: string
  http: HttpClient
  registry: RegistryClient
  cache: LayoutStore
  runtime: RuntimePaths
}

export async function openStack(
  options: StackOptions,
  run: { progress: Progress; signal: AbortSignal; privateAddresses?: 'kept' },
): Promise<StackContext> {
  const { progress, signal, privateAddresses = 'refused' } = run
  const lockPath = options.lock ?? defaultLockPath(options.file)
  const variants = await variantsOf(options.with, lockPath)
  const written = await loadManifest(options.file, { variants, privateAddresses }).catch(error => {
    throw isErrorCode(error, 'FILE_NOT_FOUND') && error.item === options.file ? noManifest(error) : error
  })
  const loaded =
    options.testUpstream === undefined ? written : await withTestLayer(written, options.testUpstream)
  const site = await siteOf(loaded, { options, lockPath, progress })
  const manifest: StackManifest = {
    ...forSite(loaded, site),
    sources: [...options.remap.map(parseRemap), ...loaded.sources],
  }
  if (options.platform.length > 0) {
    const platforms = options.platform.map(parsePlatform)
    manifest.platforms = platforms
    manifest.images = manifest.images.map(image => ({ ...image, platforms }))
  }
  checkCollisions(
    // those are told by themselves, and no site will have them
    manifest.images.map(image => image.reference).filter(reference => !isPrivate(reference)),
    manifest.collisions,
  )
  const http = createHttpClient({
    sources: manifest.sources,
    // entitlements of this host: nothing of them is carried
    clients: manifest.rpms.flatMap(({ repositories }) =>
      repositories.flatMap(({ baseurl, client }) =>
        client === undefined ? [] : [{ prefix: baseurl, ...client }],
      ),
    ),
    progress,
    connections: options.jobs,
    signal,
  })
  return {
    manifest,
    site,
    lockPath,
    http,
    registry: createRegistryClient({ http, sources: manifest.sources, progress }),
    cache: await LayoutStore.open(options.cache ?? defaultCache()),
    runtime: runtimePaths(),
  }
}

/** Those that were asked for; else those of the lock, so that nobody has to name them twice. */
async function variantsOf(asked: string[], lockPath: string): Promise<string[]> {
  if (asked.length === 0) return (await readLock(lockPath).catch(() => undefined))?.variants ?? []
  return asked.filter(name => name !== 'none')
}

/** From the probes that were given; else those that the lock was made for, so that nobody has to give them twice. */
async function siteOf(
  manifest: StackManifest,
  { options, lockPath, progress }: { options: StackOptions; lockPath: string; progress: Progress },
): Promise<SiteFacts[]> {
  const files = options.site ?? []
  let facts: SiteFacts[]
  if (files.length === 0) facts = (await readLock(lockPath).catch(() => undefined))?.site ?? []
  else if (files.length === 1 && files[0] === 'none') facts = []
  else {
    const probes = await Promise.all(
      files.map(async file => ({ file, probe: parseProbe(await probeText(file), file) })),
    )
    facts = factsOf(manifest, probes)
  }
  const unknown = kernelsUnknown(manifest, facts)
  if (unknown.length > 0) {
    progress.note(
      `${unknown.join(', ')}: packages for the kernels of the site are left out; give --site probe.json, made there by \`offline-deploy probe\``,
    )
  }
  return facts
}

const maxProbe = 32 << 20 /* bytes */

async function probeText(file: string): Promise<string> {
  try {
    const { size } = await stat(file)
    if (size <= maxProbe) return await readFile(file, 'utf8')
  } catch (error) {
    throw fromSystemError(error, file)
  }
  throw new AirgapError('MANIFEST_INVALID', 'too large for a probe', {
    item: file,
    next: 'make it on the machine: offline-deploy probe -o json > probe.json',
  })
}

function noManifest(error: AirgapError): AirgapError {
  return new AirgapError('FILE_NOT_FOUND', 'there is no such manifest', {
    item: error.item ?? '',
    next: `write one with \`airgap init ${error.item}\`, or name yours with -f`,
    cause: error,
  })
}

function parseRemap(text: string): SourceRemap {
  const at = text.indexOf('=')
  const [from, to] = [text.slice(0, at), text.slice(at + 1)]
  if (at > 0 && to) {
    const places = to.split(',')
    for (const address of [from, ...places]) refuseLogin(address, '--remap', 'USAGE')
    return { from, to: places }
  }
  throw new AirgapError('USAGE', 'the text is not a remapping of sources', {
    item: redactText(text).slice(0, 300),
    next: 'write it as FROM=TO[,TO…], for example docker.io=mirror.example/dockerhub',
  })
}

export function defaultLockPath(manifest: string): string {
  return `${manifest.replace(/\.ya?ml$/, '')}.lock.json`
}

function defaultCache(): string {
  const base = process.env['XDG_CACHE_HOME'] || join(process.env['HOME'] || homedir() || '.', '.cache')
  return join(base, 'airgap')
}

/** Manifest → lock, from upstream as it is now. */
export async function resolveNow(
  stack: StackContext,
  options: { progress: Progress; signal: AbortSignal; jobs: number },
): Promise<Lock> {
  const { http, registry, cache, manifest } = stack
  const context = {
    http,
    registry,
    cache,
    folder: manifest.folder,
    progress: options.progress,
    now: () => new Date(),
    signal: options.signal,
  }
  const runtime = lockRuntime(stack.runtime, join(cache.folder, 'runtime.json'))
  // where an item fails first, that is what is told
  runtime.catch(() => {})
  const lock = await resolveStack(manifest, { context, runtime, concurrency: options.jobs, site: stack.site })
  // what cannot be built or served is not locked
  layoutOf(lock)
  return lock
}

/** The lock to build from: the one there is, or a new one where there is none or it is out of date and not frozen. */
export async function currentLock(
  stack: StackContext,
  options: { frozen: boolean; progress: Progress; signal: AbortSignal; jobs: number; write: boolean },
): Promise<Lock> {
  const next = `run \`airgap lock -f ${stack.manifest.file}\` and review the difference`
  let lock: Lock | undefined
  try {
    lock = await readLock(stack.lockPath)
  } catch (error) {
    if (!isErrorCode(error, 'FILE_NOT_FOUND')) throw error
    if (options.frozen)
      throw new AirgapError('LOCK_OUT_OF_DATE', 'there is no lock yet', { item: stack.lockPath, next })
  }
  if (lock && lock.inputs === inputsDigest(stack.manifest)) return lock
  if (lock && options.frozen) {
    throw new AirgapError('LOCK_OUT_OF_DATE', 'the manifest asks for something else than the lock holds', {
      item: stack.lockPath,
      next,
    })
  }
  options.progress.note(lock ? 'the manifest has changed: resolving anew' : 'no lock yet: resolving')
  lock = await resolveNow(stack, options)
  if (options.write) await writeLock(stack.lockPath, lock)
  return lock
}

/** Lock → the layout of its tar. Throws also what `serve` and `push` would refuse. */
export function layoutOf(lock: Lock): Layout {
  const artifacts = assembleLock(lock)
  checkNames(
    artifacts.map(({ root }) => root),
    lock.collisions,
  )
  return planLayout(artifacts, { name: lock.name, version: lock.version, minimumTool: toolVersion })
}
