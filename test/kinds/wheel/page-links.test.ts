import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fragmentHashes } from '../../../src/kinds/wheel/file-hash.ts'
import { fileNameOf } from '../../../src/kinds/wheel/file-name.ts'
import { PageLinks } from '../../../src/kinds/wheel/page-links.ts'

const page = 'https://index.example/simple/app/'

/** As URL reads it, without any shortcut. */
function asUrl(href: string) {
  if (!URL.canParse(href, page)) return undefined
  const url = new URL(href, page)
  if (url.protocol !== 'https:' || url.username !== '' || url.password !== '') return undefined
  const hashes = fragmentHashes(url.hash.slice(1))
  url.hash = ''
  return { url: url.href, filename: fileNameOf(url), hashes }
}

describe('links of a page', () => {
  const sha256 = 'a'.repeat(64)

  it.each([
    'https://files.example/packages/ab/cd/app-1.0-py3-none-any.whl',
    `https://files.example/app-1.0+local.1.tar.gz#sha256=${sha256}`,
    `../../files/app-1.0.tar.gz#sha256=${sha256}&egg=app`,
    'https://files.example/a/../b/app-1.0.tar.gz',
    'https://files.example/a/./app-1.0.tar.gz',
    'https://files.example/a/.../app-1.0.tar.gz',
    'https://files.example/a%2Fb/app%2B1-1.0.tar.gz',
    'https://FILES.example/app-1.0.tar.gz',
    'HTTPS://files.example/app-1.0.tar.gz',
    'https://files.example:443/app-1.0.tar.gz',
    'https://files.example./app-1.0.tar.gz',
    'https://user@files.example/app-1.0.tar.gz',
    'https://files.example/app-1.0.tar.gz?token=1',
    'https://files.example/folder/',
    'https://files.example\\app-1.0.tar.gz',
    `https://files.example/app-1.0.tar.gz#sha256=${sha256.slice(1)}\ta`,
    'https://xn--bcher-kva.example/app-1.0.tar.gz',
    'https://xn--a.example/app-1.0.tar.gz',
    'http://files.example/app-1.0.tar.gz',
    'ftp://files.example/app-1.0.tar.gz',
    'file:///app-1.0.tar.gz',
    '',
    '#',
  ])('reads %s as URL does', href => {
    expect(new PageLinks({ page, base: page }).read(href)).toEqual(asUrl(href))
  })

  it('reads any address as URL does', () => {
    const part = fc.constantFrom(
      'a',
      'B',
      '.',
      '..',
      '-',
      '--',
      '+',
      '%2e',
      '~',
      '_',
      '1',
      'é',
      ' ',
      '\t',
      ':',
      '@',
    )
    const text = fc.array(part, { maxLength: 4 }).map(parts => parts.join(''))
    const href = fc
      .tuple(text, fc.array(text, { maxLength: 4 }), fc.option(text))
      .map(
        ([host, path, hash]) =>
          `https://a${host}.example/${path.join('/')}${hash === null ? '' : `#${hash}`}`,
      )
    fc.assert(
      fc.property(href, one => {
        expect(new PageLinks({ page, base: page }).read(one)).toEqual(asUrl(one))
      }),
      { numRuns: 3000 },
    )
  })

  it.each([
    'https://127.0.0.1/app-1.0.tar.gz',
    'https://2130706433/app-1.0.tar.gz',
    'https://0x7f.1/app-1.0.tar.gz',
    'https://10.0.0.1/app-1.0.tar.gz',
    'https://[::1]/app-1.0.tar.gz',
    'https://localhost/app-1.0.tar.gz',
    'https://app.localhost/app-1.0.tar.gz',
  ])('ignores %s on a page of a public index, each time', href => {
    const links = new PageLinks({ page, base: page })
    expect([links.read(href), links.read(href)]).toEqual([undefined, undefined])
  })
})
