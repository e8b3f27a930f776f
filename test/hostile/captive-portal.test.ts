import { describe, expect, it } from 'vitest'
import { download } from '../../src/remote/download.ts'
import { describeBytes, failure, noise, RecordingSink, testClient } from '../remote/support/clients.ts'
import { serveBytes, startUpstream } from '../remote/support/upstream.ts'

const small = { maxBytes: 1000 }

describe('hostile upstream: captive portals', () => {
  const page = '\ufeff <!-- portal -->\n<!DOCTYPE html><html><body>Please log in</body></html>'

  it.each(['text/html; charset=utf-8', ''])(
    'fault 25: HTML with status 200 and type "%s" is refused',
    async type => {
      const upstream = await startUpstream((_request, response) => {
        if (type) response.setHeader('content-type', type)
        response.end(page)
      })
      const { http, clock, progress } = testClient()
      const error = await failure(http.get(`${upstream.origin}/index.yaml`, small), 'UPSTREAM_INVALID')
      expect(error.message).toContain('web page')
      expect(error.exitCode).toBe(5)
      const sink = new RecordingSink(describeBytes(Buffer.from(page)))
      const openers = http.openers(`${upstream.origin}/tool.tar.gz`)
      await failure(download({ openers, sink, clock, progress }), 'UPSTREAM_INVALID')
      expect(sink.received).toBe(0)
      expect(progress.notes).toEqual([])
    },
  )

  it('fault 25: a portal on the first mirror does not hide the second', async () => {
    const bytes = noise(5000)
    const portal = await startUpstream((_request, response) => {
      response.setHeader('content-type', 'text/html').end(page)
    })
    const good = await startUpstream((request, response) => serveBytes(request, response, { bytes }))
    const { http, clock, progress } = testClient({
      sources: [{ from: 'https://files.example', to: [portal.origin, good.origin] }],
    })
    const sink = new RecordingSink(describeBytes(bytes))
    await download({ openers: http.openers('https://files.example/a/b.bin'), sink, clock, progress })
    expect(sink.finished).toBe(true)
    expect(good.seen[0]?.url).toBe('/a/b.bin')
    expect(progress.notes.join()).toContain('web page')
  })

  it('fault 25: requested HTML is accepted', async () => {
    const upstream = await startUpstream((_request, response) => {
      response.setHeader('content-type', 'text/html').end(page)
    })
    const { http } = testClient()
    for (const path of ['/simple/', '/notes.html']) {
      const answer = await http.get(`${upstream.origin}${path}`, small)
      expect(answer.bytes.toString('utf8')).toBe(page)
    }
  })

  it('fault 25: content that is sent as text/html by mistake is accepted', async () => {
    const bytes = noise(300_000)
    const upstream = await startUpstream((request, response) => {
      response.setHeader('content-type', 'text/html')
      serveBytes(request, response, { bytes })
    })
    const { http } = testClient()
    const answer = await http.get(`${upstream.origin}/x.bin`, { maxBytes: bytes.length })
    expect(answer.bytes.equals(bytes)).toBe(true)
  })
})
