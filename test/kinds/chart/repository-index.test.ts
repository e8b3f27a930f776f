import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defined } from '../../../src/core/defined.ts'
import { AirgapError } from '../../../src/core/errors.ts'
import { findInIndex } from '../../../src/kinds/chart/repository-index.ts'
import { indexYaml } from './support.ts'

const repo = 'https://charts.example/stable'
const digest = 'ab'.repeat(32)
const find = (text: string, name = 'web', version = '1.2.3') => findInIndex(text, { repo, name, version })

function refusal(work: () => unknown): AirgapError {
  try {
    work()
  } catch (error) {
    if (error instanceof AirgapError) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('an entry of index.yaml', () => {
  it.each([
    ['web-1.2.3.tgz', 'https://charts.example/stable/web-1.2.3.tgz'],
    ['charts/web-1.2.3.tgz', 'https://charts.example/stable/charts/web-1.2.3.tgz'],
    ['/abs/web.tgz', 'https://charts.example/abs/web.tgz'],
    ['https://cdn.example/web.tgz?x=1', 'https://cdn.example/web.tgz?x=1'],
    ['//cdn.example/web.tgz', 'https://cdn.example/web.tgz'],
  ])('with the URL %s leads to %s', (url, wanted) => {
    expect(find(indexYaml({ web: [{ version: '1.2.3', url, digest }] }))).toEqual({
      url: wanted,
      sha256: digest,
    })
  })

  it('may have no digest, an empty one, or one with its algorithm', () => {
    const of = (written?: string) =>
      find(
        indexYaml({
          web: [{ version: '1.2.3', url: 'a.tgz', ...defined({ digest: written }) }],
        }),
      ).sha256
    expect([of(), of(''), of('null'), of(`sha256:${digest}`), of(digest)]).toEqual([
      undefined,
      undefined,
      undefined,
      digest,
      digest,
    ])
  })

  it('is found by its exact version, as text: 1.10 is not 1.1', () => {
    const text = indexYaml({
      web: [
        { version: '1.1', url: 'one.tgz' },
        { version: '1.10', url: 'ten.tgz' },
        { version: 'v2.0.0', url: 'v.tgz' },
      ],
    })
    expect(find(text, 'web', '1.10').url).toMatch(/ten/)
    expect(find(text, 'web', '1.1').url).toMatch(/one/)
    expect(find(text, 'web', 'v2.0.0').url).toMatch(/v\.tgz/)
    expect(refusal(() => find(text, 'web', '2.0.0'))).toMatchObject({
      code: 'NOT_FOUND_UPSTREAM',
      likely: 'available: v2.0.0',
    })
  })

  it.each([
    ['other quoting', `entries:\n  "web":\n  - version: 1.2.3\n    urls: ["a.tgz"]\n`],
    [
      'deeper indentation',
      `entries:\n    web:\n        - version: 1.2.3\n          urls:\n              - a.tgz\n`,
    ],
    ['comments', `# x\nentries:\n  # the web\n  web:\n    - version: 1.2.3\n      urls: [a.tgz]\n`],
    ['flow', 'entries: {web: [{version: 1.2.3, urls: [a.tgz]}]}\n'],
    ['JSON', JSON.stringify({ entries: { web: [{ version: '1.2.3', urls: ['a.tgz'] }] } })],
    ['CRLF', 'entries:\r\n  web:\r\n  - version: 1.2.3\r\n    urls:\r\n    - a.tgz\r\n'],
    [
      'a description that looks like an entry',
      'entries:\n  aaa:\n  - version: 1.2.3\n    description: |\n      text\n        web:\n      - version: 1.2.3\n    urls:\n    - wrong.tgz\n  web:\n  - version: 1.2.3\n    urls:\n    - a.tgz\n',
    ],
  ])('is found in the form: %s', (_, text) => {
    expect(find(text).url).toBe(`${repo}/a.tgz`)
  })

  it('that is not there names the repository or the near versions', () => {
    const text = indexYaml({ web: [{ version: '1.2.4', url: 'a.tgz' }] })
    expect(refusal(() => find(text, 'wbe'))).toMatchObject({ code: 'NOT_FOUND_UPSTREAM' })
    expect(refusal(() => find(text))).toMatchObject({ likely: 'available: 1.2.4' })
    expect(refusal(() => find('entries: {}\n')).code).toBe('NOT_FOUND_UPSTREAM')
    expect(refusal(() => find(text, 'constructor')).code).toBe('NOT_FOUND_UPSTREAM')
  })

  it('that has moved to an OCI registry says what to write', () => {
    const text = indexYaml({ web: [{ version: '1.2.3', url: 'oci://reg.example/charts/web:1.2.3' }] })
    expect(refusal(() => find(text))).toMatchObject({
      code: 'UNSUPPORTED',
      next: expect.stringContaining('oci://reg.example/charts`'),
    })
  })

  it('is the same, cut out or parsed whole (property)', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/)
    const versions = fc.uniqueArray(fc.stringMatching(/^[0-9]\.[0-9]{1,2}\.[0-9]$/), {
      minLength: 1,
      maxLength: 4,
    })
    fc.assert(
      fc.property(fc.dictionary(name, versions, { minKeys: 1, maxKeys: 5 }), charts => {
        const text = indexYaml(
          Object.fromEntries(
            Object.entries(charts).map(([chart, list]) => [
              chart,
              list.map(version => ({ version, url: `${chart}-${version}.tgz`, digest })),
            ]),
          ),
        )
        for (const [chart, list] of Object.entries(charts)) {
          for (const version of list) {
            const wanted = { url: `${repo}/${chart}-${version}.tgz`, sha256: digest }
            expect(find(text, chart, version)).toEqual(wanted)
            // a comment at the depth of names makes it parse the whole
            expect(find(text.replace('entries:\n', 'entries:\n  # whole\n'), chart, version)).toEqual(wanted)
          }
        }
      }),
      { numRuns: 50 },
    )
  })

  it('of an index of 40 MB is found in a moment', () => {
    const many = Object.fromEntries(
      Array.from({ length: 1000 }, (_, i) => [
        `chart${i}`,
        Array.from({ length: 200 }, (_, v) => ({ version: `${v}.0.0`, url: `c${i}-${v}.tgz`, digest })),
      ]),
    )
    const text = indexYaml({ ...many, web: [{ version: '1.2.3', url: 'a.tgz' }] })
    expect(text.length).toBeGreaterThan(30_000_000)
    const started = performance.now()
    expect(find(text).url).toBe(`${repo}/a.tgz`)
    expect(refusal(() => find(text, 'none')).code).toBe('NOT_FOUND_UPSTREAM')
    expect(performance.now() - started).toBeLessThan(5_000)
  })
})
