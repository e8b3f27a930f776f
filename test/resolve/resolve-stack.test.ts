import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { describeLock } from '../../src/kinds/items.ts'
import { formatLock } from '../../src/lock/lock.ts'
import { gate, lockOf, stackOf } from '../assemble/support.ts'
import { refused, serve } from '../kinds/support/context.ts'
import type { Handler } from '../remote/support/upstream.ts'

const files = (origin: string, names: string[]) =>
  `files:\n${names.map(name => `  - {url: "${origin}/${name}", path: "${name}"}\n`).join('')}`

describe('a lock', () => {
  it('does not depend on the order of the manifest or of responses, nor on -j', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    const slow = Object.fromEntries(
      names.map((name, i): [string, Handler] => [
        `/${name}`,
        (request, response) => {
          const answer = () => response.end(request.method === 'HEAD' ? undefined : `content of ${name}`)
          setTimeout(answer, (names.length - i) * 5)
        },
      ]),
    )
    const upstream = await serve(slow)
    const text = (list: string[]) => `${files(upstream.origin, list)}trees: [{name: t, from: deploy}]\n`
    const tree = { 'deploy/x': 'x' }
    const locks = [
      await lockOf(await stackOf(text(names), tree), { concurrency: 1 }),
      await lockOf(await stackOf(text(names), tree), { concurrency: 16 }),
      await lockOf(await stackOf(text(names.toReversed()), tree), { concurrency: 3 }),
    ]
    expect(locks.map(lock => formatLock(lock))).toEqual(Array(3).fill(formatLock(locks[0]!)))
    expect(describeLock(locks[0]!).map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      ...names.map(name => `file ${name}`),
      'tree t',
    ])
  })

  it('reports every item that cannot be resolved, in the order of the manifest', async () => {
    const upstream = await serve({
      '/good': 'good',
      // the first of the manifest fails last
      '/gone1': (_, response) => void setTimeout(() => response.writeHead(404).end(), 60),
      '/gone2': (_, response) => response.writeHead(404).end(),
    })
    const text = `${files(upstream.origin, ['gone1', 'good', 'gone2'])}trees: [{name: t, from: nowhere}]\n`
    const stack = await stackOf(text)
    const error = await lockOf(stack).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'FILE_NOT_FOUND', exitCode: 2 })
    const { message } = error as Error
    expect(message).toMatch(/^3 of 4 items failed/)
    const places = ['/gone1', '/gone2', 'nowhere'].map(part => message.indexOf(part))
    expect(places.every(place => place > 0)).toBe(true)
    expect(places).toEqual(places.toSorted((a, b) => a - b))
    // what was fetched is in the cache for the next run
    expect(await stack.context.cache.exists({ mediaType: '', digest: digestOf('good'), size: 4 })).toBe(true)
  })

  it('fault 61: a wrong digest stops the items that have not started', async () => {
    const upstream = await serve({
      // no size is given: it has to be fetched
      '/wrong': (_, response) => response.writeHead(200).end('something else'),
      '/later': 'later',
    })
    const text = `files:\n  - {url: "${upstream.origin}/wrong", sha256: ${'f'.repeat(64)}}\n${files(upstream.origin, ['later']).replace('files:\n', '')}`
    const error = await refused(lockOf(await stackOf(text), { concurrency: 1 }), 'DIGEST_MISMATCH')
    expect(error.exitCode).toBe(6)
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(upstream.seen.map(({ url }) => url)).not.toContain('/later')
  })

  it('is not returned if the work is cancelled', async () => {
    const asked = gate()
    const upstream = await serve({ '/slow': () => asked.open() })
    const stop = new AbortController()
    const locking = lockOf(await stackOf(files(upstream.origin, ['slow'])), { signal: stop.signal })
    const ended = expect(locking).rejects.toThrow('enough')
    await asked.opened
    stop.abort(new Error('enough'))
    await ended
  })

  it('refuses items without a checksum with firstUse: refuse, and names all of them', async () => {
    const upstream = await serve({ '/a': 'a', '/b': 'b', '/c': 'c' })
    const known = `  - {url: "${upstream.origin}/c", path: c, sha256: ${digestOf('c').slice(7)}}\n`
    const text = `${files(upstream.origin, ['a', 'b'])}${known}`
    expect(describeLock(await lockOf(await stackOf(text))).filter(item => item.firstUse)).toHaveLength(2)
    const refusing = lockOf(await stackOf(`firstUse: refuse\n${text}`))
    await expect(refusing).rejects.toMatchObject({ code: 'UNRESOLVABLE', exitCode: 4, item: 'a, b' })
    const one = await lockOf(await stackOf(`firstUse: refuse\nfiles:\n${known}`))
    expect(one.items['file']).toHaveLength(1)
  })

  it('requires all files of the tool', async () => {
    const stack = await stackOf('')
    const broken = { ...stack, runtime: { node: `${stack.folder}/none` } }
    await refused(lockOf(broken), 'TOOL_MISSING')
  })
})
