import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { planBuild } from '../../src/assemble/plan.ts'
import { openBundle } from '../../src/bundle/reader.ts'
import { verifyBundle } from '../../src/bundle/verify.ts'
import { digestOf } from '../../src/core/digest.ts'
import type { AirgapError } from '../../src/core/errors.ts'
import { refused, serve } from '../kinds/support/context.ts'
import { noise } from '../remote/support/clients.ts'
import { type Handler, serveBytes } from '../remote/support/upstream.ts'
import { buildFrom, gate, layoutOf, lockOf, type Stack, stackOf } from './support.ts'

/** Files with a checksum: only their size is requested while locking; they are fetched while building. */
const listed = (origin: string, files: Record<string, Buffer>) =>
  `files:\n${Object.entries(files)
    .map(
      ([name, bytes]) =>
        `  - {url: "${origin}/${name}", path: "${name}", sha256: "${digestOf(bytes).slice(7)}"}\n`,
    )
    .join('')}`

const served = (files: Record<string, Buffer>) =>
  Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`/${name}`, bytes]))

const failureOf = async (work: Promise<unknown>) =>
  (await work.catch((reason: unknown) => reason)) as AirgapError

describe('a plan', () => {
  it('matches what the build then does', async () => {
    const files = { big: noise(300_000), small: noise(1_000), same: noise(5_000) }
    const other = { other: noise(40_000) }
    const [one, two] = [await serve(served(files)), await serve(served(other))]
    const firstUse = await serve({ '/unknown': noise(7_000) })
    const stack = await stackOf(
      `${listed(one.origin, files)}${listed(two.origin, other).replace('files:\n', '')}  - {url: "${firstUse.origin}/unknown"}\ntrees: [{name: t, from: deploy}]\n`,
      { 'deploy/a': 'some text', 'deploy/copy': files.same, 'deploy/empty': '' },
    )
    const lock = await lockOf(stack)
    const layout = layoutOf(lock)
    const plan = await planBuild(layout, [stack.context.cache])
    expect(plan.near).toEqual({ blobs: 1, bytes: 7_000 })
    // `same` has a URL and is in the tree, too: it is read once, from this host
    expect(plan.fetch).toEqual({ blobs: 6, bytes: 300_000 + 1_000 + 5_000 + 40_000 + 9 + 'the tool'.length })
    expect(plan.blobs).toBe(7)
    expect(plan.sources).toEqual([
      { source: one.host, blobs: 2, bytes: 301_000 },
      { source: two.host, blobs: 1, bytes: 40_000 },
      { source: 'local files', blobs: 2, bytes: 5_009 },
      { source: 'this tool', blobs: 1, bytes: 8 },
    ])
    for (const upstream of [one, two, firstUse]) upstream.seen.length = 0
    const { progress } = stack.context
    const before = progress.bytes
    const path = await buildFrom(stack, lock)
    expect((await stat(path)).size).toBe(plan.size)
    expect(one.seen.map(({ url }) => url).sort()).toEqual(['/big', '/small'])
    expect(two.seen).toHaveLength(1)
    expect(firstUse.seen).toEqual([])
    expect(progress.bytes - before).toBe(341_000)
    await verifyBundle(path)
  })

  it('with an earlier bundle fetches nothing, and neither does the build', async () => {
    const files = { a: noise(2_000), b: noise(3_000) }
    const upstream = await serve(served(files))
    const stack = await stackOf(listed(upstream.origin, files))
    const lock = await lockOf(stack)
    const earlier = await buildFrom(stack, lock)
    const store = await openBundle(earlier)
    try {
      const plan = await planBuild(layoutOf(lock), [store])
      expect(plan).toMatchObject({ fetch: { blobs: 0, bytes: 0 }, near: { blobs: 3 }, sources: [] })
      upstream.seen.length = 0
      const again = await buildFrom(stack, lock, {
        out: join(stack.folder, 'again.tar'),
        reuse: [{ path: earlier, store }],
      })
      expect(upstream.seen).toEqual([])
      expect(digestOf(await readFile(again))).toBe(digestOf(await readFile(earlier)))
    } finally {
      await store.close()
    }
  })
})

describe('a folder that changed between lock and build', () => {
  const content = 'locked content'
  const instead = (make: (path: string) => unknown) => async (path: string) => {
    await rm(path)
    await make(path)
  }
  const changes: [string, (path: string) => Promise<void>][] = [
    ['longer', path => writeFile(path, `${content}!`)],
    ['of the same size', path => writeFile(path, content.toUpperCase())],
    ['empty', path => writeFile(path, '')],
    ['removed', path => rm(path)],
    ['a folder', instead(path => mkdir(path))],
    ['a pipe', instead(path => execFileSync('mkfifo', [path]))],
    ['a link to nothing', instead(path => symlink('nowhere', path))],
  ]

  it.each(changes)('makes the lock out of date: a file is %s', async (_, change) => {
    const stack = await stackOf('trees: [{name: t, from: deploy}]\n', { 'deploy/sub/file': content })
    const lock = await lockOf(stack)
    const path = join(stack.folder, 'deploy/sub/file')
    await change(path)
    const error = await refused(buildFrom(stack, lock), 'LOCK_OUT_OF_DATE')
    expect(error.exitCode).toBe(4)
    expect(error.item).toBe(path)
    expect(existsSync(join(stack.folder, 'out.tar'))).toBe(false)
  })

  it('and was restored matches the lock; other files and modes do not count', async () => {
    const stack = await stackOf('trees: [{name: t, from: deploy}]\n', { 'deploy/file': content })
    const lock = await lockOf(stack)
    const path = join(stack.folder, 'deploy/file')
    await writeFile(path, 'edited')
    await refused(buildFrom(stack, lock), 'LOCK_OUT_OF_DATE')
    await writeFile(path, content)
    await writeFile(join(stack.folder, 'deploy/new'), 'new')
    await verifyBundle(await buildFrom(stack, lock))
  })

  it('also includes the files of the tool: a changed one makes the lock out of date', async () => {
    const stack = await stackOf('')
    const lock = await lockOf(stack)
    await writeFile(join(stack.folder, 'tool.bin'), 'the toot')
    const error = await refused(buildFrom(stack, lock), 'LOCK_OUT_OF_DATE')
    expect(error.likely).toContain('another version of airgap')
    const error2 = await failureOf(buildFrom(stack, lock, { runtime: {} }))
    expect(error2).toMatchObject({ code: 'LOCK_OUT_OF_DATE', item: 'offline-deploy' })
  })
})

describe('a build with failures', () => {
  const files = { a: noise(9_000), b: noise(8_000), c: noise(7_000), d: noise(6_000) }

  /** Locks against a working upstream, in which the `broken` paths then fail. */
  async function lockedThen(broken: Record<string, Handler>) {
    let well = true
    const paths = Object.entries(files).map(([name, bytes]): [string, Handler] => [
      `/${name}`,
      (request, response, upstream) => {
        const handler = well ? undefined : broken[name]
        if (handler) handler(request, response, upstream)
        else serveBytes(request, response, { bytes })
      },
    ])
    const upstream = await serve(Object.fromEntries(paths))
    const stack = await stackOf(listed(upstream.origin, files))
    const lock = await lockOf(stack)
    well = false
    upstream.seen.length = 0
    return {
      stack,
      lock,
      upstream,
      mend() {
        well = true
        upstream.seen.length = 0
      },
    }
  }

  const gone: Handler = (_, response) => void response.writeHead(404).end()
  const wrong: Handler = (request, response) =>
    serveBytes(request, response, { bytes: Buffer.alloc(files[request.url!.slice(1) as 'a'].length) })
  const asked = (upstream: { seen: { url: string }[] }) => upstream.seen.map(({ url }) => url).sort()
  const nothingFinal = (stack: Stack) => expect(existsSync(join(stack.folder, 'out.tar'))).toBe(false)

  it('stops at the first, and continues with what is missing', async () => {
    const { stack, lock, upstream, mend } = await lockedThen({ b: gone })
    const error = await refused(buildFrom(stack, lock, { concurrency: 1 }), 'NOT_FOUND_UPSTREAM')
    expect(error.item).toContain('/b')
    expect(error.message).toBe('the locked content is no longer available')
    expect(error.next).toBe('run `airgap lock` again and review the difference')
    expect(asked(upstream)).toEqual(['/a', '/b'])
    nothingFinal(stack)
    mend()
    await verifyBundle(await buildFrom(stack, lock))
    expect(asked(upstream)).toEqual(['/b', '/c', '/d'])
  })

  it('with --keep-going fetches everything available and exits with 9', async () => {
    const { stack, lock, upstream, mend } = await lockedThen({ a: gone, c: gone })
    const error = await failureOf(buildFrom(stack, lock, { concurrency: 1, keepGoing: true }))
    expect(error).toMatchObject({ code: 'INCOMPLETE', exitCode: 9 })
    expect(error.message).toMatch(/^2 of 5 blobs/)
    expect(error.message.indexOf('/a')).toBeLessThan(error.message.indexOf('/c'))
    expect(error.next).toContain('run the same command again')
    expect(asked(upstream)).toEqual(['/a', '/b', '/c', '/d'])
    nothingFinal(stack)
    mend()
    await verifyBundle(await buildFrom(stack, lock, { keepGoing: true }))
    expect(asked(upstream)).toEqual(['/a', '/c'])
  })

  it.each([false, true])('fault 6: a wrong digest stops everything (keep going: %s)', async keepGoing => {
    const { stack, lock, upstream, mend } = await lockedThen({ b: wrong })
    const error = await refused(buildFrom(stack, lock, { concurrency: 1, keepGoing }), 'DIGEST_MISMATCH')
    expect(error.exitCode).toBe(6)
    expect(error.item).toContain('/b')
    expect(asked(upstream)).toEqual(['/a', '/b'])
    nothingFinal(stack)
    mend()
    await verifyBundle(await buildFrom(stack, lock))
    expect(asked(upstream)).toEqual(['/b', '/c', '/d'])
  })

  it('fault 6: a wrong digest is exit 6 even if something else failed before it', async () => {
    const { stack, lock } = await lockedThen({ a: gone, b: wrong })
    const keeping = await failureOf(buildFrom(stack, lock, { concurrency: 1, keepGoing: true }))
    expect(keeping).toMatchObject({ code: 'DIGEST_MISMATCH', exitCode: 6 })
    expect(keeping.message).toContain('NOT_FOUND_UPSTREAM')
  })

  it('fault 6: a failure during the transfer of wrong content does not hide it', async () => {
    const half = gate()
    const { stack, lock } = await lockedThen({
      a: (_, response) => {
        const bytes = Buffer.alloc(files.a.length)
        response.writeHead(200, { 'content-length': bytes.length })
        response.write(bytes.subarray(0, 100))
        void half.opened.then(() => response.end(bytes.subarray(100)))
      },
      b: (_, response) => {
        response.writeHead(404).end()
        half.open()
      },
    })
    const error = await failureOf(buildFrom(stack, lock, { concurrency: 2, keepGoing: true }))
    expect(error.exitCode).toBe(6)
    nothingFinal(stack)
  })

  it('that is cancelled can be resumed', async () => {
    const begun = gate()
    const { stack, lock, upstream, mend } = await lockedThen({
      c: (_, response) => {
        response.writeHead(200, { 'content-length': files.c.length })
        response.write(files.c.subarray(0, 10))
        begun.open()
      },
    })
    const stop = new AbortController()
    const ended = expect(buildFrom(stack, lock, { concurrency: 1, signal: stop.signal })).rejects.toThrow(
      'enough',
    )
    await begun.opened
    stop.abort(new Error('enough'))
    await ended
    nothingFinal(stack)
    mend()
    await verifyBundle(await buildFrom(stack, lock))
    expect(asked(upstream)).toEqual(['/c', '/d'])
  })

  it('never shows the secrets of a URL', async () => {
    const upstream = await serve({ '/a': files.a })
    const url = `${upstream.origin}/a?token=hunter2`
    const stack = await stackOf(`files:\n  - {url: "${url}", sha256: "${digestOf(files.b).slice(7)}"}\n`)
    const lock = await lockOf(stack)
    const told: string[] = []
    const progress = {
      ...stack.context.progress,
      done: (item: string) => told.push(item),
      note: (text: string) => told.push(text),
    }
    const error = await failureOf(buildFrom(stack, lock, { progress }))
    expect(error.exitCode).toBe(6)
    expect(JSON.stringify([error.toJSON(), told])).not.toContain('hunter2')
  })
})
