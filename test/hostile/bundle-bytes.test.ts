import { describe, expect, it } from 'vitest'
import type { UnplacedEntry } from '../../src/bundle/entry.ts'
import { openBundle } from '../../src/bundle/reader.ts'
import { decodeHeader, encodeHeader } from '../../src/bundle/tar-header.ts'
import { verifyBundle } from '../../src/bundle/verify.ts'
import { collect } from '../../src/content/read.ts'
import { digestOf } from '../../src/core/digest.ts'
import { contentEntries, craftBundle, packTar } from '../bundle/craft.ts'
import {
  bundleBytes,
  describeBytes,
  imageOf,
  imageSample,
  inlineTree,
  memorySource,
  noise,
  sampleInfo,
  smallSample,
} from '../bundle/samples.ts'

const small = smallSample()
const corrupt = { code: 'BUNDLE_CORRUPT', exitCode: 6 }
const verifyBytes = (bytes: Uint8Array) => verifyBundle(memorySource(bytes))

describe('a damaged bundle', () => {
  it('fault 62: a bundle truncated at any block: the error states how many bytes are missing', async () => {
    const bytes = await bundleBytes(small)
    for (let end = 0; end < bytes.length; end += 512) {
      const error = await openBundle(memorySource(bytes.subarray(0, end))).catch((thrown: unknown) => thrown)
      expect(error, `cut at ${end}`).toMatchObject({
        ...corrupt,
        message: expect.stringMatching(/truncated: (at least )?[0-9]+ bytes are missing/),
        next: expect.stringContaining('copy it again'),
      })
    }
  })

  it('fault 62: a bundle truncated within a block', async () => {
    const bytes = await bundleBytes(small)
    for (const end of [1, 100, 511, 513, 2000, bytes.length - 1]) {
      await expect(openBundle(memorySource(bytes.subarray(0, end))), `cut at ${end}`).rejects.toMatchObject(
        corrupt,
      )
    }
  })

  it('fault 63: verify finds each flipped bit', async () => {
    const bytes = await bundleBytes(inlineTree('t', { a: 'content' }), { name: 'n', version: '1' })
    await verifyBytes(bytes)
    const missed: number[] = []
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      // all bits of a zero byte of padding are alike: one of them will do
      if (bytes[bit >> 3] === 0 && (bit & 7) !== (bit >> 3) % 8) continue
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      const code = await verifyBytes(bytes).then(
        () => 0,
        error => error.exitCode,
      )
      // exit code 7: the flip turned it into another program's archive, or another format version
      if (code !== 6 && code !== 7) missed.push(bit)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
    expect(missed).toEqual([])
  })

  it('fault 63: a flipped bit is never served as good', async () => {
    const sample = imageSample(imageOf('registry.example/app:1', [noise(600, 1)]))
    const bytes = await bundleBytes(sample)
    for (let at = 0; at < bytes.length; at++) {
      bytes[at]! ^= 1 << (at & 7)
      const store = await openBundle(memorySource(bytes)).catch(() => undefined)
      for (const content of store === undefined ? [] : sample.contents.values()) {
        const read = await store!
          .open(describeBytes(content))
          .then(body => collect(body, 10_000))
          .catch(() => undefined)
        if (read !== undefined && digestOf(read) !== digestOf(content))
          throw new Error(`wrong bytes served: flip at ${at}`)
      }
      bytes[at]! ^= 1 << (at & 7)
    }
  })

  it('one byte too many', async () => {
    const bytes = await bundleBytes(small)
    await expect(verifyBytes(Buffer.concat([bytes, Buffer.alloc(1)]))).rejects.toMatchObject(corrupt)
    await expect(verifyBytes(Buffer.concat([bytes, Buffer.alloc(512)]))).rejects.toMatchObject(corrupt)
  })
})

describe('a forged bundle', () => {
  const entries = contentEntries(small)
  const evil: UnplacedEntry = {
    path: 'evil.sh',
    type: 'file',
    size: 4,
    mode: 0o755,
    bytes: Buffer.from('evil'),
  }
  const craft = (forgery: UnplacedEntry[], table = forgery) => craftBundle(small, { entries: forgery, table })

  it('is good without the forgery', async () => {
    await expect(verifyBytes(craft(entries))).resolves.toMatchObject({ artifacts: 4 })
  })

  it.each<[string, UnplacedEntry[], UnplacedEntry[]?]>([
    ['a duplicate entry', [...entries, entries.at(-1)!]],
    ['a duplicate entry that the table does not list', [...entries, entries.at(-1)!], entries],
    ['entries out of order', [entries[1]!, entries[0]!, ...entries.slice(2)]],
    ['bulk out of order', [...entries.slice(0, -2), entries.at(-1)!, entries.at(-2)!]],
    ['an entry between the known ones', [...entries.slice(0, 2), evil, ...entries.slice(2)]],
    [
      'an entry between the known ones that the table does not list',
      [...entries.slice(0, 2), evil, ...entries.slice(2)],
      entries,
    ],
    ['an entry at the end', [...entries, evil]],
    ['a second index.json', [...entries, { ...evil, path: 'index.json' }]],
    ['an entry among the blobs that is not a blob', [...entries, { ...evil, path: 'blobs/sha256/../evil' }]],
    [
      'a blob under a wrong name',
      entries.map((e, i) => (i === 0 ? { ...e, bytes: Buffer.alloc(e.size, 1) } : e)),
    ],
    ['a link to nowhere', [...entries, { path: 'x', type: 'link', size: 0, mode: 0o644, target: 'nowhere' }]],
    ['a link from one blob to another', entries.map((e, i) => (i === 1 ? linkTo(e, entries[0]!) : e))],
  ])('fault 64: with %s is refused', async (_what, forgery, table) => {
    await expect(verifyBytes(craft(forgery, table))).rejects.toMatchObject(corrupt)
  })

  it.each([
    ['a PAX header for the next entry', 'x'],
    ['a global PAX header', 'g'],
    ['a GNU long name', 'L'],
    ['a GNU long link', 'K'],
    ['a symbolic link', '2'],
    ['a device', '3'],
    ['a folder', '5'],
    ['an old regular file', '\0'],
  ])('fault 65: %s is refused', (_what, flag) => {
    const block = encodeHeader({ path: 'a', size: 3, mode: 0o644, type: 'file' })
    block.write(flag, 156, 'latin1')
    expect(() => decodeHeader(withChecksum(block), 'x')).toThrow(expect.objectContaining(corrupt))
  })

  it.each([
    ['negative', 'ffffffffffffffffffffff00', /negative/],
    ['over 2^53', '800000000020000000000000', /2\^53/],
    ['over 2^64', '800000010000000000000000', /2\^53/],
    ['base-256 where octal would do', '800000000000000000000001', /not one that airgap writes/],
  ])('fault 65: a size that is %s is refused', (_what, hex, message) => {
    const block = encodeHeader({ path: 'a', size: 3, mode: 0o644, type: 'file' })
    block.write(hex, 124, 'hex')
    expect(() => decodeHeader(withChecksum(block), 'x')).toThrow(
      expect.objectContaining({ ...corrupt, message: expect.stringMatching(message) }),
    )
  })

  it('fault 65: a wrong checksum is refused', () => {
    const block = encodeHeader({ path: 'a', size: 3, mode: 0o644, type: 'file' })
    block.write('000000', 148, 'latin1')
    expect(() => decodeHeader(block, 'x')).toThrow(expect.objectContaining(corrupt))
  })

  it('fault 66: a table that points elsewhere is found before a byte is served', async () => {
    const [a, b] = [entries.at(-1)!, entries.at(-2)!]
    const table = [...entries.slice(0, -2), { ...b, path: a.path }, { ...a, path: b.path }]
    const store = await openBundle(memorySource(craft(entries, table)))
    for (const { digest, size } of [
      { digest: a.digest!, size: b.size },
      { digest: b.digest!, size: a.size },
    ]) {
      const lied = { mediaType: 'x', digest, size }
      await expect(store.open(lied, { start: 0, end: 1 })).rejects.toMatchObject(corrupt)
      await expect(store.open(lied).then(body => collect(body, 10_000))).rejects.toMatchObject(corrupt)
    }
  })

  it('fault 67: an index that names a missing blob is refused', async () => {
    const without = entries.filter(entry => entry.digest !== digestOf(noise(512, 2)))
    await expect(verifyBytes(craft(without))).rejects.toMatchObject({
      ...corrupt,
      message: expect.stringContaining('not in the bundle'),
    })
  })

  it('fault 67: content that nothing names is refused', async () => {
    const bytes = noise(40, 77)
    const stray = {
      path: `blobs/sha256/${digestOf(bytes).slice(7)}`,
      type: 'file' as const,
      size: 40,
      mode: 0o644,
      bytes,
    }
    const at = entries.findIndex((entry, i) => i > entries.length - 4 && entry.path > stray.path)
    const forgery = at < 0 ? [...entries, stray] : entries.toSpliced(at, 0, stray)
    await expect(verifyBytes(craft(forgery))).rejects.toMatchObject({
      ...corrupt,
      message: expect.stringContaining('nothing in the bundle refers to'),
    })
  })

  it('fault 67: an index whose digest the table does not know is refused', async () => {
    const bytes = craftBundle(small, { entries })
    const at = bytes.indexOf('"1.0.0"')
    bytes.write('"9.9.9"', at)
    await expect(openBundle(memorySource(bytes))).rejects.toMatchObject(corrupt)
  })

  it.each(['../evil', '/etc/evil', 'a/../../evil', 'a\nb', 'a\\b', 'a//b', './a', 'x'.repeat(300), 'a/', ''])(
    'fault 70: the name %j is refused',
    async path => {
      const named = { ...evil, path }
      const bytes = craftBundle(small, { entries, table: [...entries, named] })
      await expect(openBundle(memorySource(bytes))).rejects.toMatchObject(corrupt)
    },
  )

  it('fault 75: a newer format is refused with the version that opens it', async () => {
    const bytes = craftBundle(small, {
      entries,
      index: text => text.replace('"io.astrago.airgap.format":"1"', '"io.astrago.airgap.format":"2"'),
    })
    await expect(openBundle(memorySource(bytes))).rejects.toMatchObject({
      code: 'BUNDLE_VERSION',
      exitCode: 7,
      next: expect.stringContaining(sampleInfo.minimumTool!),
    })
  })

  it("another program's OCI archive is distinguished from a damaged bundle", async () => {
    const index = Buffer.from(
      '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
    )
    const layout = Buffer.from('{"imageLayoutVersion":"1.0.0"}')
    const tar = packTar([file('oci-layout', layout), file('index.json', index)])
    await expect(openBundle(memorySource(tar))).rejects.toMatchObject({
      code: 'BUNDLE_UNREADABLE',
      exitCode: 7,
    })
    await expect(openBundle(memorySource(packTar([evil])))).rejects.toMatchObject({
      code: 'BUNDLE_UNREADABLE',
    })
  })

  it('a front table that claims to be huge is refused before it is read', async () => {
    const layout = Buffer.from('{"imageLayoutVersion":"1.0.0"}')
    const tar = packTar([file('oci-layout', layout)]).subarray(0, 1024)
    const huge = encodeHeader({ path: 'index.json', size: 2 ** 40, mode: 0o644, type: 'file' })
    const source = { ...memorySource(Buffer.concat([tar, huge])), size: 2 ** 41 }
    await expect(openBundle(source)).rejects.toMatchObject(corrupt)
  })
})

function file(path: string, bytes: Buffer): UnplacedEntry {
  return { path, type: 'file', size: bytes.length, mode: 0o644, bytes }
}

function linkTo(entry: UnplacedEntry, target: UnplacedEntry): UnplacedEntry {
  return { path: entry.path, type: 'link', size: 0, mode: 0o644, target: target.path, digest: entry.digest! }
}

function withChecksum(block: Buffer): Buffer {
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}
