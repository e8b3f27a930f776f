import { rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { namesIn } from '../core/read-folder.ts'
import { readSignedFiles, statementPath } from '../signature/files.ts'

/** Copies the statement of a bundle and its signatures next to its copy, and removes those that are no longer next to the bundle. */
export async function keepSignatures(bundle: string, copy: string): Promise<void> {
  const files = await readSignedFiles(bundle)
  const kept = new Map<string, Buffer>()
  if (files !== undefined) {
    kept.set(statementPath(copy), files.statement)
    // a bundle that is a link has them next to its target, under another name
    for (const { path, bytes } of files.signatures)
      kept.set(`${statementPath(copy)}${path.slice(files.path.length)}`, bytes)
  }
  await removeSignatures(copy, { except: [...kept.keys()] })
  for (const [path, bytes] of kept) await writeAtomically(path, bytes, 0o600)
}

/** Removes the files next to a copy of a bundle. */
export async function removeSignatures(
  copy: string,
  { except }: { except: readonly string[] },
): Promise<void> {
  const folder = dirname(copy)
  const found = (await namesIn(folder)).filter(name => name.startsWith(`${basename(copy)}.sums`))
  const stale = found.map(name => join(folder, name)).filter(path => !except.includes(path))
  await Promise.all(stale.map(path => rm(path, { force: true })))
}
