import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { checkSpace } from '../bundle/preallocate.ts'
import { syncFolder, temporaryPathOf } from '../core/atomic-file.ts'
import { hexOf } from '../core/digest.ts'
import { fromSystemError } from '../core/errors.ts'
import { openState } from '../site/state.ts'
import type { DeployContext } from './context.ts'
import { keepSignatures, removeSignatures } from './keep-signatures.ts'
import { type OpenBundle, openBundles } from './open-bundles.ts'
import type { Setup } from './set-up.ts'
import type { BundleExpectation } from './site-trust.ts'

const chunkSize = 4 << 20 /* bytes */

/**
 * Copies the bundles, and this program out of them, into the state folder, with their signatures, so that the medium can be removed: the servers read the bundle
 * for as long as the site runs. Returns where they are now. The step `verify` reads the copies, every byte of them. A copy that is there
 * already is not made again. Throws NO_SPACE, IO, and what `openBundles` throws.
 */
export async function keepBundles(
  setup: Setup,
  context: DeployContext,
  { first, allowOlder, approve }: KeepOptions = {},
): Promise<{ setup: Setup; context: DeployContext }> {
  const expectation = { ...setup, unknown: 'opened', allowOlder, now: context.now(), first } as const
  await using opened = await openBundles(setup.config.bundles, expectation)
  const { siteFolder } = setup
  const planned: Copy[] = []
  for (const bundle of opened.bundles) planned.push(await copyOf(bundle, { siteFolder, now: context.now() }))
  const missing = planned.filter(({ isThere }) => !isThere)
  // gigabytes, for minutes or hours
  if (missing.length > 0) await approve?.({ folder: join(siteFolder, 'bundles'), bytes: sizeOf(missing) })
  await openState(siteFolder)
  const copies: string[] = []
  let { self } = context
  for (const { bundle, copy, isThere } of planned) {
    if (!isThere) await writeCopy(bundle, { copy, context })
    if (copy !== bundle.path) await keepSignatures(bundle.path, copy)
    copies.push(copy)
    self = (await keepProgram(bundle, siteFolder)) ?? self
  }
  return { setup: { ...setup, config: { ...setup.config, bundles: copies } }, context: { ...context, self } }
}

export interface KeepOptions extends Pick<BundleExpectation, 'first' | 'allowOlder'> {
  /** before anything is copied; throws where the operator does not agree */
  approve?: ((copies: { folder: string; bytes: number }) => Promise<void>) | undefined
}

interface Copy {
  bundle: OpenBundle
  /** where it is kept */
  copy: string
  isThere: boolean
}

function sizeOf(copies: readonly Copy[]): number {
  return copies.reduce((sum, { bundle }) => sum + bundle.store.size, 0)
}

/** The bundles of the site that are on another file system than its state folder: a medium that somebody may remove. */
export async function onOtherDisk({ config, siteFolder }: Setup): Promise<string[]> {
  const deviceOf = async (path: string) => (await stat(path).catch(() => undefined))?.dev
  const own = await deviceOf(siteFolder)
  const devices = await Promise.all(config.bundles.map(deviceOf))
  return config.bundles.filter((_, i) => devices[i] !== undefined && devices[i] !== own)
}

/** Removes the copies in the state folder that the site uses. */
export async function removeCopies({ config, siteFolder }: Setup): Promise<void> {
  const copies = config.bundles.filter(path => dirname(path) === join(siteFolder, 'bundles'))
  for (const path of copies) {
    await rm(path, { force: true })
    await removeSignatures(path, { except: [] })
  }
}

async function copyOf(
  bundle: OpenBundle,
  { siteFolder, now }: { siteFolder: string; now: Date },
): Promise<Copy> {
  const { name, version, digest } = bundle.identity
  // a site may have two bundles of one name and version, for two architectures
  const copy = join(siteFolder, 'bundles', `${name}-${version}-${hexOf(digest).slice(0, 12)}.tar`)
  const expected = { digest, size: bundle.store.size, siteFolder, now }
  return { bundle, copy, isThere: bundle.path === copy || (await isCopy(copy, expected)) }
}

async function writeCopy(
  { path, source, store }: OpenBundle,
  { copy, context }: { copy: string; context: DeployContext },
): Promise<void> {
  const { progress, signal } = context
  progress.note(`copying ${path} to ${copy}`)
  await writeWhole(copy, async file => {
    await checkSpace(file, {
      path: copy,
      size: store.size,
      next: 'free some space, choose a state folder on another disk with --site, or leave the bundle where it is',
    })
    progress.total(1, store.size)
    const buffer = Buffer.allocUnsafe(chunkSize)
    for (let position = 0; position < store.size; ) {
      signal.throwIfAborted()
      const part = buffer.subarray(0, Math.min(chunkSize, store.size - position))
      await source.read(part, position)
      await writeAll(file, part, position)
      position += part.length
      progress.advance(part.length)
    }
    progress.done(copy, 0)
  })
}

/** Whether the same bundle is there under this name. What it holds is verified by a step of its own. */
async function isCopy(
  path: string,
  {
    digest,
    size,
    siteFolder,
    now,
  }: { digest: OpenBundle['identity']['digest']; size: number; siteFolder: string; now: Date },
): Promise<boolean> {
  if ((await stat(path).catch(() => undefined))?.size !== size) return false
  try {
    // whether this bundle may be opened was decided before
    const expectation = { siteFolder, expect: [digest], unknown: 'opened', allowOlder: true, now } as const
    await using opened = await openBundles([path], expectation)
    return opened.bundles.length === 1
  } catch {
    return false
  }
}

/** Returns program and arguments that start the copy; undefined where the bundle carries no program. */
async function keepProgram({ store }: OpenBundle, siteFolder: string): Promise<string[] | undefined> {
  let launcher: string[] | undefined
  for (const { path, type, digest, size, mode } of store.entries()) {
    const name = /^offline-deploy\/([^/]+)$/.exec(path)?.[1]
    if (name === undefined || type !== 'file' || digest === undefined) continue
    const copy = join(siteFolder, 'offline-deploy', name)
    const content = await store.open({ mediaType: 'application/octet-stream', digest, size })
    await writeWhole(copy, async file => {
      await file.chmod(mode)
      let position = 0
      for await (const part of content as AsyncIterable<Buffer>) {
        await writeAll(file, part, position)
        position += part.length
      }
    })
    if (name === 'offline-deploy') launcher = [copy]
  }
  return launcher
}

/** Writes a file under another name, syncs and renames it: it gets its name when it is complete. */
async function writeWhole(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const temporary = temporaryPathOf(path)
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const file = await open(temporary, 'wx', 0o600)
    try {
      await write(file)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true })
    throw fromSystemError(error, path)
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}
