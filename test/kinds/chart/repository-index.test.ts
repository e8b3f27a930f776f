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
      version: '1.2.3',
      url: wanted,
      sha256: digest,
    })
  })

  // helm's ResolveReferenceURL
  it.each([
    ['/charts?a=1&b=2', 'web.tgz', '/charts/web.tgz?a=1&b=2'],
    ['/charts/?a=1&b=2', 'web.tgz', '/charts/web.tgz?a=1&b=2'],
    ['/charts/?a=1', '../web.tgz', '/web.tgz?a=1'],
    ['/charts?a=1', '/abs/web.tgz', '/abs/web.tgz?a=1'],
    ['/charts?a=1', 'web.tgz?c=3#x', '/charts/web.tgz?a=1'],
    ['/charts', 'web.tgz?c=3', '/charts/web.tgz?c=3'],
    ['/charts?a=1', 'https://charts.example/web.tgz', '/web.tgz'],
    ['?a=1', 'web.tgz', '/web.tgz?a=1'],
  ])('of the repository %s with the URL %s leads to %s', (path, url, wanted) => {
    const text = indexYaml({ web: [{ version: '1.2.3', url }] })
    const found = findInIndex(text, { repo: `https://charts.example${path}`, name: 'web', version: '1.2.3' })
    expect(found.url).toBe(`https://charts.example${wanted}`)
  })

  it('with the URL of another host never gets the query of the repository', () => {
    for (const url of ['//cdn.example/web.tgz', 'https://cdn.example/web.tgz']) {
      const text = indexYaml({ web: [{ version: '1.2.3', url }] })
      const repo = 'https://charts.example/stable?a=1'
      expect(findInIndex(text, { repo, name: 'web', version: '1.2.3' }).url).toBe(
        'https://cdn.example/web.tgz',
      )
    }
  })

  it('may be listed several times where the digests agree, and not where they differ', () => {
    const listed = (...digests: (string | undefined)[]) =>
      indexYaml({
        web: digests.map((one, i) => ({ version: '1.2.3', url: `${i}.tgz`, ...defined({ digest: one }) })),
      })
    expect(find(listed(digest, digest))).toEqual({ version: '1.2.3', url: `${repo}/0.tgz`, sha256: digest })
    expect(find(listed(undefined, digest))).toEqual({
      version: '1.2.3',
      url: `${repo}/1.tgz`,
      sha256: digest,
    })
    expect(find(listed(undefined, undefined))).toEqual({ version: '1.2.3', url: `${repo}/0.tgz` })
    const error = refusal(() => find(listed(digest, 'cd'.repeat(32))))
    expect(error.code).toBe('UPSTREAM_INVALID')
    expect(error.message).toContain('different digests')
  })

  it('is passed over where it is malformed, unless it is the requested one', () => {
    const text = [
      'entries:',
      '  web:',
      '  - null',
      '  -',
      '  - version: not a version',
      '  - urls: [x.tgz]',
      '  - {version: 1.2.2, type: other, urls: [x.tgz]}',
      '  - {version: 1.2.3, apiVersion: null, created: ~, keywords: null, urls: [a.tgz], digest: null}',
      '  - {version: 1.2.4, urls: null}',
      '',
    ].join('\n')
    expect(find(text)).toEqual({ version: '1.2.3', url: `${repo}/a.tgz` })
    expect(refusal(() => find(text, 'web', '1.2.2')).code).toBe('UPSTREAM_INVALID')
    expect(refusal(() => find(text, 'web', '1.2.4')).code).toBe('UPSTREAM_INVALID')
    expect(refusal(() => find('entries: {web: null}\n')).code).toBe('NOT_FOUND_UPSTREAM')
    const json = {
      entries: { web: [null, { version: '1.2.3', urls: ['a.tgz'], digest: null }], other: null },
    }
    expect(find(JSON.stringify(json)).url).toBe(`${repo}/a.tgz`)
  })

  // the results of helm's IndexFile.Get
  it.each([
    ['1.2.3', '1.2.3'],
    ['v1.2.3', '1.2.3'],
    ['2.0.0', 'v2.0.0'],
    ['1.2', '1.2.10'],
    ['^1.2', '1.3.0'],
    ['~1.2.3', '1.2.10'],
    ['>=1.2, <1.3', '1.2.10'],
    ['1.2.0 - 1.2.9', '1.2.3'],
    ['1.x || 2.x', 'v2.0.0'],
    ['!=2.x', '1.3.0'],
    ['>0.0.0-0', '2.1.0-rc.1'],
    ['*', 'v2.0.0'],
    ['2.1.0-rc.1', '2.1.0-rc.1'],
  ])('of the version %s is %s', (version, wanted) => {
    const versions = ['1.2.3', '1.3.0', 'v2.0.0', '2.1.0-rc.1', '1.2.10', 'latest']
    const text = indexYaml({ web: versions.map(one => ({ version: one, url: `web-${one}.tgz` })) })
    expect(find(text, 'web', version)).toEqual({ version: wanted, url: `${repo}/web-${wanted}.tgz` })
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
    expect(refusal(() => find(text, 'web', '3.0.0'))).toMatchObject({
      code: 'NOT_FOUND_UPSTREAM',
      likely: 'available: v2.0.0, 1.10, 1.1',
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
            const wanted = { version, url: `${repo}/${chart}-${version}.tgz`, sha256: digest }
            expect(find(text, chart, version)).toEqual(wanted)
            // a merge key at the depth of names makes it parse the whole
            const merged = text.replace('entries:\n', 'entries:\n  <<: {}\n')
            expect(find(merged, chart, version)).toEqual(wanted)
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
    // as other tools indent and comment it
    const deeper = `# x\n${text.replace(/^(?= )/gm, '  ').replace('entries:\n', 'entries: # of charts\n\n    # a\n')}`
    const started = performance.now()
    expect(find(text).url).toBe(`${repo}/a.tgz`)
    expect(find(deeper).url).toBe(`${repo}/a.tgz`)
    expect(refusal(() => find(text, 'none')).code).toBe('NOT_FOUND_UPSTREAM')
    expect(performance.now() - started).toBeLessThan(5_000)
  })
})
