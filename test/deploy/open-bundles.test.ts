import { openSync, utimesSync, writeSync } from 'node:fs'
import { copyFile, mkdtemp, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { ByteSource } from '../../src/bundle/byte-source.ts'
import { trailerSize } from '../../src/bundle/entry.ts'
import { readAll } from '../../src/content/read.ts'
import type { Digest } from '../../src/core/digest.ts'
import { silentProgress } from '../../src/core/progress.ts'
import { addToBundleRecord, readBundleRecord, writeBundleRecord } from '../../src/deploy/bundle-record.ts'
import { openBundles } from '../../src/deploy/open-bundles.ts'
import { verifyOpenBundle } from '../../src/deploy/verify.ts'
import { pathsOf } from '../../src/site/state.ts'
import { sampleImage, sampleStack, sampleTree, writeBundle } from '../site/support/sample-site.ts'

async function workFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-open-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const digest = (character: string): Digest => `sha256:${character.repeat(64)}`
const now = new Date('2026-11-27T00:00:00Z')
const run = {
  progress: silentProgress,
  signal: new AbortController().signal,
  paths: pathsOf('/nowhere'),
  now: () => now,
}

describe('openBundles', () => {
  it('opens any bundle of a site that knows none', async () => {
    const siteFolder = await workFolder()
    const path = join(siteFolder, 'a.tar')
    const indexDigest = await writeBundle(path, sampleStack())
    await using opened = await openBundles([path], { siteFolder, expect: [], unknown: 'refused', now })
    expect(opened.bundles.map(({ identity }) => identity)).toEqual([
      { name: 'sample', version: '1.0.0', digest: indexDigest },
    ])
  })

  it.each(['bundles', 'installed'] as const)(
    'refuses another digest for what %s.json knows',
    async record => {
      const siteFolder = await workFolder()
      const path = join(siteFolder, 'a.tar')
      const right = await writeBundle(path, sampleStack())
      const known = { name: 'sample', version: '1.0.0', digest: digest('0') }
      await writeBundleRecord(pathsOf(siteFolder)[record], [known])
      const expectation = { siteFolder, expect: [], unknown: 'opened', now } as const
      await expect(openBundles([path], expectation)).rejects.toMatchObject({
        code: 'DIGEST_MISMATCH',
        message: expect.stringContaining(known.digest),
      })
      await using named = await openBundles([path], { ...expectation, expect: [right as Digest] })
      expect(named.bundles).toHaveLength(1)
    },
  )

  it('opens two bundles of one name and version where the site knows both', async () => {
    const siteFolder = await workFolder()
    const paths = [join(siteFolder, 'amd64.tar'), join(siteFolder, 'arm64.tar')]
    const digests = [
      await writeBundle(paths[0]!, sampleStack()),
      await writeBundle(paths[1]!, [sampleImage('quay.io/a/b:1')]),
    ]
    await writeBundleRecord(
      pathsOf(siteFolder).bundles,
      digests.map(one => ({ name: 'sample', version: '1.0.0', digest: one as Digest })),
    )
    await using opened = await openBundles(paths, { siteFolder, expect: [], unknown: 'refused', now })
    expect(opened.bundles).toHaveLength(2)
  })

  it('opens a bundle that the site does not know for commands that install it alone', async () => {
    const siteFolder = await workFolder()
    const path = join(siteFolder, 'a.tar')
    await writeBundle(path, sampleStack(), '2.0.0')
    await writeBundleRecord(pathsOf(siteFolder).installed, [
      { name: 'sample', version: '1.0.0', digest: digest('0') },
    ])
    const expectation = { siteFolder, expect: [] }
    await using opened = await openBundles([path], { ...expectation, unknown: 'opened', now })
    expect(opened.bundles).toHaveLength(1)
    await expect(openBundles([path], { ...expectation, unknown: 'refused', now })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      message: 'this site was not set up with this bundle',
      likely: expect.stringContaining('sample 1.0.0'),
    })
  })

  it('opens a bundle that the site was set up with before the last one', async () => {
    const siteFolder = await workFolder()
    const path = join(siteFolder, 'a.tar')
    const old = await writeBundle(path, sampleStack())
    const { bundles: record } = pathsOf(siteFolder)
    for (const [version, one] of [
      ['1.0.0', old as Digest],
      ['2.0.0', digest('0')],
      ['2.0.0', digest('0')],
    ] as const)
      await addToBundleRecord(record, [{ name: 'sample', version, digest: one }])
    expect(await readBundleRecord(record)).toHaveLength(2)
    await using opened = await openBundles([path], { siteFolder, expect: [], unknown: 'refused', now })
    expect(opened.bundles).toHaveLength(1)
  })

  it('refuses the discarded build of a version that was rebuilt, also where it is still the installed one', async () => {
    const siteFolder = await workFolder()
    const path = join(siteFolder, 'a.tar')
    const old = {
      name: 'sample',
      version: '1.0.0',
      digest: (await writeBundle(path, sampleStack())) as Digest,
    }
    const rebuilt = { ...old, digest: digest('1') }
    const other = { ...old, version: '0.9.0', digest: digest('2') }
    const { bundles: record, installed } = pathsOf(siteFolder)
    await addToBundleRecord(record, [other])
    await addToBundleRecord(record, [old])
    await writeBundleRecord(installed, [old])
    await addToBundleRecord(record, [rebuilt])
    expect(await readBundleRecord(record)).toEqual([other, rebuilt])
    await expect(
      openBundles([path], { siteFolder, expect: [], unknown: 'opened', now }),
    ).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      message: expect.stringContaining(rebuilt.digest),
    })
  })

  it('refuses a tree in parts without annotations, as an early version of airgap built it', {
    timeout: 60_000,
  }, async () => {
    const siteFolder = await workFolder()
    const path = join(siteFolder, 'a.tar')
    const expectation = { siteFolder, expect: [], unknown: 'opened', now } as const
    const names = (from: number, count: number) =>
      Array.from({ length: count }, (_, i) => `p/${String(from + i).padStart(5, '0')}.rpm`)
    const trees = (name: string, paths: readonly string[]) =>
      sampleTree(name, Object.fromEntries(paths.map(one => [one, 'x'])))
    const cases: [boolean, Parameters<typeof writeBundle>[1]][] = [
      [false, [...trees('rpms/rocky-9', names(0, 8000)), ...trees('rpms/rocky-9.2', names(8000, 2))]],
      [false, ['', '.2', '.3'].flatMap((end, i) => trees(`files${end}`, names(i * 8000, i < 2 ? 8000 : 1)))],
      // trees of their own: the first is not full, or the second does not continue it
      [true, [...trees('rpms/rocky-9', names(0, 7999)), ...trees('rpms/rocky-9.2', names(8000, 2))]],
      [true, [...trees('rpms/rocky-9', names(0, 8000)), ...trees('rpms/rocky-9.2', names(0, 2))]],
      [true, [...trees('rpms/rocky-9', names(0, 8001)), ...trees('rpms/rocky-9.2', names(9000, 2))]],
    ]
    for (const [accepted, content] of cases) {
      await rm(path, { force: true })
      await writeBundle(path, [...sampleStack(), ...content])
      const opening = openBundles([path], expectation)
      if (accepted) await (await opening)[Symbol.asyncDispose]()
      else
        await expect(opening).rejects.toMatchObject({
          code: 'BUNDLE_VERSION',
          item: path,
          message: expect.stringContaining('earlier development version'),
        })
    }
  })

  it('refuses names of which folders and URLs would be made: tree/.., an image without a name', async () => {
    const siteFolder = await workFolder()
    const path = join(siteFolder, 'a.tar')
    const expectation = { siteFolder, expect: [], unknown: 'opened', now } as const
    for (const evil of [sampleTree('tree/..', { known_hosts: 'x' }), [sampleImage('not a reference')]]) {
      await rm(path, { force: true })
      await writeBundle(path, [...sampleStack(), ...evil])
      await expect(openBundles([path], expectation)).rejects.toMatchObject({ exitCode: 6 })
    }
  })

  it('refuses a record of bundles that cannot be read: what the site knows must not be lost silently', async () => {
    const siteFolder = await workFolder()
    const path = join(siteFolder, 'a.tar')
    await writeBundle(path, sampleStack())
    await writeFile(pathsOf(siteFolder).bundles, '{"bundles": [{}]}')
    await expect(
      openBundles([path], { siteFolder, expect: [], unknown: 'opened', now }),
    ).rejects.toMatchObject({
      code: 'JOURNAL_INVALID',
    })
  })

  it('reads the file that is open, and refuses it once another one has taken its path', async () => {
    const siteFolder = await workFolder()
    const [path, other] = [join(siteFolder, 'a.tar'), join(siteFolder, 'b.tar')]
    await writeBundle(path, sampleStack())
    await writeBundle(other, sampleStack(), '2.0.0')
    await using opened = await openBundles([path], { siteFolder, expect: [], unknown: 'opened', now })
    const [bundle] = opened.bundles
    await rename(other, path)
    // what is verified here would not be what the servers open next
    await expect(verifyOpenBundle(bundle!, run)).rejects.toMatchObject({
      code: 'BUNDLE_CORRUPT',
      exitCode: 6,
      message: 'the bundle was replaced or removed while it was open',
      item: path,
    })
    // and it is still open
    expect(await readAll(bundle!.store, bundle!.store.roots()[0]!)).toBeInstanceOf(Buffer)
  })

  it('finds damage in the open file, although a good bundle has taken its path', async () => {
    const siteFolder = await workFolder()
    const [path, good] = [join(siteFolder, 'a.tar'), join(siteFolder, 'b.tar')]
    await writeBundle(path, sampleStack())
    await copyFile(path, good)
    await using opened = await openBundles([path], { siteFolder, expect: [], unknown: 'opened', now })
    const [bundle] = opened.bundles
    const entry = bundle!.store.entries().at(-1)!
    await overwrite(path, entry.dataOffset, 'DAMAGED')
    await rename(good, path)
    await expect(verifyOpenBundle(bundle!, run)).rejects.toMatchObject({
      code: 'BUNDLE_CORRUPT',
      message: expect.stringContaining('the content does not have its digest'),
    })
  })

  it('refuses a bundle that was overwritten in place by another good one since it was opened', async () => {
    const siteFolder = await workFolder()
    const [path, other] = [join(siteFolder, 'a.tar'), join(siteFolder, 'b.tar')]
    await writeBundle(path, sampleStack())
    await writeBundle(other, sampleStack(), '2.0.0')
    await using opened = await openBundles([path], { siteFolder, expect: [], unknown: 'opened', now })
    // the same inode: what the steps know of the first bundle would be mixed with content of the second
    await writeFile(path, await readFile(other))
    await expect(verifyOpenBundle(opened.bundles[0]!, run)).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      exitCode: 6,
    })
  })

  it('refuses a bundle that is written to while it is verified, with its time set back', async () => {
    const siteFolder = await workFolder()
    const path = join(siteFolder, 'a.tar')
    await writeBundle(path, sampleStack())
    const { atime, mtime } = await stat(path)
    await using opened = await openBundles([path], { siteFolder, expect: [], unknown: 'opened', now })
    const [bundle] = opened.bundles
    const end = bundle!.store.size
    // after the last byte was read, and before the verdict
    const source: ByteSource = {
      ...bundle!.source,
      async read(buffer, position) {
        await bundle!.source.read(buffer, position)
        if (position === end - trailerSize) {
          writeSync(openSync(path, 'r+'), 'EVIL', bundle!.store.entries().at(-1)!.dataOffset)
          utimesSync(path, atime, mtime)
        }
      },
    }
    await expect(verifyOpenBundle({ ...bundle!, source }, run)).rejects.toMatchObject({
      code: 'BUNDLE_CORRUPT',
      message: 'the bundle was written to while it was open',
    })
  })

  it('remembers a verified file by what survives a reboot, and changes with its content', async () => {
    const siteFolder = await workFolder()
    const path = join(siteFolder, 'a.tar')
    await writeBundle(path, sampleStack())
    const stateOf = async () => {
      await using opened = await openBundles([path], { siteFolder, expect: [], unknown: 'opened', now })
      return opened.bundles[0]!.file.state
    }
    const before = await stateOf()
    const { atime, mtime } = await stat(path)
    expect(await stateOf()).toBe(before)
    await sleep(20)
    await overwrite(path, 0, await readFile(path).then(bytes => bytes.subarray(0, 10).toString('latin1')))
    utimesSync(path, atime, mtime)
    expect(await stateOf()).not.toBe(before)
  })
})

async function overwrite(path: string, at: number, text: string): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write(text, at, 'latin1')
}
