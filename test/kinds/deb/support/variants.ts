import { readdirSync } from 'node:fs'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect } from 'vitest'
import { Gpg, makeArchive, signArchive, writeRelease } from './archive.ts'
import { tempFolder } from './programs.ts'
import { errorOf, lockDebs } from './resolve.ts'
import { type FileServer, serveFolder } from './server.ts'

export const variantIndex = 'dists/stable/main/binary-amd64'

/** How a rightly signed archive differs from a good one. */
export interface Variant {
  /** changes on disk before Release is written */
  files?: (copy: string) => Promise<void>
  /** fields of Release */
  release?: Record<string, string>
  /** changes to Release before it is signed */
  edit?: (release: string) => string
  /** what is served in place of the files */
  serve?: (server: FileServer) => void
}

/** An archive with the packages `app` and `lib`, and its signer; `lockFrom` tries a signed copy of it that is varied. */
export async function variants() {
  const resources = new AsyncDisposableStack()
  const { path: folder } = resources.use(await tempFolder())
  const gpg = resources.use(await Gpg.open(join(folder, 'gnupg')))
  await gpg.makeKey('archive')
  const key = await gpg.exportTo(join(folder, 'archive.asc'), 'archive')
  await makeArchive(join(folder, 'base'), { suite: 'stable', packages: [{ name: 'app' }, { name: 'lib' }] })
  let count = 0

  /** What locking `app` comes to; the cache never keeps anything half-written. */
  async function lockFrom(variant: Variant) {
    const copy = join(folder, `variant-${++count}`)
    await cp(join(folder, 'base'), copy, { recursive: true })
    await variant.files?.(copy)
    await writeRelease(copy, { suite: 'stable', ...(variant.release ? { release: variant.release } : {}) })
    const path = join(copy, 'dists/stable/Release')
    await writeFile(path, (variant.edit ?? (text => text))(await readFile(path, 'utf8')))
    await signArchive(copy, { gpg, suite: 'stable', users: ['archive'] })
    await using server = await serveFolder(copy)
    variant.serve?.(server)
    try {
      const locked = await lockDebs({ archive: server.url, keys: [key], packages: ['app'] }, { folder: copy })
      return { names: locked.packages.map(deb => deb.name), requests: server.requests }
    } finally {
      const left = readdirSync(join(copy, 'cache/blobs/sha256')).filter(name => !/^[0-9a-f]{64}$/.test(name))
      expect(left).toEqual([])
    }
  }

  async function expectRefused(variant: Variant, expected: { code: string; why: RegExp }) {
    const error = await errorOf(lockFrom(variant))
    expect(error.message).toMatch(expected.why)
    expect(error.code).toBe(expected.code)
    expect(error.item && error.likely && error.next, error.message).toBeTruthy()
    return error
  }

  return { folder, gpg, key, lockFrom, expectRefused, resources }
}

/** Changes Packages and Packages.gz. */
export function editPackages(change: (text: string) => string): (copy: string) => Promise<void> {
  return async copy => {
    const path = join(copy, variantIndex, 'Packages')
    const text = change(await readFile(path, 'utf8'))
    await writeFile(path, text)
    await writeFile(`${path}.gz`, gzipSync(text))
  }
}
