import { describe, expect, it } from 'vitest'
import { preferred } from '../../src/serve/negotiate.ts'

describe('preferred', () => {
  const html = { mediaType: 'text/html; charset=utf-8' }
  const html1 = { mediaType: 'application/vnd.pypi.simple.v1+html' }
  const json = { mediaType: 'application/vnd.pypi.simple.v1+json' }

  it.each([
    ['pip', `${json.mediaType}, ${html1.mediaType}; q=0.1, text/html; q=0.01`, json],
    ['curl', '*/*', html],
    ['a browser', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8', html],
    ['nothing', '', html],
    ['a type that no form has', 'image/png', html],
    ['upper case', json.mediaType.toUpperCase(), json],
    ['anything but HTML', 'text/html;q=0, */*', html1],
    ['a type that is excluded from a wildcard', `application/*;q=0.5, ${html1.mediaType};q=0`, json],
    ['the more specific range', `*/*;q=0.9, ${html1.mediaType};q=0.1, text/html;q=0.2`, json],
    ['a parameter before the quality', `text/html;level=1;q=0.5, ${json.mediaType};q=0.6`, json],
    ['a quality that is invalid', `text/html;q=x, ${json.mediaType};q=0.1`, json],
    ['a header of 16 KB', 'a/b,'.repeat(4_000), html],
  ])('%s', (_, accept, form) => {
    expect(preferred([html, html1, json], accept)).toBe(form)
  })
})
