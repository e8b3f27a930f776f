import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Artifact } from '../../src/content/artifact.ts'
import { openSiteKey, type SiteKey } from '../../src/site/site-key.ts'
import { sampleImage, sampleReferrer, sampleStack, sampleTree } from './support/sample-site.ts'
import { type SiteWithPage, servePage } from './support/start-page.ts'

let folder: string
let key: SiteKey
const sites: SiteWithPage[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-start-page-'))
  key = await openSiteKey({ folder, now: () => new Date() })
})
afterAll(async () => {
  await Promise.all(sites.map(site => site[Symbol.asyncDispose]()))
  await rm(folder, { recursive: true, force: true })
})

async function serving(artifacts: readonly Artifact[]): Promise<SiteWithPage> {
  const site = await servePage(artifacts, key)
  sites.push(site)
  return site
}

const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

async function get(url: string, headers: Record<string, string> = {}) {
  const answer = await fetch(url, { headers: { ...browser, ...headers } })
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

describe('the start page', () => {
  it('is for browsers: programs get the listing of the folder', async () => {
    const { url } = await serving(sampleStack())
    const page = await get(url)
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(page.text).toContain('<h1>Software for this network</h1>')
    for (const accept of ['*/*', 'application/json', 'text/*;q=0.1, */*']) {
      const { text } = await get(url, { accept })
      expect(text).toContain('debs')
      expect(text).not.toContain('Software for this network')
    }
    expect((await get(`${url}/?page=1`)).text).toContain('<title>/</title>')
  })

  it('says what is served, its digest, who signed it and the fingerprint of the key', async () => {
    const site = await serving(sampleStack())
    const { text } = await get(site.url)
    expect(text).toContain(site.digest)
    expect(text).toContain('release-team')
    expect(text).toContain('SHA256:an/example')
    expect(text).toContain('2026-11-20T09:12:44Z')
    expect(text.replaceAll(' ', '')).toContain(key.fingerprint)
  })

  it('is sent once: a browser that has it gets 304, HEAD gets its size', async () => {
    const { url } = await serving(sampleStack())
    const { headers } = await get(url)
    const again = await fetch(url, {
      headers: { ...browser, 'if-none-match': headers.get('etag') ?? '' },
    })
    expect(again.status).toBe(304)
    const head = await fetch(url, { method: 'HEAD', headers: browser })
    expect(head.headers.get('content-length')).toBe(headers.get('content-length'))
    expect(headers.get('vary')).toBe('accept, accept-language')
  })

  it('is in the language of the browser, and in that of the link', async () => {
    const { url } = await serving(sampleStack())
    expect((await get(url, { 'accept-language': 'ko-KR,ko;q=0.9,en;q=0.8' })).text).toContain(
      '<html lang="ko">',
    )
    expect((await get(url, { 'accept-language': 'de' })).text).toContain('<html lang="en">')
    const korean = (await get(`${url}/?lang=ko`, { 'accept-language': 'en' })).text
    expect(korean).toContain('<html lang="ko">')
    // all links to pages keep the language
    expect([...korean.matchAll(/href="(\/browse\/[^"]*)"/g)].map(([, link]) => link)).toEqual(
      expect.arrayContaining(['/browse/images?lang=ko']),
    )
    expect(korean).toContain('<input type="hidden" name="lang" value="ko">')
  })

  it('allows its own style and script only', async () => {
    const { url } = await serving(sampleStack())
    const policy = (await get(url)).headers.get('content-security-policy')
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+';/)
    expect(policy).not.toMatch(/unsafe|https?:|\*/)
  })
})

describe('lists', () => {
  it('has each image once, under its canonical name, with all tags, without what refers to it', async () => {
    const image = sampleImage('docker.io/library/nginx:1.27')
    const { url } = await serving([
      image,
      sampleImage('docker.io/library/nginx:1.27.0', 'docker.io/library/nginx:1.27'),
      sampleReferrer('docker.io/library/nginx', image),
    ])
    const { text } = await get(`${url}/browse/images`)
    expect(text.match(/docker\.io\/library\/nginx/g)).toHaveLength(1)
    expect(text).toContain('1.27, 1.27.0')
    expect(text).toContain(image.root.digest)
    expect(text).toContain('linux/amd64')
  })

  it('shows the platforms of an index that are carried', async () => {
    const { url } = await serving(sampleStack())
    const { text } = await get(`${url}/browse/images?q=busybox`)
    expect(text).toContain('linux/amd64')
    expect(text).not.toContain('linux/arm64')
  })

  it('lists packages with their versions, and links to them', async () => {
    const { url } = await serving(sampleStack())
    const { text } = await get(`${url}/browse/debs/debian-12`)
    const [, link] = /<a href="(\/debs\/[^"]+)">jq<\/a>/.exec(text) ?? []
    expect((await get(`${url}${link}`)).text).toBe('not really a package')
    expect(text).toContain('1.6')
  })

  it('answers other paths and pages with 404', async () => {
    const { url } = await serving(sampleStack())
    for (const path of [
      '/browse/nothing',
      '/browse/images?page=2',
      '/browse/images?page=0',
      '/browse/images?page=x',
    ])
      expect([path, (await get(`${url}${path}`)).status]).toEqual([path, 404])
  })

  it('stays small: thousands of items come in pages', async () => {
    const packages = Array.from(
      { length: 10_000 },
      (_, i) => `Package: lib${i}\nVersion: ${i}.0\nArchitecture: amd64\nFilename: pool/lib${i}.deb\n`,
    )
    const { url } = await serving([
      ...sampleTree(
        'debs/ubuntu-22.04',
        { 'dists/jammy/main/binary-amd64/Packages': packages.join('\n') },
        'deb',
      ),
      ...Array.from({ length: 2_000 }, (_, i) => sampleImage(`quay.io/team-${i % 40}/app-${i}:v${i}`)),
    ])
    for (const path of [
      '/',
      '/browse/',
      '/browse/images',
      '/browse/debs/ubuntu-22.04?page=100',
      '/browse/?q=1',
    ]) {
      const { status, text } = await get(`${url}${path}`)
      expect([path, status]).toEqual([path, 200])
      expect(text.length).toBeLessThan(300_000)
    }
    expect((await get(url)).text).toContain('10,000 items')
    expect((await get(`${url}/browse/?q=lib7777`)).text).toContain('1 result for “lib7777”')
  }, 60_000)

  it('is useful where a site has nothing', async () => {
    const { url } = await serving(sampleTree('tree/x', { a: 'b' }))
    const { text } = await get(url)
    expect(text).toContain('The bundles contain nothing that this page can list.')
    expect(text).toContain('There is nothing to set up')
  })
})

describe('hostile names', () => {
  const markup = '<img src=x onerror=alert(1)>"\'&\u202e'

  it('are text: in lists, in queries and in commands', async () => {
    const { url } = await serving([
      ...sampleTree('files', { [`get/${markup.replace('/', '')}`]: 'x' }, 'file'),
      ...sampleTree(
        'debs/debian-12',
        { 'dists/x/main/binary-amd64/Packages': `Package: ${markup}\nVersion: ${markup}\nFilename: x.deb\n` },
        'deb',
      ),
    ])
    const query = encodeURIComponent(markup)
    for (const path of [
      '/',
      '/browse/files',
      '/browse/debs/debian-12',
      `/browse/?q=${query}`,
      `/browse/files?q=${query}`,
    ]) {
      const { text } = await get(`${url}${path}`)
      expect(text).not.toMatch(/<img|\u202e/)
    }
    expect((await get(`${url}/browse/files`)).text).toContain('&lt;img')
  })

  it('do not end the words of a command', async () => {
    const { url } = await serving(sampleTree('files', { "a'; touch owned; '": 'x' }, 'file'))
    expect((await get(url)).text).toContain('-o &#39;a&#39;\\&#39;&#39;; touch owned; &#39;\\&#39;&#39;&#39;')
  })
})
