import { describe, expect, it } from 'vitest'
import { LayoutStore } from '../../../src/content/layout-store.ts'
import { digestOf, hexOf } from '../../../src/core/digest.ts'
import type { FileRequest } from '../../../src/kinds/file/entry.ts'
import { fileKind } from '../../../src/kinds/file/index.ts'
import { noise } from '../../remote/support/clients.ts'
import { serveBytes } from '../../remote/support/upstream.ts'
import {
  cached,
  expectCleanCache,
  expectKindContract,
  refused,
  serve,
  testContext,
} from '../support/context.ts'

function request(url: string, more: Partial<FileRequest> = {}): FileRequest {
  return { at: 'stack.yaml:5:5', url, path: 'a/file', executable: false, ...more }
}

const bytes = noise(300_000)
const sha256 = hexOf(digestOf(bytes))

describe('a file with a checksum', () => {
  it('is asked for its size only', async () => {
    const upstream = await serve({ '/file': bytes })
    const context = await testContext()
    const locked = await fileKind.resolve(request(`${upstream.origin}/file`, { sha256 }), context)
    expect(locked).toEqual({
      name: 'a/file',
      url: `${upstream.origin}/file`,
      digest: `sha256:${sha256}`,
      size: bytes.length,
      executable: false,
    })
    expect(upstream.seen.map(seen => seen.method)).toEqual(['HEAD'])
    await expectKindContract(fileKind, locked)
  })

  it('is fetched where the server does not say its size', async () => {
    const upstream = await serve({ '/file': (_, response) => response.writeHead(200).end(bytes) })
    const context = await testContext()
    const locked = await fileKind.resolve(request(`${upstream.origin}/file`, { sha256 }), context)
    expect(locked).toMatchObject({ digest: `sha256:${sha256}`, size: bytes.length })
    expect(locked.firstUse).toBeUndefined()
    expect(await cached(context, locked)).toEqual(bytes)
    await expectCleanCache(context)
  })
})

describe('a file without a checksum', () => {
  it('is fetched once into the cache, and marked', async () => {
    const upstream = await serve({ '/file': bytes })
    const context = await testContext()
    const locked = await fileKind.resolve(request(`${upstream.origin}/file`, { executable: true }), context)
    expect(locked).toEqual({
      name: 'a/file',
      url: `${upstream.origin}/file`,
      digest: `sha256:${sha256}`,
      size: bytes.length,
      executable: true,
      firstUse: true,
    })
    expect(upstream.seen.map(seen => seen.method)).toEqual(['GET'])
    expect(await cached(context, locked)).toEqual(bytes)
    expect(fileKind.describe(locked)[0]).toMatchObject({ name: 'a/file', firstUse: true })
    await expectKindContract(fileKind, locked)
    await expectCleanCache(context)
  })

  it('may be empty', async () => {
    const upstream = await serve({ '/file': '' })
    const context = await testContext()
    const locked = await fileKind.resolve(request(`${upstream.origin}/file`), context)
    expect(locked).toMatchObject({ size: 0, digest: digestOf('') })
  })

  it('fetched twice at the same time is one in the cache', async () => {
    const upstream = await serve({ '/file': bytes })
    const context = await testContext()
    const both = await Promise.all(
      ['a', 'b'].map(path => fileKind.resolve(request(`${upstream.origin}/file`, { path }), context)),
    )
    expect(both[0]?.digest).toBe(both[1]?.digest)
    expect(await cached(await reopened(context), both[0]!)).toEqual(bytes)
    await expectCleanCache(context)
  })

  const reopened = async <T extends { cache: LayoutStore }>(context: T): Promise<T> => ({
    ...context,
    cache: await LayoutStore.open(context.cache.folder),
  })

  it('comes from a mirror where the source is remapped; the lock keeps the name', async () => {
    const empty = await serve({})
    const upstream = await serve({ '/mirror/file': bytes })
    const sources = [
      { from: 'https://files.example/', to: [`${empty.origin}/`, `${upstream.origin}/mirror/`] },
    ]
    const context = await testContext({ sources })
    const locked = await fileKind.resolve(request('https://files.example/file'), context)
    expect(locked).toMatchObject({ url: 'https://files.example/file', digest: `sha256:${sha256}` })
  })

  it('that is not there is an error that says so', async () => {
    const upstream = await serve({})
    const context = await testContext()
    const error = await refused(
      fileKind.resolve(request(`${upstream.origin}/file?token=s3cret`), context),
      'NOT_FOUND_UPSTREAM',
    )
    expect(JSON.stringify(error)).not.toContain('s3cret')
    await expectCleanCache(context)
  })

  it('stops when the work is cancelled', async () => {
    const stop = new AbortController()
    const upstream = await serve({
      '/file': (_, response) => {
        response.writeHead(200, { 'content-length': 1000 }).write('begun')
        setTimeout(() => stop.abort(new Error('stopped')), 50)
      },
    })
    const context = await testContext({ signal: stop.signal })
    await expect(fileKind.resolve(request(`${upstream.origin}/file`), context)).rejects.toThrow('stopped')
    await expectCleanCache(context)
  })
})

describe('a transfer that breaks', () => {
  /** Answers the first requests with half of the rest, then breaks the connection. */
  const breaking = (times: number, served: { etag?: string; ignoreRange?: boolean }) => {
    let left = times
    return serve({
      '/file': (request, response) => {
        if (left-- <= 0) return serveBytes(request, response, { bytes, ...served })
        const start = served.ignoreRange ? 0 : Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0)
        const half = start + Math.ceil((bytes.length - start) / 2)
        response.writeHead(start > 0 ? 206 : 200, {
          'content-length': bytes.length - start,
          ...(start > 0 ? { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {}),
          ...(served.etag ? { etag: served.etag } : {}),
        })
        response.write(bytes.subarray(start, half), () => setTimeout(() => response.destroy(), 20))
      },
    })
  }

  it('continues where the server vouches for the content', async () => {
    const upstream = await breaking(2, { etag: '"one"' })
    const context = await testContext()
    const locked = await fileKind.resolve(request(`${upstream.origin}/file`), context)
    expect(locked.digest).toBe(`sha256:${sha256}`)
    expect(upstream.seen.map(seen => seen.headers.range !== undefined)).toEqual([false, true, true])
    expect(upstream.seen[1]?.headers['if-range']).toBe('"one"')
    expect(await cached(context, locked)).toEqual(bytes)
  })

  it('starts over where it does not', async () => {
    const upstream = await breaking(1, {})
    const context = await testContext()
    const locked = await fileKind.resolve(request(`${upstream.origin}/file`), context)
    expect(locked.digest).toBe(`sha256:${sha256}`)
    expect(upstream.seen.map(seen => seen.headers.range)).toEqual([undefined, undefined])
  })
})

describe('files together', () => {
  it('are one tree', async () => {
    const file = (name: string, executable: boolean) => ({
      name,
      url: `https://x.example/${name}`,
      digest: digestOf(name),
      size: 1,
      executable,
    })
    const [artifact, ...others] = fileKind.assemble([file('b/tool', true), file('a', false)])
    expect(others).toEqual([])
    expect(artifact?.root.annotations).toMatchObject({
      'org.opencontainers.image.ref.name': 'files',
      'io.astrago.airgap.kind': 'file',
    })
    const manifest = JSON.parse(Buffer.from(artifact!.inline[0]!.bytes).toString('utf8'))
    expect(manifest.layers.map((layer: { annotations: object }) => layer.annotations)).toEqual([
      { 'org.opencontainers.image.title': 'a' },
      { 'org.opencontainers.image.title': 'b/tool', 'io.astrago.airgap.mode': '100755' },
    ])
    expect(fileKind.assemble([])).toEqual([])
  })
})
