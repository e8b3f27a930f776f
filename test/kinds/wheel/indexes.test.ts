import { describe, expect, it } from 'vitest'
import { digestOf, hexOf } from '../../../src/core/digest.ts'
import type { WheelRequest } from '../../../src/kinds/wheel/entry.ts'
import { resolveWheels } from '../../../src/kinds/wheel/resolve.ts'
import type { Handler } from '../../remote/support/upstream.ts'
import { refused, serve, testContext } from '../support/context.ts'
import { type ServedFile, startIndex, wheelFile, wheelRequest } from './support/package-index.ts'

const release = (name: string, version: string, requires: string[] = []): ServedFile =>
  wheelFile({ name, version, requires })

/** An index that answers every project it lacks with a status. */
async function index(files: readonly ServedFile[], status = 404) {
  const upstream = await startIndex(files)
  if (status === 404) return `${upstream.origin}/simple/`
  const paths: Record<string, Handler> = {}
  for (const { project } of files) {
    paths[`/simple/${project}/`] = (_, response) =>
      response.writeHead(302, { location: `${upstream.origin}/simple/${project}/` }).end()
  }
  const refuse: Handler = (_, response) => response.writeHead(status).end()
  const front = await serve(
    new Proxy(paths, {
      getOwnPropertyDescriptor: () => ({ configurable: true, enumerable: true }),
      get: (known, path) => known[String(path)] ?? refuse,
    }),
  )
  return `${front.origin}/simple/`
}

async function lock(indexes: WheelRequest['indexes'], packages: string[]) {
  const context = await testContext()
  const locked = await resolveWheels(wheelRequest('http://unused.invalid', { packages, indexes }), context)
  return {
    chosen: locked.distributions.map(one => `${one.project} ${one.version}`),
    notes: context.progress.notes.join('\n'),
    locked,
  }
}

describe('several indexes', () => {
  it.each([401, 403, 404])('the next one is queried where one answers %i for a project', async status => {
    const special = await index([release('torch', '2.1.0+cu118', ['filelock'])], status)
    const general = await index([release('filelock', '3.13'), release('torch', '2.2')])
    const { chosen, notes } = await lock([{ url: special }, { url: general }], ['torch==2.1.0'])
    expect(chosen).toEqual(['filelock 3.13', 'torch 2.1.0+cu118'])
    if (status === 404) expect(notes).not.toContain('passed over')
    else expect(notes).toContain(`${special}: access is denied (${status}); passed over for filelock`)
  })

  it('one that answers 401 for everything lacks a login: it is not passed over', async () => {
    const locked = await index([], 401)
    const other = await index([release('acme-tool', '1')])
    const error = await refused(lock([{ url: locked }, { url: other }], ['acme-tool']), 'UNAUTHORIZED')
    expect(error).toMatchObject({ exitCode: 5, item: locked })
    expect(error.next).toMatch(
      /machine 127\.0\.0\.1 login NAME.*bind projects to the indexes with `projects:`$/,
    )
    const bound = [{ url: locked, projects: ['other-*'] }, { url: other }]
    expect((await lock(bound, ['acme-tool'])).chosen).toEqual(['acme-tool 1'])
  })

  it('an index that has a page without files does not have the project', async () => {
    const empty = await serve({
      '/simple/a/': (_, response) =>
        response.writeHead(200, { 'content-type': 'text/html' }).end('<a href="../">Parent</a>'),
    })
    const { chosen } = await lock(
      [{ url: `${empty.origin}/simple` }, { url: await index([release('a', '1')]) }],
      ['a'],
    )
    expect(chosen).toEqual(['a 1'])
  })

  it('a server that fails decides nothing', async () => {
    const broken = await index([], 500)
    const other = await index([release('a', '1')])
    await expect(lock([{ url: broken }, { url: other }], ['a'])).rejects.toMatchObject({ code: 'NETWORK' })
  })

  it('that all refuse are an error about access; the refusals are listed where others answered', async () => {
    const [one, two] = [await index([], 403), await index([], 401)]
    for (const indexes of [[{ url: one }], [{ url: one }, { url: two }]])
      expect((await refused(lock(indexes, ['a']), 'UNAUTHORIZED')).item).toContain('/simple/a/')
    const error = await refused(lock([{ url: one }, { url: await index([]) }], ['a']), 'UNRESOLVABLE')
    expect(error.message).toContain('no index has a version of it')
    expect(error.message).toContain(`${one}: access is denied (403)`)
  })

  it('a project in two of them comes from the first, with a note', async () => {
    const [own, other] = [
      await index([release('a', '1', ['b'])]),
      await index([release('a', '9'), release('b', '1')]),
    ]
    const { chosen, notes } = await lock([{ url: own }, { url: other }], ['a'])
    expect(chosen).toEqual(['a 1', 'b 1'])
    expect(notes).toContain(
      `a: taken from ${own}, also in ${other}; bind a project to its index with \`projects:\``,
    )
    expect(notes).not.toMatch(/^b: taken/m)
  })

  it('a project that is bound to one comes from nowhere else', async () => {
    const own = await index([release('acme-tool', '1', ['b']), release('b', '9')])
    const other = await index([release('acme-tool', '9'), release('acme-other', '9'), release('b', '1')])
    const bound = [{ url: other }, { url: own, projects: ['acme-*'] }]
    const { chosen, notes } = await lock(bound, ['Acme.Tool'])
    expect(chosen).toEqual(['acme-tool 1', 'b 1'])
    expect(notes).not.toContain('taken from')
    await refused(lock(bound, ['acme_other']), 'UNRESOLVABLE')
    const error = await refused(lock([{ url: own, projects: ['acme-*'] }], ['b']), 'UNRESOLVABLE')
    expect(error.message).toContain('no index may provide it')
  })
})

describe('an index', () => {
  const file = release('a', '1')
  const page = `<a href="../files/${file.filename}#sha256=${hexOf(digestOf(file.bytes))}">x</a>`
  const html: Handler = (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(page)

  it('that redirects has links relative to its final address', async () => {
    const target = await serve({ '/deep/er/a/': html, [`/deep/er/files/${file.filename}`]: file.bytes })
    const front = await serve({
      '/simple/a/': (_, response) =>
        response.writeHead(301, { location: `${target.origin}/deep/er/a/` }).end(),
    })
    const { locked } = await lock([{ url: `${front.origin}/simple/` }], ['a'])
    expect(locked.distributions[0]!.url).toBe(`${target.origin}/deep/er/files/${file.filename}`)
  })

  it('that a mirror answers for keeps its own address in the lock', async () => {
    const mirror = await serve({ '/m/a/': html, [`/m/files/${file.filename}`]: file.bytes })
    const context = await testContext({
      sources: [{ from: 'http://index.invalid/simple/', to: [`${mirror.origin}/m/`] }],
    })
    const locked = await resolveWheels(wheelRequest('http://index.invalid', { packages: ['a'] }), context)
    expect(locked.distributions[0]!.url).toBe(`http://index.invalid/simple/files/${file.filename}`)
  })

  it.each([404, 403])('that lists metadata which it answers with %i has the wheel’s own', async status => {
    const described = page.replace('>x', ` data-core-metadata="sha256=${'0'.repeat(64)}">x`)
    const upstream = await serve({
      '/simple/a/': (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(described),
      [`/simple/files/${file.filename}`]: file.bytes,
      [`/simple/files/${file.filename}.metadata`]: (_, response) => response.writeHead(status).end(),
    })
    expect((await lock([{ url: `${upstream.origin}/simple/` }], ['a'])).chosen).toEqual(['a 1'])
  })
})
