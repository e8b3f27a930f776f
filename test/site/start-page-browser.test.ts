import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AxeResults } from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openSiteKey } from '../../src/site/site-key.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { sampleImage, sampleStack, sampleTree } from './support/sample-site.ts'
import { type SiteWithPage, servePage } from './support/start-page.ts'

/** What a browser makes of the start page. */

const program = 'chromium-headless-shell'
const markup = '<img src=x onerror=alert(1)>'

describe.skipIf(!hasTool(program))(`in a browser (needs ${program})`, () => {
  let folder: string
  let site: SiteWithPage
  let browser: Browser
  let axe: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'airgap-browser-'))
    const key = await openSiteKey({ folder, now: () => new Date() })
    site = await servePage(
      [
        ...sampleStack(),
        ...sampleTree('pypi', { 'index.json': JSON.stringify({ files: [wheel] }) }, 'wheel'),
        ...Array.from({ length: 250 }, (_, i) =>
          sampleImage(`quay.io/organisation-${i % 7}/a-component-with-a-rather-long-name-${i}:v1.${i}`),
        ),
        ...sampleTree(
          'debs/ubuntu-22.04',
          { 'dists/x/main/binary-amd64/Packages': `Package: ${markup}\n` },
          'deb',
        ),
      ],
      key,
    )
    browser = await chromium.launch({ executablePath: `/usr/bin/${program}`, args: ['--no-sandbox'] })
    axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    await site?.[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  async function open<T>(
    path: string,
    options: BrowserContextOptions,
    use: (page: Page) => Promise<T>,
  ): Promise<T> {
    const context = await browser.newContext(options)
    const page = await context.newPage()
    const said: string[] = []
    page.on('console', message => said.push(message.text()))
    page.on('dialog', dialog => said.push(dialog.message()))
    page.on('request', request => {
      if (!request.url().startsWith(site.url) && !request.url().startsWith('data:')) said.push(request.url())
    })
    await page.goto(`${site.url}${path}`)
    const result = await use(page)
    expect(said).toEqual([])
    await context.close()
    return result
  }

  const paths = [
    '/',
    '/browse/',
    '/browse/images',
    '/browse/?q=a',
    '/browse/debs/ubuntu-22.04',
    '/browse/images?q=none',
  ]
  const screens = [1280, 390].flatMap(width =>
    (['light', 'dark'] as const).flatMap(colorScheme =>
      ['en', 'ko'].map(locale => ({ width, colorScheme, locale })),
    ),
  )

  it.each(screens)(
    'has no violation of WCAG and no overflow at $width px, $colorScheme, $locale',
    async ({ width, colorScheme, locale }) => {
      for (const path of paths) {
        // bypassing the policy of the page lets the checker in, which is not part of it
        const options = { viewport: { width, height: 900 }, colorScheme, locale, bypassCSP: true }
        const found = await open(path, options, async page => {
          await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
          const overflow = await page.evaluate(
            'document.documentElement.scrollWidth - document.documentElement.clientWidth',
          )
          await page.evaluate(axe)
          const results = await page.evaluate<AxeResults>('axe.run()')
          const violations = results.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
          return { lang: await page.getAttribute('html', 'lang'), overflow, violations }
        })
        expect([path, found]).toEqual([path, { lang: locale, overflow: 0, violations: [] }])
      }
    },
    60_000,
  )

  it('works without JavaScript: the form searches, and links lead through the pages', async () => {
    await open('/', { javaScriptEnabled: false }, async page => {
      await page.fill('input[name=q]', 'busybox')
      await page.click('form button')
      expect(await page.textContent('#results')).toContain('docker.io/library/busybox')
      await page.goto(`${site.url}/browse/images`)
      await page.click('a[rel=next]')
      expect(await page.textContent('main')).toContain('Page 2 of 3')
      expect(await page.locator('.block button').count()).toBe(0)
    })
  })

  it('with JavaScript, shows results while one types, and copies commands', async () => {
    await open('/', { permissions: ['clipboard-read', 'clipboard-write'] }, async page => {
      await page.fill('input[name=q]', 'busybox')
      await page.locator('#results', { hasText: 'busybox' }).waitFor()
      expect(await page.textContent('#found')).toBe('1 result for “busybox”')
      await page.fill('input[name=q]', '')
      await expect.poll(() => page.textContent('#results')).toBe('')
      await page.click('details#curl summary')
      await page.click('details#curl .block button')
      const copied = await page.evaluate('navigator.clipboard.readText()')
      expect(copied).toBe(await page.textContent('#curl-use'))
    })
  })

  it('is used with the keyboard: the first tab skips to the content, details open with Enter', async () => {
    await open('/', {}, async page => {
      await page.keyboard.press('Tab')
      expect(await page.evaluate("document.activeElement.getAttribute('href')")).toBe('#main')
      await page.focus('details#containerd summary')
      await page.keyboard.press('Enter')
      expect(await page.getAttribute('details#containerd', 'open')).toBe('')
    })
  })

  it('runs nothing that a name contains', async () => {
    await open(`/browse/?q=${encodeURIComponent(markup)}`, {}, async page => {
      expect(await page.inputValue('input[name=q]')).toBe(markup)
      expect(await page.locator('main img').count()).toBe(0)
      expect(await page.textContent('#results')).toContain(markup)
      await page.fill('input[name=q]', '<img')
      await page.locator('#found', { hasText: '“<img”' }).waitFor()
      expect(await page.locator('main img').count()).toBe(0)
    })
  })
})

const wheel = {
  project: 'ansible-core',
  version: '2.16.1',
  filename: 'ansible_core-2.16.1-py3-none-any.whl',
  sha256: 'a'.repeat(64),
  size: 2_300_000,
}
