import { describe, expect, it } from 'vitest'
import { defined } from '../../src/core/defined.ts'
import { digestOf, hexOf } from '../../src/core/digest.ts'
import { fileKind } from '../../src/kinds/file/index.ts'
import { fetchOnce } from '../../src/remote/fetch-once.ts'
import { expectCleanCache, refused, serve, testContext } from '../kinds/support/context.ts'
import { serveBytes } from '../remote/support/upstream.ts'

const bytes = Buffer.from('version 2 of the tool')
const request = (url: string, sha256?: string) => ({
  at: 'stack.yaml:5:5',
  url,
  path: 'tool',
  executable: true,
  ...defined({ sha256 }),
})

describe('files from an upstream that misbehaves', () => {
  it('fault 61: a checksum of another version, where the file must be fetched', async () => {
    const upstream = await serve({ '/tool': (_, response) => response.writeHead(200).end(bytes) })
    const context = await testContext()
    const error = await refused(
      fileKind.resolve(request(`${upstream.origin}/tool`, hexOf(digestOf('version 1'))), context),
      'DIGEST_MISMATCH',
    )
    expect(error.exitCode).toBe(6)
    expect(error.item).toContain('stack.yaml:5:5')
  })

  it('fault 61: the lock keeps the checksum of the manifest, never what upstream has', async () => {
    const upstream = await serve({ '/tool': bytes })
    const context = await testContext()
    const sha256 = hexOf(digestOf('version 1'))
    const locked = await fileKind.resolve(request(`${upstream.origin}/tool`, sha256), context)
    expect(locked.digest).toBe(`sha256:${sha256}`)
  })

  it('fault 4: a body that is always shorter than its Content-Length', async () => {
    const upstream = await serve({
      '/tool': (_, response) => {
        response.writeHead(200, { 'content-length': bytes.length + 10 })
        response.write(bytes, () => setTimeout(() => response.destroy(), 5))
      },
    })
    const context = await testContext()
    await refused(fetchOnce(`${upstream.origin}/tool`, context, { clock: context.clock }), 'NETWORK')
    expect(upstream.seen).toHaveLength(6)
    await expectCleanCache(context)
  })

  it('fault 7: a range request answered with everything starts over', async () => {
    let first = true
    const upstream = await serve({
      '/tool': (incoming, response) => {
        if (!first) return serveBytes(incoming, response, { bytes, etag: '"x"', ignoreRange: true })
        first = false
        response.writeHead(200, { 'content-length': bytes.length, etag: '"x"' })
        response.write(bytes.subarray(0, 7), () => setTimeout(() => response.destroy(), 20))
      },
    })
    const locked = await fileKind.resolve(request(`${upstream.origin}/tool`), await testContext())
    expect(upstream.seen[1]?.headers.range).toBe('bytes=7-')
    expect(locked).toMatchObject({ digest: digestOf(bytes), size: bytes.length })
  })

  it('fault 8: content that changes between the parts starts over', async () => {
    let first = true
    const upstream = await serve({
      '/tool': (incoming, response) => {
        // a server that also ignores If-Range
        delete incoming.headers['if-range']
        if (!first) return serveBytes(incoming, response, { bytes, etag: '"new"' })
        first = false
        response.writeHead(200, { 'content-length': 1000, etag: '"old"' })
        response.write('an older version, and longer', () => setTimeout(() => response.destroy(), 20))
      },
    })
    const context = await testContext()
    const locked = await fileKind.resolve(request(`${upstream.origin}/tool`), context)
    expect(locked).toMatchObject({ digest: digestOf(bytes), size: bytes.length })
    await expectCleanCache(context)
  })

  it('fault 25: the page of a captive portal is refused', async () => {
    const upstream = await serve({
      '/tool': (_, response) =>
        response
          .writeHead(200, { 'content-type': 'text/html' })
          .end('<!DOCTYPE html><html><body>Please log in</body></html>'),
    })
    const context = await testContext()
    await refused(fileKind.resolve(request(`${upstream.origin}/tool`), context), 'UPSTREAM_INVALID')
    await expectCleanCache(context)
  })
})
