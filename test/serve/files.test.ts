import { describe, expect, it } from 'vitest'
import { MemoryStore } from '../../src/content/memory-store.ts'
import { createHttpServer } from '../../src/serve/files.ts'
import type { ServedMount } from '../../src/serve/served.ts'
import { noise } from '../bundle/samples.ts'
import { put, start, treeOf } from './support/servers.ts'

const big = noise(1_500_000, 7)
const released = new Date('2030-01-02T03:04:05Z')

/** Names as they are requested → names in the tree. */
const awkward: Record<string, string> = {
  '/files/g++_12.2_amd64.deb': 'g++_12.2_amd64.deb',
  '/files/g%2B%2B_12.2_amd64.deb': 'g++_12.2_amd64.deb',
  '/files/a~rc1.deb': 'a~rc1.deb',
  '/files/a%7Erc1.deb': 'a~rc1.deb',
  '/files/with%20space.txt': 'with space.txt',
  '/files/%EC%84%A4%EC%B9%98/%EB%AC%B8%EC%84%9C.txt': '설치/문서.txt',
  '/files/pkg_1%3a2.3_all.deb': 'pkg_1%3a2.3_all.deb',
  '/files/pkg_1%253a2.3_all.deb': 'pkg_1%3a2.3_all.deb',
  '/files/epoch_1:2.deb': 'epoch_1:2.deb',
  '/files/epoch_1%3A2.deb': 'epoch_1:2.deb',
  '/files/100%25.txt': '100%.txt',
  "/files/quote'&%3Cb%3E.txt": "quote'&<b>.txt",
}

async function mounts(store: MemoryStore): Promise<ServedMount[]> {
  const names = [...new Set(Object.values(awkward))]
  const entries = await treeOf(store, {
    ...Object.fromEntries(names.map(name => [name, `content of ${name}`])),
    'big.bin': big,
    'empty.bin': '',
    'sub/dir/page.html': '<p>hello</p>',
    'v2/readme.txt': 'second',
  })
  const link = async (path: string, target: string) =>
    entries.set(path, { descriptor: await put(store, Buffer.from(target)), mode: '120000' })
  await link('latest', 'v2')
  await link('sub/readme.txt', '../v2/readme.txt')
  await link('out', '../../etc/passwd')
  await link('absolute', '/etc/passwd')
  await link('loop', 'loop')
  const generated = new Map([
    [
      'dists/trixie/InRelease',
      { bytes: Buffer.from('signed'), mediaType: 'text/plain; charset=utf-8', lastModified: released },
    ],
    ['pool/over.deb', { bytes: Buffer.from('generated wins'), mediaType: 'application/octet-stream' }],
  ])
  return [
    { prefix: '/files', entries },
    { prefix: '/debs/trixie', entries: await treeOf(store, { 'pool/over.deb': 'from the tree' }), generated },
    {
      prefix: '/',
      generated: new Map([
        ['site-key.asc', { bytes: Buffer.from('key'), mediaType: 'application/pgp-keys' }],
      ]),
    },
  ]
}

async function serve() {
  const store = new MemoryStore()
  return start(createHttpServer(store, await mounts(store)))
}

describe('the file server', () => {
  it.each(Object.entries(awkward))('serves %s as %s', async (url, name) => {
    const running = await serve()
    const got = await running.get(url)
    expect(got.status).toBe(200)
    expect(got.body.toString()).toBe(`content of ${name}`)
  })

  it('sends size, digest as ETag, a type by name and the fixed date', async () => {
    const running = await serve()
    const got = await running.get('/files/big.bin')
    expect(got.body.equals(big)).toBe(true)
    expect(got.headers).toMatchObject({
      'content-length': '1500000',
      'content-type': 'application/octet-stream',
      'accept-ranges': 'bytes',
      'last-modified': 'Thu, 01 Jan 1970 00:00:00 GMT',
      'x-content-type-options': 'nosniff',
    })
    const head = await running.get('/files/big.bin', { method: 'HEAD' })
    expect(head.headers['etag']).toBe(got.headers['etag'])
    expect(head.headers['content-length']).toBe('1500000')
    const page = await running.get('/files/sub/dir/page.html')
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8')
    expect((await running.get('/files/g++_12.2_amd64.deb')).headers['content-type']).toBe(
      'application/vnd.debian.binary-package',
    )
  })

  it('continues a download by ETag, and starts over for anything else, also for the fixed date', async () => {
    const running = await serve()
    const { etag } = (await running.get('/files/big.bin', { method: 'HEAD' })).headers
    const status = async (ifRange: string) =>
      (await running.get('/files/big.bin', { headers: { range: 'bytes=1000000-', 'if-range': ifRange } }))
        .status
    expect(await status(etag!)).toBe(206)
    expect(await status('"other"')).toBe(200)
    expect(await status(`W/${etag}`)).toBe(200)
    expect(await status('Thu, 01 Jan 1970 00:00:00 GMT')).toBe(200)
  })

  it('answers 304 by ETag, never by the fixed date', async () => {
    const running = await serve()
    const { etag } = (await running.get('/files/big.bin', { method: 'HEAD' })).headers
    const known = await running.get('/files/big.bin', { headers: { 'if-none-match': etag! } })
    expect([known.status, known.body.length]).toEqual([304, 0])
    const date = { 'if-modified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' }
    expect((await running.get('/files/empty.bin', { headers: date })).status).toBe(200)
  })

  it('overlays the tree with generated documents, which have their own date', async () => {
    const running = await serve()
    const path = '/debs/trixie/dists/trixie/InRelease'
    const got = await running.get(path)
    expect([got.status, got.body.toString()]).toEqual([200, 'signed'])
    expect(got.headers['last-modified']).toBe('Wed, 02 Jan 2030 03:04:05 GMT')
    expect(got.headers['content-type']).toBe('text/plain; charset=utf-8')
    const headers = { 'if-modified-since': got.headers['last-modified']! }
    expect((await running.get(path, { headers })).status).toBe(304)
    // a clock that was set back must not keep clients on what they have
    const later = { 'if-modified-since': 'Sat, 02 Jan 2038 03:04:05 GMT' }
    expect((await running.get(path, { headers: later })).status).toBe(200)
    expect((await running.get(path, { headers: { 'if-none-match': got.headers['etag']! } })).status).toBe(304)
    expect((await running.get('/debs/trixie/pool/over.deb')).body.toString()).toBe('generated wins')
    const key = await running.get('/site-key.asc')
    expect([key.body.toString(), key.headers['content-type']]).toEqual(['key', 'application/pgp-keys'])
  })

  it('follows links inside a tree, and no others', async () => {
    const running = await serve()
    expect((await running.get('/files/sub/readme.txt')).body.toString()).toBe('second')
    const folder = await running.get('/files/latest/')
    expect(folder.body.toString()).toContain('readme.txt')
    for (const name of ['out', 'absolute', 'loop'])
      expect((await running.get(`/files/${name}`)).status).toBe(404)
  })

  it('lists folders as HTML and as JSON', async () => {
    const running = await serve()
    const html = await running.get('/files/')
    expect(html.headers['content-type']).toBe('text/html; charset=utf-8')
    const page = html.body.toString()
    expect(page).toContain('<a href="./big.bin">big.bin</a></td><td align="right">1500000</td>')
    expect(page).toContain('<a href="./sub/">sub/</a>')
    expect(page).toContain('quote&#39;&#38;&#60;b&#62;.txt')
    expect(page).not.toContain('<b>')
    const json = await running.get('/debs/', { headers: { accept: 'application/json' } })
    expect(json.json()).toEqual({ path: '/debs/', entries: [{ name: 'trixie', type: 'folder' }] })
    const root = (await running.get('/', { headers: { accept: 'application/json' } })).json()
    expect(root).toEqual({
      path: '/',
      entries: [
        { name: 'debs', type: 'folder' },
        { name: 'files', type: 'folder' },
        { name: 'site-key.asc', type: 'file', size: 3 },
      ],
    })
  })

  it('lists a large folder in pages, each with an ETag, and renders each once', async () => {
    const store = new MemoryStore()
    const content = await put(store, Buffer.from('x'))
    const names = Array.from({ length: 2_500 }, (_, i) => `p/${String(i).padStart(5, '0')}.deb`)
    const entries = new Map(names.map(name => [name, { descriptor: content, mode: '100644' as const }]))
    const running = await start(createHttpServer(store, [{ prefix: '/debs', entries }]))
    const accept = 'application/json'
    const listed: string[] = []
    for (let url: string | undefined = '/debs/p/'; url !== undefined; ) {
      const got = await running.get(url, { headers: { accept } })
      const page = got.json() as { path: string; entries: { name: string }[]; next?: string }
      expect(page.path).toBe('/debs/p/')
      expect(page.entries.length).toBeLessThanOrEqual(1_000)
      expect(got.headers['link']).toBe(page.next && `<${page.next}>; rel="next"`)
      listed.push(...page.entries.map(({ name }) => `p/${name}`))
      const headers = { accept, 'if-none-match': got.headers['etag']! }
      expect(await running.get(url, { headers })).toMatchObject({ status: 304, body: Buffer.alloc(0) })
      // the same page in another form is another representation
      expect((await running.get(url)).headers['etag']).not.toBe(got.headers['etag'])
      url = page.next && new URL(page.next, `${running.origin}/debs/p/`).href.slice(running.origin.length)
    }
    expect(listed).toEqual(names)
    const html = (await running.get('/debs/p/?page=2')).body.toString()
    expect(html).toContain('page 2 of 3 <a rel="next" href="?page=3">')
    expect(html.match(/<a href="\.\/0\d+\.deb">/g)).toHaveLength(1_000)
    for (const page of ['0', '4', '-1', '1.5', '', 'x', '99999999999999999999'])
      expect((await running.get(`/debs/p/?page=${page}`)).status).toBe(404)
    expect((await running.get('/debs/p/', { method: 'HEAD' })).headers['etag']).toBe(
      (await running.get('/debs/p/?page=1')).headers['etag'],
    )
  })

  it('every link of a listing works', async () => {
    const running = await serve()
    const page = (await running.get('/files/')).body.toString()
    const links = [...page.matchAll(/href="(\.\/[^"]*)"/g)].map(match => match[1]!)
    expect(links.length).toBeGreaterThan(10)
    for (const link of links) {
      if (/out|absolute|loop|latest/.test(link)) continue
      const { pathname } = new URL(link, `${running.origin}/files/`)
      expect([link, (await running.get(pathname)).status]).toEqual([link, 200])
    }
  })

  it('redirects a browser to the folder with a slash', async () => {
    const running = await serve()
    const got = await running.get('/files/sub')
    expect([got.status, got.headers['location']]).toEqual([301, '/files/sub/'])
    const korean = await running.get('/files/%EC%84%A4%EC%B9%98')
    expect(korean.headers['location']).toBe('/files/%EC%84%A4%EC%B9%98/')
    expect((await running.get('/files/big.bin/')).status).toBe(404)
  })

  it('answers for a missing file with advice', async () => {
    const running = await serve()
    const got = await running.get('/files/none')
    expect(got.status).toBe(404)
    expect(got.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(got.body.toString()).toMatch(
      /^the site does not have this file: \/files\/none\nlikely: .*\nnext: /,
    )
  })
})
