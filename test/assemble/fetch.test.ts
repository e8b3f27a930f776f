import { appendFile, mkdir, open, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { fetchSlots } from '../../src/assemble/fetch.ts'
import { openBundle } from '../../src/bundle/reader.ts'
import { verifyBundle } from '../../src/bundle/verify.ts'
import { BundleWriter } from '../../src/bundle/writer.ts'
import { LayoutStore } from '../../src/content/layout-store.ts'
import type { ReadableStore } from '../../src/content/store.ts'
import { type TreeFile, treeArtifacts } from '../../src/content/tree.ts'
import { digestOf } from '../../src/core/digest.ts'
import { mediaTypes } from '../../src/core/media-types.ts'
import { silentProgress } from '../../src/core/progress.ts'
import { createHttpClient } from '../../src/remote/http-client.ts'
import { createRegistryClient } from '../../src/remote/registry-client.ts'
import { allocatedBytes, layoutOf, noise, type Sample, tempFolder, writeBundle } from '../bundle/samples.ts'

const bytes = noise(300_000, 31)
const descriptor = { mediaType: mediaTypes.octets, digest: digestOf(bytes), size: bytes.length }

/** An upstream with one file, and the bundle that carries it. */
async function upstream(body: Uint8Array = bytes): Promise<Sample & { asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    asked.push(request.headers.range ?? 'all')
    const range = { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` }
    response.writeHead(start > 0 ? 206 : 200, start > 0 ? range : { 'content-length': body.length })
    response.end(body.subarray(start))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a`
  const origin = { sources: [{ type: 'url' as const, url }] }
  const files = [{ path: 'a', mode: '100644' as const, descriptor, origin }]
  const artifacts = treeArtifacts({ name: 'files', kind: 'file', files })
  return { artifacts, contents: new Map([[descriptor.digest, bytes]]), asked }
}

interface Near {
  cache?: LayoutStore
  reuse?: { path: string; store: ReadableStore }[]
}

async function build(path: string, of: Sample, near: Near = {}): Promise<string[]> {
  const notes: string[] = []
  const progress = { ...silentProgress, note: (text: string) => void notes.push(text) }
  const http = createHttpClient({ progress })
  const writer = await BundleWriter.open(path, layoutOf(of), { progress })
  try {
    await fetchSlots(writer, {
      ...{ http, registry: createRegistryClient({ http, progress, env: {} }), progress },
      ...{
        cache: near.cache ?? (await LayoutStore.open(join(path, '../empty-cache'))),
        reuse: near.reuse ?? [],
      },
      ...{ folder: join(path, '..'), runtime: {}, concurrency: 2, keepGoing: false },
      signal: new AbortController().signal,
    })
    await writer.seal()
  } finally {
    await writer.close()
    await http.close()
  }
  return notes
}

describe('content of a list of mirrors', () => {
  it('is fetched from the first mirror that has it', async () => {
    const folder = await tempFolder()
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(request.url ?? '')
      const base = `http://${request.headers.host}`
      if (request.url === '/list?release=9')
        return response.end(`# ours\n${base}/gone/$basearch/\n${base}/good/$basearch/\n`)
      if (request.url === '/good/x86_64/a%20b') return response.end(bytes)
      return response.writeHead(404).end()
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const list = `http://127.0.0.1:${(server.address() as AddressInfo).port}/list?release=9`
    const source = { type: 'mirrors' as const, list, variables: { basearch: 'x86_64' }, path: 'a%20b' }
    const artifacts = treeArtifacts({
      name: 'files',
      kind: 'file',
      files: [{ path: 'a', mode: '100644', descriptor, origin: { sources: [source] } }],
    })
    const path = join(folder, 'a.tar')
    const notes = await build(path, { artifacts, contents: new Map([[descriptor.digest, bytes]]) })
    expect(asked).toEqual(['/list?release=9', '/gone/x86_64/a%20b', '/good/x86_64/a%20b'])
    expect(notes.join()).toContain('trying the next mirror')
    expect(notes.join()).not.toContain('release=9')
  })
})

describe('content on this host', () => {
  it('is not fetched from the network', async () => {
    const [folder, sample] = [await tempFolder(), await upstream()]
    const cache = await LayoutStore.open(join(folder, 'cache'))
    await cache.push(descriptor, Readable.from([bytes]))
    expect(await build(join(folder, 'a.tar'), sample, { cache })).toEqual([])
    expect(sample.asked).toEqual([])
  })

  it('is fetched from its source if the copy in the cache was changed', async () => {
    const [folder, sample] = [await tempFolder(), await upstream()]
    const cache = await LayoutStore.open(join(folder, 'cache'))
    await writeFile(cache.pathOf(descriptor), Buffer.alloc(bytes.length))
    const notes = await build(join(folder, 'a.tar'), sample, { cache })
    expect(notes).toEqual([expect.stringContaining('damaged')])
    await verifyBundle(join(folder, 'a.tar'))
  })

  it.each(['header', 'content'])(
    'in an earlier bundle with a damaged %s stops the build: nothing continues past a wrong digest',
    async what => {
      const [folder, sample] = [await tempFolder(), await upstream()]
      const entry = layoutOf(sample).entries.find(({ digest }) => digest === descriptor.digest)!
      const earlier = join(folder, 'earlier.tar')
      await writeBundle(earlier, sample)
      const file = await open(earlier, 'r+')
      await file.write('damage', what === 'header' ? entry.headerOffset + 10 : entry.dataOffset + 99_000)
      await file.close()
      const store = await openBundle(earlier)
      onTestFinished(() => store.close())
      const near = { reuse: [{ path: earlier, store }] }
      await expect(build(join(folder, 'a.tar'), sample, near)).rejects.toMatchObject({
        code: 'BUNDLE_CORRUPT',
        exitCode: 6,
        item: expect.stringContaining('earlier.tar'),
      })
      expect(sample.asked).toEqual([])
    },
  )
})

describe('a partial blob of an earlier run', () => {
  async function begun(sample: Sample): Promise<string> {
    const path = join(await tempFolder(), 'a.tar')
    await (await BundleWriter.open(path, layoutOf(sample))).close()
    const line = { slot: descriptor.digest, received: 100_000 }
    await appendFile(`${path}.partial.journal`, `${JSON.stringify(line)}\n`)
    return path
  }

  it('whose journal is wrong is fetched from the beginning', async () => {
    const sample = await upstream()
    const path = await begun(sample)
    expect(await build(path, sample)).toEqual([expect.stringContaining('starting over')])
    expect(sample.asked).toEqual(['bytes=100000-', 'all'])
    await verifyBundle(path)
  })

  it('that is also wrong upstream is refused', async () => {
    const sample = await upstream(noise(bytes.length, 32))
    const path = await begun(sample)
    await expect(build(path, sample)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect(sample.asked).toEqual(['bytes=100000-', 'all'])
  })
})

describe('local files', () => {
  /** A bundle of files in the folder of the manifest. */
  async function localFiles(count: number, size: number): Promise<{ folder: string; sample: Sample }> {
    const folder = await tempFolder()
    const contents: Sample['contents'] = new Map()
    const files: TreeFile[] = []
    for (let i = 0; i < count; i++) {
      const path = `file-${i}`
      const body = noise(size, i + 1)
      await writeFile(join(folder, path), body)
      const described = { mediaType: mediaTypes.octets, digest: digestOf(body), size }
      contents.set(described.digest, body)
      files.push({
        path,
        mode: '100644',
        descriptor: described,
        origin: { sources: [{ type: 'path', path }] },
      })
    }
    return { folder, sample: { artifacts: treeArtifacts({ name: 'files', kind: 'file', files }), contents } }
  }

  it('share few buffers: a tree of 50,000 small files took minutes when each file had its own of 1 MiB (fault 130)', async () => {
    const { folder, sample } = await localFiles(200, 200)
    const path = join(folder, 'a.tar')
    expect(await allocatedBytes(() => build(path, sample))).toBeLessThan(10 << 20)
    await verifyBundle(path)
  })

  it.each([0, 1, (1 << 20) - 1, 1 << 20, (2 << 20) + 3])('of %i bytes are carried completely', async size => {
    const { folder, sample } = await localFiles(1, size)
    await build(join(folder, 'a.tar'), sample)
    await verifyBundle(join(folder, 'a.tar'))
  })

  it.each(['longer', 'shorter', 'changed', 'removed', 'a folder', 'a link to nowhere'])(
    'that are %s since the lock stop the build',
    async what => {
      const { folder, sample } = await localFiles(1, 5000)
      const path = join(folder, 'file-0')
      const before = await readFile(path)
      await rm(path)
      if (what === 'longer') await writeFile(path, Buffer.concat([before, before]))
      if (what === 'shorter') await writeFile(path, before.subarray(1))
      if (what === 'changed') await writeFile(path, before.fill('x', 0, 1))
      if (what === 'a folder') await mkdir(path)
      if (what === 'a link to nowhere') await symlink('nowhere', path)
      await expect(build(join(folder, 'a.tar'), sample)).rejects.toMatchObject({
        code: 'LOCK_OUT_OF_DATE',
        item: path,
      })
    },
  )
})
