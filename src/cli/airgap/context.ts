import { readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { assembleLock } from '../../assemble/assemble-lock.ts'
import { type Layout, planLayout } from '../../bundle/layout.ts'
import { LayoutStore } from '../../content/layout-store.ts'
import { defined } from '../../core/defined.ts'
import { AirgapError, fromSystemError, isErrorCode } from '../../core/errors.ts'
import { nearbyFiles } from '../../core/nearby-files.ts'
import { parsePlatform } from '../../core/platform.ts'
import { refuseForeignFolder } from '../../core/private-folder.ts'
import type { Progress } from '../../core/progress.ts'
import { redactText } from '../../core/redact.ts'
import { withoutSecretQueries } from '../../core/secret-queries.ts'
import { toolVersion } from '../../core/tool-version.ts'
import { refuseLogin } from '../../document/urls.ts'
import { isPrivate } from '../../kinds/image/names.ts'
import { readLock, writeLock } from '../../lock/lock.ts'
import type { Lock, SiteFacts } from '../../lock/schema.ts'
import { configuredHosts } from '../../manifest/configured-hosts.ts'
import { loadManifest } from '../../manifest/load.ts'
import type { SourceRemap, StackManifest } from '../../manifest/stack.ts'
import { withTestLayer } from '../../manifest/test-layer.ts'
import { parseProbe } from '../../probe/schema.ts'
import type { HttpClient, RegistryClient } from '../../remote/contract.ts'
import { createHttpClient } from '../../remote/http-client.ts'
import { createRegistryClient } from '../../remote/registry-client.ts'
import { checkSourceRule } from '../../remote/source-map.ts'
import { inputsDigest } from '../../resolve/inputs.ts'
import { resolveStack } from '../../resolve/resolve-stack.ts'
import { lockRuntime, type RuntimePaths } from '../../resolve/runtime.ts'
import { factsOf, forSite, kernelsUnknown } from '../../resolve/site.ts'
import { checkNames } from '../../site/check-names.ts'
import { checkCollisions } from '../../site/names.ts'
import { runtimePaths, runtimeVersions } from '../shell/installation.ts'

/** Options of every command that reads a manifest. */
export interface StackOptions {
  file: string
  lock?: string
  remap: string[]
  platform: string[]
  cache?: string
  /** default: `defaultJobs` */
  jobs?: number
  /** probes of the site's machines (default: those of the lock); `none` for no probes */
  site?: string[]
  /** variants of the manifest (default: those of the lock); `none` for no variants */
  with: string[]
  /** file of a test layer, for rehearsals */
  testUpstream?: string
}

/**
 * How many items are fetched or resolved at the same time, unless a person sets a number. A registry that limits requests answers with 429, after
 * which all requests to it wait (`remote/host-pauses.ts`).
 */
export const defaultJobs = { transfers: 6, images: 16 }

/** What a command that works on a stack uses: the manifest, its lock, the network. */
export interface StackContext {
  /** adjusted to the site's machines */
  manifest: StackManifest
  site: SiteFacts[]
  lockPath: string
  http: HttpClient
  registry: RegistryClient
  cache: LayoutStore
  runtime: RuntimePaths
}

/**
 * Loads the manifest with its variants, probes, remappings and test layer, and opens the cache and the clients of the network. The
 * caller closes `http`. Throws MANIFEST_INVALID, FILE_NOT_FOUND, NAME_COLLISION, USAGE.
 */
export async function openStack(
  options: StackOptions,
  run: { progress: Progress; signal: AbortSignal; privateAddresses?: 'kept' },
): Promise<StackContext> {
  const { progress, signal, privateAddresses = 'refused' } = run
  const remaps = options.remap.map(parseRemap)
  const lockPath = options.lock ?? defaultLockPath(options.file)
  const variants = await variantsOf(options.with, lockPath)
  const written = await loadManifest(options.file, { variants, privateAddresses }).catch(async error => {
    throw isErrorCode(error, 'FILE_NOT_FOUND') && error.item === options.file
      ? await noManifest(options.file, error)
      : error
  })
  const loaded =
    options.testUpstream === undefined ? written : await withTestLayer(written, options.testUpstream)
  const site = await siteOf(loaded, { options, lockPath, progress })
  const manifest: StackManifest = {
    ...forSite(loaded, site),
    sources: [...remaps, ...loaded.sources],
  }
  for (const source of loaded.sources) checkSourceRule(source)
  if (options.platform.length > 0) {
    const platforms = options.platform.map(parsePlatform)
    manifest.platforms = platforms
    manifest.images = manifest.images.map(image => ({ ...image, platforms }))
  }
  checkCollisions(
    // images with private addresses are findings of their own, and no site will have them
    manifest.images.map(image => image.reference).filter(reference => !isPrivate(reference)),
    manifest.collisions,
  )
  const http = createHttpClient({
    sources: manifest.sources,
    secretQueries: manifest.secretQueries,
    configured: configuredHosts(manifest),
    // client certificates of this host's subscriptions: never carried in the bundle
    clients: manifest.rpms.flatMap(({ repositories }) =>
      repositories.flatMap(({ baseurl, client }) =>
        client === undefined || baseurl === undefined ? [] : [{ prefix: baseurl, ...client }],
      ),
    ),
    progress,
    connections: options.jobs ?? defaultJobs.images,
    signal,
  })
  return {
    manifest,
    site,
    lockPath,
    http,
    registry: createRegistryClient({ http, sources: manifest.sources, progress }),
    cache: await openCache(options.cache ?? defaultCache()),
    runtime: { ...runtimePaths(), ...guidePaths(manifest.guides) },
  }
}

/** Where the bundle has them: in the folder of the program, which is unpacked first. */
function guidePaths(guides: StackManifest['guides']): RuntimePaths {
  return Object.fromEntries(Object.entries(guides).map(([name, path]) => [`offline-deploy/${name}`, path]))
}

/** The requested variants; by default those of the lock, so that nobody has to repeat --with. */
async function variantsOf(requested: string[], lockPath: string): Promise<string[]> {
  if (requested.length === 0) return (await readLock(lockPath).catch(() => undefined))?.variants ?? []
  return requested.filter(name => name !== 'none')
}

/** Facts from the probes that were passed; by default those of the lock, so that nobody has to repeat --site. */
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
      `${unknown.join(', ')}: packages for the kernels of the site are left out; run \`offline-deploy probe -o json > probe.json\` on a machine of the site and pass --site probe.json`,
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
  throw new AirgapError('MANIFEST_INVALID', 'the file is too large for a probe', {
    item: file,
    next: 'run on the machine: offline-deploy probe -o json > probe.json',
  })
}

async function noManifest(item: string, cause: AirgapError): Promise<AirgapError> {
  const others = await manifestsIn(item)
  return new AirgapError('FILE_NOT_FOUND', 'the manifest does not exist', {
    item,
    ...defined({
      likely: others.length > 0 ? `in the same folder there is ${others.join(', ')}` : undefined,
    }),
    next:
      others.length > 0
        ? `pass the manifest with -f, for example -f ${others[0]}`
        : `create one with \`airgap init ${item}\`, or pass the path of yours with -f`,
    cause,
  })
}

/** The stack manifests in the folder of a path: YAML files with the line that every manifest has. */
async function manifestsIn(path: string): Promise<string[]> {
  const files = await nearbyFiles(path, ['.yaml', '.yml'])
  const texts = await Promise.all(files.map(file => readFile(file, 'utf8').catch(() => '')))
  return files.filter((_, i) => /^apiVersion: *["']?airgap\//m.test(texts[i]!))
}

function parseRemap(text: string): SourceRemap {
  const at = text.indexOf('=')
  const [from, to] = [text.slice(0, at), text.slice(at + 1)]
  const places = to.split(',')
  if (at > 0 && places.every(place => place !== '')) {
    for (const address of [from, ...places]) {
      refuseLogin(address, '--remap', 'USAGE')
      if (withoutSecretQueries(address) !== address) throw secretInArguments(address)
    }
    checkSourceRule({ from, to: places })
    return { from, to: places }
  }
  throw new AirgapError('USAGE', 'the value of --remap is invalid', {
    item: redactText(text).slice(0, 300),
    next: 'write it as FROM=TO[,TO…], for example docker.io=mirror.example/dockerhub',
  })
}

/** Other users of the machine see the arguments of a program. */
function secretInArguments(address: string): AirgapError {
  return new AirgapError('USAGE', 'the address has a token or a signature in its query', {
    item: `--remap: ${withoutSecretQueries(address)}`,
    likely: 'the arguments of a program are visible to others, and stay in the history of the shell',
    next: 'write the address under `sources:` in the manifest, where its query stays out of the lockfile',
  })
}

export function defaultLockPath(manifest: string): string {
  return `${manifest.replace(/\.ya?ml$/, '')}.lock.json`
}

async function openCache(folder: string): Promise<LayoutStore> {
  const cache = { path: folder, what: 'the cache', elsewhere: '--cache FOLDER' }
  await refuseForeignFolder(cache)
  try {
    const store = await LayoutStore.open(folder)
    await refuseForeignFolder(cache)
    return store
  } catch (error) {
    throw isErrorCode(error, 'NO_SPACE', 'PERMISSION') ? unusableCache(folder, error) : error
  }
}

function unusableCache(folder: string, cause: AirgapError): AirgapError {
  return new AirgapError(cause.code, `the cache cannot be written: ${cause.message}`, {
    item: folder,
    next: 'choose a folder on another disk with --cache FOLDER, or set AIRGAP_CACHE',
    cause,
  })
}

function defaultCache(): string {
  const base = process.env['XDG_CACHE_HOME'] || join(process.env['HOME'] || homedir() || '.', '.cache')
  return join(base, 'airgap')
}

/** Resolves the manifest against the present state of upstream. Throws what `resolveStack` throws. */
export async function resolveNow(
  stack: StackContext,
  options: { progress: Progress; signal: AbortSignal; jobs?: number },
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
  const runtime = lockRuntime(stack.runtime, {
    memory: join(cache.folder, 'runtime.json'),
    versions: await runtimeVersions(),
  })
  // if an item fails first, its error is the one to report: this one must not become an unhandled rejection
  runtime.catch(() => {})
  const lock = await resolveStack(manifest, {
    context,
    runtime,
    concurrency: options.jobs ?? defaultJobs.transfers,
    lightConcurrency: options.jobs ?? defaultJobs.images,
    site: stack.site,
  }).catch(error => {
    throw isErrorCode(error, 'NO_SPACE') && error.item?.startsWith(cache.folder)
      ? unusableCache(cache.folder, error)
      : error
  })
  // a lock that cannot be built or served must not be written
  layoutOf(lock)
  return lock
}

/**
 * Returns the lock to build from. Unless `frozen`, a missing or outdated lock is resolved, and written if `write`. Throws
 * LOCK_OUT_OF_DATE, LOCK_INVALID, and what `resolveNow` throws.
 */
export async function currentLock(
  stack: StackContext,
  options: { frozen: boolean; progress: Progress; signal: AbortSignal; jobs?: number; write: boolean },
): Promise<Lock> {
  const next = `run \`airgap lock -f ${stack.manifest.file}\` and review the difference`
  let lock: Lock | undefined
  try {
    lock = await readLock(stack.lockPath)
  } catch (error) {
    if (!isErrorCode(error, 'FILE_NOT_FOUND')) throw error
    if (options.frozen)
      throw new AirgapError('LOCK_OUT_OF_DATE', 'the lockfile does not exist', { item: stack.lockPath, next })
  }
  if (lock && lock.inputs === inputsDigest(stack.manifest)) return lock
  if (lock && options.frozen) {
    throw new AirgapError('LOCK_OUT_OF_DATE', 'the lockfile does not match the manifest', {
      item: stack.lockPath,
      next,
    })
  }
  options.progress.note(
    lock ? 'the manifest has changed: resolving it again' : 'no lockfile yet: resolving the manifest',
  )
  lock = await resolveNow(stack, options)
  if (options.write) await writeLock(stack.lockPath, lock)
  return lock
}

/** Returns the layout of the bundle of a lock. Throws for names that `serve` or `push` would refuse. */
export function layoutOf(lock: Lock): Layout {
  const artifacts = assembleLock(lock)
  checkNames(
    artifacts.map(({ root }) => root),
    lock.collisions,
  )
  return planLayout(artifacts, { name: lock.name, version: lock.version, minimumTool: toolVersion })
}
