import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { zipSync } from 'fflate'
import { describe, expect, it } from 'vitest'
import { isErrorCode } from '../../src/core/errors.ts'
import { silentProgress } from '../../src/core/progress.ts'
import { berkeleyValues } from '../../src/layers/berkeley-hash.ts'
import { layerTar } from '../../src/layers/layer-stream.ts'
import { ndbBlobs } from '../../src/layers/ndb.ts'
import { readImages } from '../../src/layers/read-images.ts'
import { tableBlobs } from '../../src/layers/sqlite.ts'
import { type TarLimits, tarEntries } from '../../src/layers/tar-stream.ts'
import { readDatabases } from '../layers/small-databases.ts'
import { contentOf, dpkgStatus, type Entry, namesIn, statusPath, storeOf, tarOf } from '../layers/support.ts'

/** Layers are untrusted: what is in them must not stop, mislead or exhaust the program that lists what is in them. */

const status = { path: statusPath, text: dpkgStatus('bash') }

async function entriesOf(tar: Buffer, limits: Partial<TarLimits> = {}): Promise<string[]> {
  const names: string[] = []
  for await (const entry of tarEntries(Readable.from([tar]), { bytes: 1 << 30, entries: 1_000, ...limits }))
    names.push(entry.name)
  return names
}

describe('layers that attack their reader', () => {
  it('fault 36: a layer that unpacks to far more than it is ends at a limit', async () => {
    const { store, layers } = await storeOf([gzipSync(tarOf([{ path: 'x', text: Buffer.alloc(64 << 20) }]))])
    const limits = { bytes: 1 << 20, entries: 10 }
    const read = async () => {
      for await (const entry of tarEntries(layerTar(store, layers[0]!), limits)) void entry
    }
    await expect(read()).rejects.toThrow(/unpacks to more than 1048576 bytes/)
    await expect(entriesOf(tarOf([{ path: 'a' }, { path: 'b' }]), { entries: 1 })).rejects.toThrow(
      /more than 1 entries/,
    )
  })

  it('bytes of another digest are no layer', async () => {
    const { store, layers } = await storeOf([tarOf([status])])
    const open = store.open.bind(store)
    const changed = Object.assign(Object.create(store), {
      exists: async () => true,
      open: async (descriptor: (typeof layers)[0], range?: { start: number; end: number }) =>
        range
          ? open(descriptor, range)
          : await open({ ...descriptor, digest: layers[0]!.digest, size: descriptor.size + 1 }),
    })
    const read = readImages(changed, [{ name: 'a', digest: layers[0]!.digest, layers }], {
      progress: silentProgress,
      signal: new AbortController().signal,
    })
    await expect(read).rejects.toSatisfy(error => isErrorCode(error, 'SIZE_MISMATCH', 'DIGEST_MISMATCH'))
  })

  it('names that leave the root stay inside it', async () => {
    const names = ['../../../var/lib/dpkg/status', '/var/lib/dpkg/status', './var//lib/./dpkg/status']
    for (const path of names) expect(namesIn(await contentOf([{ ...status, path }]))).toEqual(['bash 1.0-1'])
  })

  it('links in circles, and chains of them, end', async () => {
    const circle: Entry[] = [
      { path: 'a', type: 'SymbolicLink', linkpath: 'b' },
      { path: 'b', type: 'SymbolicLink', linkpath: 'a' },
      { path: 'a/x' },
      status,
    ]
    const { notRead } = await contentOf(circle)
    expect(notRead[0]!.reason).toBe('a path has too many symbolic links')
  })

  it('a database behind a link to nowhere is reported, not silently absent', async () => {
    const { notRead } = await contentOf([{ path: statusPath, type: 'SymbolicLink', linkpath: '/opt/hidden' }])
    expect(notRead).toEqual([
      { path: statusPath, reason: 'it is a symbolic link to a file that is not read' },
    ])
  })

  it('a tar that other readers understand differently is refused as Go refuses it', async () => {
    const tar = tarOf([{ path: 'a' }, { path: 'b' }])
    const wrongSum = Buffer.from(tar)
    wrongSum[512] = 0x7a
    await expect(entriesOf(wrongSum)).rejects.toThrow(/wrong checksum/)
    const hole = Buffer.concat([tar.subarray(0, 512), Buffer.alloc(512), tar.subarray(512)])
    await expect(entriesOf(hole)).rejects.toThrow(/zeros in the middle/)
    await expect(entriesOf(tar.subarray(0, 700))).rejects.toThrow(/middle of a header/)
    // what follows the end is not part of the archive
    expect(await entriesOf(Buffer.concat([tar, tarOf([{ path: 'c' }])]))).toEqual(['a', 'b'])
  })

  it('a global pax header does not rename what follows (Go ignores it)', async () => {
    const record = '21 path=etc/renamed\n'
    const text = `${record.length} path=etc/renamed\n`
    const tar = tarOf([{ path: 'g', type: 'GlobalExtendedHeader', text }, { path: 'a' }])
    expect(await entriesOf(tar)).toEqual(['a'])
  })

  it('pax headers without a length, or with one that leaves them, are refused', async () => {
    for (const text of ['path=x\n', '99 path=x\n', '0 path=x\n', '9 path=x ', '8 =value\n'])
      await expect(
        entriesOf(tarOf([{ path: 'p', type: 'ExtendedHeader', text }, { path: 'a' }])),
      ).rejects.toThrow(/malformed pax header/)
  })

  it('control characters in names reach no document', async () => {
    const { packages } = await contentOf([
      {
        path: 'a/node_modules/x/package.json',
        text: JSON.stringify({ name: 'x\u001b[2J\u202e', version: '1\n2' }),
      },
    ])
    expect(packages).toMatchObject([{ name: 'x\ufffd[2J\ufffd', version: '1 2' }])
  })

  it('files that are not what their name says are reported by name', async () => {
    const { notRead, packages } = await contentOf([
      { path: 'app/server.jar', text: 'no archive' },
      { path: 'app/node_modules/x/package.json', text: '[1]' },
      { path: 'var/lib/rpm/rpmdb.sqlite', text: 'SQLite format 3' },
      { path: 'c/Cargo.lock', text: '[[' },
      status,
    ])
    expect(packages).toHaveLength(1)
    expect(notRead).toEqual([
      { path: 'app/node_modules/x/package.json', reason: 'it is not a JSON object' },
      { path: 'app/server.jar', reason: 'not a zip archive: its end record is missing' },
      { path: 'c/Cargo.lock', reason: 'it is not TOML' },
      { path: 'var/lib/rpm', reason: 'it is not an SQLite database' },
    ])
  })

  it('archives in archives in archives end', async () => {
    let jar = zipSync({ x: new Uint8Array(1) })
    for (let i = 0; i < 5; i++) jar = zipSync({ 'inner.jar': jar })
    const { notRead } = await contentOf([{ path: 'a.jar', text: Buffer.from(jar) }])
    expect(notRead).toEqual([{ path: 'a.jar', reason: 'it contains archives in archives in archives' }])
  })

  it('a layer cut short is reported', async () => {
    const layer = gzipSync(tarOf([status, { path: 'x', text: Buffer.alloc(100_000, 'x') }]))
    const { notRead, packages } = await contentOf(layer.subarray(0, layer.length - 20))
    expect(packages).toHaveLength(1)
    expect(notRead[0]!.reason).toMatch(/^it cannot be decompressed: /)
  })
})

describe('databases that attack their reader', () => {
  it('SQLite: pages in a circle, and outside the file', () => {
    const page = (fill: (bytes: Buffer) => void) => {
      const bytes = Buffer.alloc(512)
      fill(bytes)
      return bytes
    }
    const first = (child: number) =>
      page(bytes => {
        bytes.write('SQLite format 3\0')
        bytes.writeUInt16BE(512, 16)
        bytes[100] = 5
        bytes.writeUInt32BE(child, 108)
      })
    const circle = page(bytes => {
      bytes[0] = 5
      bytes.writeUInt32BE(2, 8)
    })
    expect(() => [...tableBlobs(Buffer.concat([first(2), circle]), 'Packages')]).toThrow(/a page twice/)
    expect(() => [...tableBlobs(Buffer.concat([first(9), circle]), 'Packages')]).toThrow(/outside it/)
  })

  it('none of a thousand random changes of a database escapes as another error', () => {
    for (const { bytes, read } of readDatabases()) {
      expect([...read(bytes)].length).toBeGreaterThan(0)
      let seed = 7
      const random = (below: number) => {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
        return seed % below
      }
      for (let i = 0; i < 1_000; i++) {
        const changed = Buffer.from(bytes)
        for (let j = 0; j <= random(4); j++) changed[random(changed.length)] = random(256)
        try {
          for (const value of read(changed.subarray(0, changed.length - random(3) * random(600)))) void value
        } catch (error) {
          expect((error as Error).constructor.name, String((error as Error).stack)).toBe('Unreadable')
        }
      }
    }
  })

  it('empty files are no databases', () => {
    for (const read of [berkeleyValues, ndbBlobs, (file: Buffer) => tableBlobs(file, 'Packages')])
      expect(() => [...read(Buffer.alloc(0))]).toThrow(/it is not/)
  })
})
