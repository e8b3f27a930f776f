import { describe, expect, it } from 'vitest'
import { failure, noise, testClient } from './support/clients.ts'
import { serveBytes, startUpstream } from './support/upstream.ts'

describe('get', () => {
  it('returns bytes, lower-case headers and the final URL without secrets', async () => {
    const upstream = await startUpstream((request, response) => {
      if (request.url?.startsWith('/old')) response.writeHead(301, { location: '/new?token=s3cret' }).end()
      else response.setHeader('X-Custom', ['a', 'b']).end('hello')
    })
    const answer = await testClient().http.get(`${upstream.origin}/old`, {
      maxBytes: 5,
      headers: { accept: 'x/y' },
    })
    expect(answer.bytes.toString()).toBe('hello')
    expect(answer.headers['x-custom']).toBe('a, b')
    expect(answer.url).toBe(`${upstream.origin}/new?token=…`)
    expect(upstream.seen[1]).toMatchObject({ url: '/new?token=s3cret', headers: { accept: 'x/y' } })
  })

  it('stops at maxBytes, whether or not the size is declared, and closes the connection', async () => {
    let sent = 0
    const upstream = await startUpstream((request, response) => {
      if (request.url === '/declared') return serveBytes(request, response, { bytes: noise(1001) })
      const more = () => {
        sent += 65_536
        if (!response.destroyed) response.write(noise(65_536), more)
      }
      more()
    })
    const { http } = testClient()
    for (const path of ['/declared', '/endless']) {
      const error = await failure(http.get(`${upstream.origin}${path}`, { maxBytes: 1000 }), 'UNSUPPORTED')
      expect(error.message).toContain('1000')
    }
    for (const [tooLargeIs, exitCode] of [
      ['UNSUPPORTED', 4],
      ['UPSTREAM_INVALID', 5],
      ['SIZE_MISMATCH', 6],
    ] as const) {
      const request = { maxBytes: 1000, tooLargeIs }
      expect(await failure(http.get(`${upstream.origin}/declared`, request), tooLargeIs)).toMatchObject({
        exitCode,
      })
    }
    expect(sent).toBeLessThan(32 * 1024 * 1024)
  })

  it('retries a body that breaks', async () => {
    const upstream = await startUpstream((_request, response, { seen }) => {
      if (seen.length > 2) response.end('whole')
      else {
        response.writeHead(200, { 'content-length': 5 })
        response.write('wh', () => setTimeout(() => response.destroy(), 5))
      }
    })
    const { http, clock } = testClient()
    expect((await http.get(`${upstream.origin}/x`, { maxBytes: 5 })).bytes.toString()).toBe('whole')
    expect(clock.slept).toHaveLength(2)
  })

  it.each([
    [401, 'UNAUTHORIZED', 5],
    [403, 'UNAUTHORIZED', 5],
    [404, 'NOT_FOUND_UPSTREAM', 4],
    [410, 'NOT_FOUND_UPSTREAM', 4],
    [418, 'UPSTREAM', 5],
    [501, 'UPSTREAM', 5],
  ] as const)('%i is %s, and not tried again', async (status, code, exit) => {
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(status).end('no')
    })
    const error = await failure(testClient().http.get(`${upstream.origin}/x`, { maxBytes: 5 }), code)
    expect(error.exitCode).toBe(exit)
    expect(upstream.seen).toHaveLength(1)
  })

  it.each(['file:///etc/passwd', 'ftp://x/y', 'x', ''])('refuses the URL %j', async url => {
    const error = await testClient()
      .http.get(url, { maxBytes: 5 })
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'USAGE', exitCode: 2 })
  })

  it('an invalid header is our error, not a network failure', async () => {
    const upstream = await startUpstream((_request, response) => response.end())
    const { http, progress } = testClient()
    const bad = http.get(`${upstream.origin}/x`, { maxBytes: 5, headers: { accept: 'a\r\nb: c' } })
    await expect(bad).rejects.toThrow('invalid')
    expect(progress.notes).toEqual([])
    expect(upstream.seen).toEqual([])
  })

  it('ends with the signal of the client', async () => {
    const stop = new AbortController()
    const upstream = await startUpstream(() => stop.abort(new Error('stop')))
    const { http } = testClient({ signal: stop.signal })
    await expect(http.get(`${upstream.origin}/x`, { maxBytes: 5 })).rejects.toThrow('stop')
    await expect(http.get(`${upstream.origin}/x`, { maxBytes: 5 })).rejects.toThrow('stop')
  })

  it('tries mirrors in order', async () => {
    const gone = await startUpstream((_request, response) => {
      response.writeHead(404).end()
    })
    const good = await startUpstream((_request, response) => response.end('ok'))
    const sources = [{ from: 'https://files.example/', to: [`${gone.origin}/a`, `${good.origin}/b`] }]
    const { http, progress } = testClient({ sources })
    expect((await http.get('https://files.example/x', { maxBytes: 5 })).url).toBe(`${good.origin}/b/x`)
    expect(await http.size('https://files.example/x')).toBe(2)
    expect(progress.notes[0]).toContain('trying the next mirror')
  })
})

describe('size', () => {
  it('by HEAD, by a range of one byte if HEAD is refused, undefined if not stated', async () => {
    const bytes = noise(12_345)
    const upstream = await startUpstream((request, response) => {
      if (request.url === '/chunked') {
        response.write('a')
        response.end()
      } else if (request.url === '/no-head' && request.method === 'HEAD') response.writeHead(403).end()
      else serveBytes(request, response, { bytes })
    })
    const { http } = testClient()
    expect(await http.size(`${upstream.origin}/plain`)).toBe(12_345)
    expect(upstream.seen).toHaveLength(1)
    expect(await http.size(`${upstream.origin}/no-head`)).toBe(12_345)
    expect(upstream.seen[2]?.headers.range).toBe('bytes=0-0')
    expect(await http.size(`${upstream.origin}/chunked`)).toBeUndefined()
  })

  it('of missing content throws NOT_FOUND_UPSTREAM', async () => {
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(404).end()
    })
    await failure(testClient().http.size(`${upstream.origin}/x`), 'NOT_FOUND_UPSTREAM')
  })
})
