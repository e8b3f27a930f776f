import { describe, expect, it } from 'vitest'
import { download } from '../../src/remote/download.ts'
import {
  describeBytes,
  failure,
  noise,
  RecordingSink,
  type TestClient,
  testClient,
} from '../remote/support/clients.ts'
import { serveBytes, startUpstream, type Upstream } from '../remote/support/upstream.ts'

const etag = '"v1"'
const stall = { windowMs: 400, bytes: 1024 }

/** Downloads `/blob` of the upstream into a recording sink. */
async function fetchBlob(
  upstream: Upstream,
  bytes: Buffer,
  options: { client?: TestClient; sink?: RecordingSink } = {},
): Promise<RecordingSink> {
  const client = options.client ?? testClient({ stall })
  const sink = options.sink ?? new RecordingSink(describeBytes(bytes))
  const { clock, progress, http } = client
  await download({ openers: http.openers(`${upstream.origin}/blob`), sink, clock, progress, stall })
  return sink
}

describe('hostile upstream: transfers', () => {
  it('fault 1: 429 with Retry-After in seconds waits that long, and reports it', async () => {
    const upstream = await startUpstream((_request, response, { seen }) => {
      if (seen.length === 1) response.writeHead(429, { 'retry-after': '90' }).end()
      else response.end('{}')
    })
    const { http, clock, progress } = testClient()
    const answer = await http.get(`${upstream.origin}/x`, { maxBytes: 10 })
    expect(answer.bytes.toString()).toBe('{}')
    expect(clock.slept.reduce((a, b) => a + b)).toBeGreaterThanOrEqual(90_000)
    expect(progress.notes.join()).toContain(`${upstream.host} answered 429; waiting 90 s`)
  })

  it('fault 1: 429 with Retry-After as a date waits until then', async () => {
    const client = testClient()
    const until = new Date(client.clock.now() + 45_000).toUTCString()
    const upstream = await startUpstream((_request, response, { seen }) => {
      if (seen.length === 1) response.writeHead(429, { 'retry-after': until }).end()
      else response.end('ok')
    })
    const begun = client.clock.now()
    await client.http.get(`${upstream.origin}/x`, { maxBytes: 10 })
    expect(client.clock.now() - begun).toBeGreaterThanOrEqual(45_000)
    expect(client.clock.now() - begun).toBeLessThan(60_000)
  })

  it('fault 1: the wait is per host: other hosts are not delayed', async () => {
    const busy = await startUpstream((_request, response) => {
      response.writeHead(429, { 'retry-after': '600' }).end()
    })
    const free = await startUpstream((_request, response) => {
      response.end('ok')
    })
    const { http, clock } = testClient({ retry: { attempts: 1 } })
    await failure(http.get(`${busy.origin}/x`, { maxBytes: 10 }), 'NETWORK')
    const begun = clock.now()
    await http.get(`${free.origin}/x`, { maxBytes: 10 })
    expect(clock.now()).toBe(begun)
  })

  it('fault 1: a Retry-After of hours stops it, with advice when to try again', async () => {
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(429, { 'retry-after': '21600' }).end()
    })
    const { http, clock } = testClient()
    const error = await failure(http.get(`${upstream.origin}/x`, { maxBytes: 10 }), 'UPSTREAM')
    expect(error.message).toContain('360 min')
    expect(clock.slept).toEqual([])
    expect(error.exitCode).toBe(5)
  })

  it('fault 1: 503 with Retry-After also makes every request to that host wait', async () => {
    const upstream = await startUpstream((_request, response, { seen }) => {
      if (seen.length === 1) response.writeHead(503, { 'retry-after': '30' }).end()
      else response.end('ok')
    })
    const { http, clock } = testClient()
    const begun = clock.now()
    await http.get(`${upstream.origin}/x`, { maxBytes: 10 })
    expect(clock.now() - begun).toBeGreaterThanOrEqual(30_000)
  })

  it('fault 2: a burst of 503 is retried, an endless one is not', async () => {
    let left = 4
    const upstream = await startUpstream((_request, response) => {
      if (left-- > 0) response.writeHead(503).end('busy')
      else response.end('ok')
    })
    const { http, clock, progress } = testClient()
    expect((await http.get(`${upstream.origin}/x`, { maxBytes: 10 })).bytes.toString()).toBe('ok')
    expect(clock.slept).toHaveLength(4)
    expect(clock.slept[3]).toBeGreaterThan(clock.slept[0]!)
    expect(progress.notes).toHaveLength(4)
    left = Number.POSITIVE_INFINITY
    const error = await failure(http.get(`${upstream.origin}/x`, { maxBytes: 10 }), 'NETWORK')
    expect(error.exitCode).toBe(5)
  })

  it('fault 3: a reset in the middle of a blob continues with Range and If-Range', async () => {
    const bytes = noise(3_000_000)
    const upstream = await startUpstream((request, response, { seen }) => {
      if (seen.length > 3) return serveBytes(request, response, { bytes, etag })
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
      response.writeHead(start ? 206 : 200, {
        etag,
        'content-length': bytes.length - start,
        'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
      })
      response.write(bytes.subarray(start, start + 500_000), () => setTimeout(() => response.destroy(), 20))
    })
    const client = testClient({ stall })
    const sink = await fetchBlob(upstream, bytes, { client })
    expect(sink.bytes().equals(bytes)).toBe(true)
    expect(sink.restarts).toEqual([])
    expect(upstream.seen.map(request => request.headers.range)).toEqual([
      undefined,
      'bytes=500000-',
      'bytes=1000000-',
      'bytes=1500000-',
    ])
    expect(upstream.seen[1]?.headers['if-range']).toBe(etag)
    expect(client.progress.bytes).toBe(bytes.length)
  })

  it('fault 3: an upstream that makes no progress is given up', async () => {
    const bytes = noise(100_000)
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(200, { 'content-length': bytes.length })
      response.write(bytes.subarray(0, 1000), () => setTimeout(() => response.destroy(), 5))
    })
    await failure(fetchBlob(upstream, bytes), 'NETWORK')
    expect(upstream.seen.length).toBe(6)
  })

  it('fault 4: a body shorter than its Content-Length is continued', async () => {
    const bytes = noise(200_000)
    const upstream = await startUpstream((request, response, { seen }) => {
      if (seen.length > 1) return serveBytes(request, response, { bytes, etag })
      response.socket?.end(
        Buffer.concat([
          Buffer.from(`HTTP/1.1 200 OK\r\nETag: ${etag}\r\nContent-Length: ${bytes.length}\r\n\r\n`),
          bytes.subarray(0, 123_456),
        ]),
      )
    })
    const sink = await fetchBlob(upstream, bytes)
    expect(sink.finished).toBe(true)
    expect(upstream.seen[1]?.headers.range).toBe('bytes=123456-')
  })

  it('fault 4: a body without a length that ends too early is continued', async () => {
    const bytes = noise(200_000)
    const upstream = await startUpstream((request, response, { seen }) => {
      if (seen.length > 1) return serveBytes(request, response, { bytes })
      response.socket?.end(Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), bytes.subarray(0, 50_000)]))
    })
    expect((await fetchBlob(upstream, bytes)).finished).toBe(true)
    expect(upstream.seen[1]?.headers.range).toBe('bytes=50000-')
  })

  it('fault 5: a longer body is refused, and nothing of it is kept', async () => {
    const bytes = noise(100_000)
    const chunked = await startUpstream((_request, response) => {
      response.write(bytes)
      response.end('more')
    })
    const sink = new RecordingSink(describeBytes(bytes))
    const error = await failure(fetchBlob(chunked, bytes, { sink }), 'SIZE_MISMATCH')
    expect(error.exitCode).toBe(6)
    expect(sink.received).toBe(0)
    expect(sink.finished).toBe(false)
    const declared = await startUpstream((request, response) => {
      serveBytes(request, response, { bytes: Buffer.concat([bytes, bytes]) })
    })
    await failure(fetchBlob(declared, bytes), 'SIZE_MISMATCH')
    expect(declared.seen).toHaveLength(1)
    const shorter = await startUpstream((request, response) => {
      serveBytes(request, response, { bytes: bytes.subarray(0, 10) })
    })
    await failure(fetchBlob(shorter, bytes), 'SIZE_MISMATCH')
    expect(shorter.seen).toHaveLength(1)
  })

  it('fault 6: the right length with wrong bytes is exit code 6, is not tried elsewhere, and never completes', async () => {
    const bytes = noise(100_000)
    const wrong = Buffer.from(bytes)
    wrong[50_000]! ^= 1
    const bad = await startUpstream((request, response) => serveBytes(request, response, { bytes: wrong }))
    const good = await startUpstream((request, response) => serveBytes(request, response, { bytes }))
    const sources = [{ from: `${bad.origin}/`, to: [bad.origin, good.origin] }]
    const client = testClient({ sources, stall })
    const sink = new RecordingSink(describeBytes(bytes))
    const error = await failure(fetchBlob(bad, bytes, { client, sink }), 'DIGEST_MISMATCH')
    expect(error.exitCode).toBe(6)
    expect(sink.finished).toBe(false)
    expect(good.seen).toEqual([])
    expect(bad.seen).toHaveLength(1)
  })

  it('fault 7: a Range answered by 200 starts over and never appends', async () => {
    const bytes = noise(300_000)
    const upstream = await startUpstream((request, response, { seen }) => {
      if (seen.length > 1) return serveBytes(request, response, { bytes, etag, ignoreRange: true })
      response.writeHead(200, { etag, 'content-length': bytes.length })
      response.write(bytes.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 10))
    })
    const sink = await fetchBlob(upstream, bytes)
    expect(sink.bytes().equals(bytes)).toBe(true)
    expect(sink.restarts).toEqual([etag])
    expect(upstream.seen[1]?.headers.range).toBe('bytes=100000-')
  })

  it('fault 7: a 206 that starts elsewhere than requested is not appended', async () => {
    const bytes = noise(300_000)
    const upstream = await startUpstream((request, response, { seen }) => {
      if (seen.length === 1) {
        response.writeHead(200, { 'content-length': bytes.length })
        response.write(bytes.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 10))
      } else if (seen.length === 2) {
        response.writeHead(206, { 'content-range': `bytes 5-${bytes.length - 1}/${bytes.length}` })
        response.end(bytes.subarray(5))
      } else serveBytes(request, response, { bytes })
    })
    const sink = await fetchBlob(upstream, bytes)
    expect(sink.bytes().equals(bytes)).toBe(true)
    expect(sink.restarts).toHaveLength(1)
  })

  it('fault 8: an ETag that changed between the parts starts over, whether the server honours If-Range or not', async () => {
    const bytes = noise(300_000)
    for (const honours of [true, false]) {
      const upstream = await startUpstream((request, response, { seen }) => {
        if (seen.length === 1) {
          response.writeHead(200, { etag: '"old"', 'content-length': bytes.length })
          response.write(noise(100_000), () => setTimeout(() => response.destroy(), 10))
          return
        }
        if (!honours) delete request.headers['if-range']
        serveBytes(request, response, { bytes, etag: '"new"' })
      })
      const sink = await fetchBlob(upstream, bytes)
      expect(sink.bytes().equals(bytes)).toBe(true)
      expect(upstream.seen.length).toBe(honours ? 2 : 3)
    }
  })

  it('fault 8: the validator of an earlier run is sent, and a changed blob starts over', async () => {
    const bytes = noise(200_000)
    const upstream = await startUpstream((request, response) =>
      serveBytes(request, response, { bytes, etag: '"new"' }),
    )
    const sink = new RecordingSink(describeBytes(bytes))
    sink.validator = '"old"'
    await sink.write(noise(70_000))
    await fetchBlob(upstream, bytes, { sink })
    expect(sink.bytes().equals(bytes)).toBe(true)
    expect(upstream.seen[0]?.headers).toMatchObject({ range: 'bytes=70000-', 'if-range': '"old"' })
    expect(sink.validator).toBe('"new"')
  })

  it('fault 9: 416 starts over from the beginning', async () => {
    const bytes = noise(200_000)
    const upstream = await startUpstream((request, response) => {
      if (request.headers.range) response.writeHead(416, { 'content-range': 'bytes */100' }).end()
      else serveBytes(request, response, { bytes })
    })
    const sink = new RecordingSink(describeBytes(bytes))
    await sink.write(noise(100_000))
    await fetchBlob(upstream, bytes, { sink })
    expect(sink.bytes().equals(bytes)).toBe(true)
    expect(upstream.seen).toHaveLength(2)
  })

  it('fault 10: one byte now and then is a stall; the next attempt continues', async () => {
    const bytes = noise(100_000)
    const upstream = await startUpstream((request, response, { seen }) => {
      if (seen.length > 1) return serveBytes(request, response, { bytes, etag })
      response.writeHead(200, { etag, 'content-length': bytes.length })
      let sent = 5000
      response.write(bytes.subarray(0, sent))
      const timer = setInterval(() => {
        if (response.destroyed) clearInterval(timer)
        else response.write(bytes.subarray(sent, ++sent))
      }, 20)
    })
    const client = testClient({ stall })
    const sink = await fetchBlob(upstream, bytes, { client })
    expect(sink.bytes().equals(bytes)).toBe(true)
    expect(client.progress.notes.join()).toContain('stalled')
  })

  it('fault 10: a slow body that keeps arriving may take any time', async () => {
    const bytes = noise(60_000)
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(200, { 'content-length': bytes.length })
      let sent = 0
      const timer = setInterval(() => {
        response.write(bytes.subarray(sent, sent + 4000))
        sent += 4000
        if (sent >= bytes.length) {
          clearInterval(timer)
          response.end()
        }
      }, 100)
    })
    const begun = performance.now()
    expect((await fetchBlob(upstream, bytes)).finished).toBe(true)
    expect(performance.now() - begun).toBeGreaterThan(3 * stall.windowMs)
    expect(upstream.seen).toHaveLength(1)
  })

  it('fault 10: a slow disk does not count as a stalled upstream', async () => {
    const bytes = noise(2_000_000)
    const upstream = await startUpstream((request, response) => serveBytes(request, response, { bytes }))
    const sink = new RecordingSink(describeBytes(bytes))
    const write = sink.write.bind(sink)
    sink.write = async chunk => {
      if (sink.received === 0) await new Promise(resolve => setTimeout(resolve, 4 * stall.windowMs))
      await write(chunk)
    }
    await fetchBlob(upstream, bytes, { sink })
    expect(upstream.seen).toHaveLength(1)
  })

  it('fault 10: headers that never arrive are a stall', async () => {
    const upstream = await startUpstream(() => {})
    const { http } = testClient({ stall, retry: { attempts: 2 } })
    const error = await failure(http.get(`${upstream.origin}/x`, { maxBytes: 10 }), 'NETWORK')
    expect(error.message).toContain('stalled')
    expect(upstream.seen).toHaveLength(2)
  })
})
