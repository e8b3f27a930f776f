import { createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { canonicalJson, compareText } from '../core/canonical-json.ts'
import { type Digest, digestOf, Hasher } from '../core/digest.ts'
import { errnoOf, fromSystemError } from '../core/errors.ts'

/**
 * Returns one digest of files and folders as they are now, with all local changes. A missing file counts as missing; our
 * backups and new versions beside a file are ignored.
 */
export async function folderDigest(root: string, paths: readonly string[]): Promise<Digest> {
  const found: [string, string][] = []
  for (const path of paths) await collect(root, path, found)
  return digestOf(canonicalJson(found.sort(([a], [b]) => compareText(a, b))))
}

async function collect(root: string, path: string, found: [string, string][]): Promise<void> {
  const place = join(root, path)
  try {
    const entry = await lstat(place)
    if (entry.isSymbolicLink()) found.push([path, `link ${await readlink(place)}`])
    else if (entry.isDirectory()) {
      for (const name of await readdir(place)) {
        if (!/\.airgap-(?:backup|new)$|\.tmp$/.test(name)) await collect(root, join(path, name), found)
      }
    } else if (entry.isFile()) {
      const hasher = new Hasher()
      for await (const chunk of createReadStream(place)) hasher.update(chunk)
      found.push([path, hasher.digest()])
    }
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw fromSystemError(error, place)
    found.push([path, 'none'])
  }
}
