import { readdirSync } from 'node:fs'
import { cp, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect } from 'vitest'
import { defined } from '../../../../src/core/defined.ts'
import { aptSandbox } from './apt.ts'
import { Gpg, makeArchive, signArchive, writeRelease } from './archive.ts'
import { tempFolder } from './programs.ts'
import { errorOf, lockDebs, type OneSuite } from './resolve.ts'
import { type FileServer, serveFolder } from './server.ts'

export const variantIndex = 'dists/stable/main/binary-amd64'

/** How a rightly signed archive differs from a good one. */
export interface Variant {
  /** `stable` unless given */
  suite?: string
  /** fields of the request */
  request?: Partial<OneSuite>
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
    await publish(copy, variant)
    await using server = await serveFolder(copy)
    variant.serve?.(server)
    const { suite = 'stable', request } = variant
    const notes: string[] = []
    try {
      const locked = await lockDebs(
        { archive: server.url, suite, keys: [key], packages: ['app'], ...request },
        { folder: copy, notes },
      )
      return { names: locked.packages.map(deb => deb.name), requests: server.requests, locked, notes }
    } finally {
      const left = readdirSync(join(copy, 'cache/blobs/sha256')).filter(name => !/^[0-9a-f]{64}$/.test(name))
      expect(left).toEqual([])
    }
  }

  async function publish(copy: string, { suite = 'stable', files, release, edit }: Variant): Promise<void> {
    await cp(join(folder, 'base'), copy, { recursive: true })
    if (suite !== 'stable') {
      await mkdir(dirname(join(copy, 'dists', suite)), { recursive: true })
      await rename(join(copy, 'dists/stable'), join(copy, 'dists', suite))
    }
    await files?.(copy)
    await writeRelease(copy, { suite, ...defined({ release }) })
    const path = join(copy, 'dists', suite, 'Release')
    await writeFile(path, (edit ?? (text => text))(await readFile(path, 'latin1')), 'latin1')
    await signArchive(copy, { gpg, suite, users: ['archive'] })
  }

  /** What stock apt makes of it: whether `update` succeeds, its warnings, and what it would install. */
  async function aptFrom(variant: Variant, settings: { preferences?: string } = {}) {
    const copy = join(folder, `variant-${++count}`)
    await publish(copy, variant)
    await using server = await serveFolder(copy)
    variant.serve?.(server)
    const { suite = 'stable', request = {} } = variant
    const { components = ['main'], packages = ['app'] } = request
    const sources = `Types: deb\nURIs: ${server.url}\nSuites: ${suite}\nComponents: ${components.join(' ')}\nSigned-By: ${key}\n`
    const apt = await aptSandbox(join(copy, 'apt'), { sources, ...settings })
    const update = await apt.apt('update')
    const names = await apt.wouldInstall(packages).then(
      files => files.map(name => name.slice(0, name.indexOf('_'))),
      () => undefined,
    )
    return { isUpdated: update.status === 0, output: update.stdout + update.stderr, names }
  }

  async function expectRefused(variant: Variant, expected: { code: string; why: RegExp }) {
    const error = await errorOf(lockFrom(variant))
    expect(error.message).toMatch(expected.why)
    expect(error.code).toBe(expected.code)
    expect(error.item && error.likely && error.next, error.message).toBeTruthy()
    return error
  }

  return { folder, gpg, key, lockFrom, aptFrom, expectRefused, resources }
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
