import { createWriteStream } from 'node:fs'
import { chmod, mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { extract, Parser, type ReadEntry } from 'tar'
import type { ReadableStore } from '../content/store.ts'
import type { TreeEntries } from '../content/tree.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'

/** Files of the bundle that this host needs. Every byte is checked against its digest before it is used. */
export interface BundleFiles {
  store: ReadableStore
  /** path below /files, or in the index of wheels */
  entries: TreeEntries
}

/** Returns the descriptor of a file. Throws FILE_NOT_FOUND if the bundle has no such file. */
export function bundleFile({ entries }: BundleFiles, path: string): Descriptor {
  const entry = entries.get(path)
  if (entry !== undefined) return entry.descriptor
  throw new AirgapError('FILE_NOT_FOUND', 'the bundle has no file that the install needs', {
    item: path,
    likely: 'the manifest that the bundle was built from does not list it',
    next: 'add it under files: in the manifest and rebuild the bundle; nothing was changed',
  })
}

/** Writes one file whole or not at all. */
export async function writeBundleFile(
  files: BundleFiles,
  options: { path: string; to: string; mode: number },
): Promise<void> {
  const { path, to, mode } = options
  await replaced(to, async part => {
    await pipeline(await files.store.open(bundleFile(files, path)), createWriteStream(part, { mode }))
    await chmod(part, mode)
  })
}

/** Extracts one member of a .tar.gz. Throws FILE_NOT_FOUND if there is none of this name. */
export async function writeMember(
  files: BundleFiles,
  options: { path: string; member: string; to: string },
): Promise<void> {
  const { path, member, to } = options
  await replaced(to, async part => {
    let written: Promise<void> | undefined
    const parser = new Parser({
      strict: true,
      filter: name => name.replace(/^\.\//, '') === member,
      onReadEntry(entry: ReadEntry) {
        // a link is not a program
        if (entry.type !== 'File' && entry.type !== 'OldFile') entry.resume()
        else written = pipeline(entry, createWriteStream(part, { mode: 0o755 }))
      },
    })
    await pipeline(await files.store.open(bundleFile(files, path)), parser)
    if (written === undefined) {
      throw new AirgapError('FILE_NOT_FOUND', `the archive has no ${member}`, {
        item: path,
        likely: 'the folder layout differs in this version of the archive',
        next: 'correct `member` in install.yaml of the deployment tree, and rebuild the bundle',
      })
    }
    await written
    await chmod(part, 0o755)
  })
}

/** Extracts a .tar.gz without its first folder. The target appears whole and replaces the previous one. */
export async function unpackArchive(
  files: BundleFiles,
  options: { path: string; to: string; signal: AbortSignal },
): Promise<void> {
  const { path, to, signal } = options
  const part = `${to}.part`
  try {
    await rm(part, { recursive: true, force: true })
    await mkdir(part, { recursive: true, mode: 0o755 })
    // node-tar itself refuses absolute paths, `..` and writing through links
    const unpacker = extract({ cwd: part, strip: 1, strict: true, preserveOwner: false })
    await pipeline(await files.store.open(bundleFile(files, path)), unpacker, { signal })
    await rm(to, { recursive: true, force: true })
    await rename(part, to)
  } catch (error) {
    await rm(part, { recursive: true, force: true }).catch(() => {})
    throw fromSystemError(error, to)
  }
}

async function replaced(to: string, write: (part: string) => Promise<void>): Promise<void> {
  const part = join(dirname(to), `.${Date.now()}-${process.pid}.part`)
  try {
    await mkdir(dirname(to), { recursive: true, mode: 0o755 })
    await write(part)
    await rename(part, to)
  } catch (error) {
    await rm(part, { force: true }).catch(() => {})
    throw fromSystemError(error, to)
  }
}
