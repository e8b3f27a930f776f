import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { AirgapError } from '../../src/core/errors.ts'
import { download } from '../../src/remote/download.ts'
import { describeBytes, failure, noise, RecordingSink, testClient } from './support/clients.ts'
import type { Measured } from './support/download-probe.ts'
import { serveBytes, startUpstream } from './support/upstream.ts'

describe('download', () => {
  it('fills an empty sink and records the validator, also for an empty blob', async () => {
    for (const bytes of [noise(1_000_000), Buffer.alloc(0), noise(1)]) {
      const upstream = await startUpstream((request, response) => {
        serveBytes(request, response, { bytes, etag: '"v1"', lastModified: new Date(0).toUTCString() })
      })
      const { http, clock, progress } = testClient()
      const sink = new RecordingSink(describeBytes(bytes))
      await download({ openers: http.openers(`${upstream.origin}/x`), sink, clock, progress })
      expect(sink.bytes().equals(bytes)).toBe(true)
      expect(sink.finished).toBe(true)
      expect(sink.validator).toBe('"v1"')
      expect(progress.bytes).toBe(bytes.length)
    }
  })

  it('uses Last-Modified as a validator, but no weak ETag', async () => {
    const bytes = noise(1000)
    const lastModified = new Date(0).toUTCString()
    const upstream = await startUpstream((request, response) => {
      serveBytes(request, response, { bytes, etag: 'W/"weak"', lastModified })
    })
    const { http, clock } = testClient()
    const sink = new RecordingSink(describeBytes(bytes))
    await download({ openers: http.openers(`${upstream.origin}/x`), sink, clock })
    expect(sink.validator).toBe(lastModified)
  })

  it('continues where an earlier run stopped, and requests nothing if nothing is missing', async () => {
    const bytes = noise(100_000)
    const upstream = await startUpstream((request, response) => serveBytes(request, response, { bytes }))
    const { http, clock } = testClient()
    const openers = http.openers(`${upstream.origin}/x`)
    const sink = new RecordingSink(describeBytes(bytes))
    await sink.write(bytes.subarray(0, 99_999))
    await download({ openers, sink, clock })
    expect(upstream.seen[0]?.headers.range).toBe('bytes=99999-')
    const whole = new RecordingSink(describeBytes(bytes))
    await whole.write(bytes)
    await download({ openers, sink: whole, clock })
    expect(whole.finished).toBe(true)
    expect(upstream.seen).toHaveLength(1)
  })

  it('continues in the middle of a blob at the next mirror, without the validator of the first', async () => {
    const bytes = noise(200_000)
    const first = await startUpstream((_request, response, { seen }) => {
      if (seen.length > 1) response.writeHead(500).end()
      else {
        response.writeHead(200, { etag: '"first"', 'content-length': bytes.length })
        response.write(bytes.subarray(0, 80_000), () => setTimeout(() => response.destroy(), 10))
      }
    })
    const second = await startUpstream((request, response) => {
      serveBytes(request, response, { bytes, etag: '"second"' })
    })
    const sources = [{ from: 'https://files.example', to: [first.origin, second.origin] }]
    const { http, clock, progress } = testClient({ sources })
    const sink = new RecordingSink(describeBytes(bytes))
    await download({
      openers: http.openers('https://files.example/x'),
      sink,
      clock,
      progress,
      retry: { attempts: 3 },
    })
    expect(sink.bytes().equals(bytes)).toBe(true)
    expect(first.seen).toHaveLength(3)
    expect(second.seen[0]?.headers).toMatchObject({ range: 'bytes=80000-' })
    expect(second.seen[0]?.headers).not.toHaveProperty('if-range')
    expect(progress.notes.join()).toContain('trying the next mirror')
  })

  it('throws an error of the sink at once and unchanged, as upstream did not fail', async () => {
    const bytes = noise(100_000)
    const upstream = await startUpstream((request, response) => serveBytes(request, response, { bytes }))
    const { http, clock, progress } = testClient()
    const full = new AirgapError('NO_SPACE', 'no space left on the disk')
    const broken = Object.assign(new Error('input/output error'), { code: 'EIO' })
    for (const fault of [full, broken]) {
      const sink = new RecordingSink(describeBytes(bytes))
      sink.write = async () => {
        throw fault
      }
      const openers = http.openers(`${upstream.origin}/x`)
      await expect(download({ openers, sink, clock, progress })).rejects.toBe(fault)
    }
    expect(upstream.seen).toHaveLength(2)
    expect(progress.notes).toEqual([])
  })

  it('throws the reason of the signal, during a body and while waiting', async () => {
    const reason = new Error('stop')
    for (const status of [200, 429]) {
      const upstream = await startUpstream((_request, response) => {
        response.writeHead(
          status,
          status === 200 ? { 'content-length': 1_000_000 } : { 'retry-after': '100' },
        )
        if (status === 200) response.write(noise(1000))
        else response.end()
        setTimeout(() => stop.abort(reason), 50)
      })
      const stop = new AbortController()
      // the system's clock: a wait of 100 s must end early
      const { http } = testClient({ retry: { baseMs: 100_000, maxMs: 100_000 } })
      const sink = new RecordingSink(describeBytes(noise(1_000_000)))
      const openers = http.openers(`${upstream.origin}/x`)
      await expect(
        download({ openers, sink, signal: stop.signal, retry: { baseMs: 100_000, maxMs: 100_000 } }),
      ).rejects.toBe(reason)
      expect(sink.finished).toBe(false)
    }
  })

  it('does not read faster than the sink writes', async () => {
    const size = 64 * 1024 * 1024
    let sent = 0
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(200, { 'content-length': size })
      const block = Buffer.alloc(1 << 20)
      const more = () => {
        while (sent < size) {
          sent += block.length
          if (!response.write(block)) return response.once('drain', more)
        }
        return response.end()
      }
      more()
    })
    const { http } = testClient()
    const stop = new AbortController()
    const sink = new RecordingSink({ ...describeBytes(Buffer.alloc(0)), size })
    sink.write = async () => {
      setTimeout(() => stop.abort(new Error('seen enough')), 300)
      await new Promise(resolve => stop.signal.addEventListener('abort', resolve))
    }
    const openers = http.openers(`${upstream.origin}/x`)
    await expect(download({ openers, sink, signal: stop.signal })).rejects.toThrow('seen enough')
    expect(sent).toBeLessThan(24 * 1024 * 1024)
  })

  it('reports that there is no source', async () => {
    const sink = new RecordingSink(describeBytes(noise(10)))
    const error = await download({ openers: [], sink }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'UNRESOLVABLE' })
  })

  it('many downloads share one signal without a warning, and one failure does not affect the others', async () => {
    const bytes = noise(50_000)
    const upstream = await startUpstream((request, response) => {
      if (request.url === '/gone') response.writeHead(404).end()
      else serveBytes(request, response, { bytes })
    })
    const { http, clock } = testClient({ connections: 4 })
    const { signal } = new AbortController()
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    const one = async (path: string) => {
      const sink = new RecordingSink(describeBytes(bytes))
      await download({ openers: http.openers(`${upstream.origin}/${path}`), sink, clock, signal })
      return sink.finished
    }
    const good = Array.from({ length: 60 }, () => one('x'))
    await failure(one('gone'), 'NOT_FOUND_UPSTREAM')
    expect((await Promise.all(good)).every(Boolean)).toBe(true)
    await new Promise(resolve => setImmediate(resolve))
    process.off('warning', onWarning)
    expect(warnings).toEqual([])
  })

  it('1 GiB in four streams needs little memory', async () => {
    const size = 256 * 1024 * 1024
    const block = Buffer.alloc(1 << 20)
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(200, { 'content-length': size })
      let left = size
      const more = () => {
        while (left > 0) {
          left -= block.length
          if (!response.write(block)) return response.once('drain', more)
        }
        return response.end()
      }
      more()
    })
    const probe = join(import.meta.dirname, 'support', 'download-probe.ts')
    const args = [probe, `${upstream.origin}/x`, String(size), '4']
    const { stdout } = await promisify(execFile)(process.execPath, args)
    const measured = JSON.parse(stdout) as Measured
    // what loading the modules takes is not download's; the pace is only a floor against a disaster
    expect(measured.grown).toBeLessThan(60)
    expect(measured.speed).toBeGreaterThan(100)
  })
})
