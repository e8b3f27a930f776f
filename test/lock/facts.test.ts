import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { changedFacts } from '../../src/lock/facts.ts'
import { inTextLines } from '../../src/lock/text-lines.ts'

describe('changedFacts', () => {
  it.each([
    ['a member', { a: 1, b: 2 }, { a: 1, b: 3 }, [{ path: 'b', before: 2, after: 3 }]],
    ['an added part', {}, { a: { b: [1] } }, [{ path: 'a', after: { b: [1] } }]],
    ['an element in the middle', { a: ['x', 'z'] }, { a: ['x', 'y', 'z'] }, [{ path: 'a[y]', after: 'y' }]],
    [
      'a file of a tree',
      { files: [{ path: 'a' }, { path: 'b', digest: '1' }] },
      { files: [{ path: 'b', digest: '2' }, { path: 'c' }] },
      [
        { path: 'files[a]', before: { path: 'a' } },
        { path: 'files[b].digest', before: '1', after: '2' },
        { path: 'files[c]', after: { path: 'c' } },
      ],
    ],
    [
      'a suite of an archive',
      { sources: [{ archive: 'http://a', suite: 's', release: { Version: '1' } }] },
      { sources: [{ archive: 'http://a', suite: 's', release: { Version: '2' } }] },
      [{ path: 'sources[http://a s].release.Version', before: '1', after: '2' }],
    ],
    ['elements that nothing identifies', [[1], [2]], [[1], [3]], [{ path: '[1][0]', before: 2, after: 3 }]],
    [
      'equal names',
      [
        { name: 'x', v: 1 },
        { name: 'x', v: 2 },
      ],
      [{ name: 'x', v: 1 }],
      [{ path: '[1]', before: { name: 'x', v: 2 } }],
    ],
    [
      'a line of a text',
      { a: 'x\ny' },
      { a: ['x', 'z'] },
      [
        { path: 'a[y]', before: 'y' },
        { path: 'a[z]', after: 'z' },
      ],
    ],
    ['a text in another form', { a: ['x\ny', 'z'] }, { a: [['x', 'y'], 'z'] }, []],
    ['another type', { a: [] }, { a: {} }, [{ path: 'a', before: [], after: {} }]],
  ])('finds %s', (_, before, after, wanted) => {
    expect(changedFacts(before, after)).toEqual(wanted)
  })

  it('finds nothing in equal documents, and something in different ones', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        expect(changedFacts(a, structuredClone(a))).toEqual([])
        if (canonicalJson(inTextLines(a)) !== canonicalJson(inTextLines(b)))
          expect(changedFacts(a, b)).not.toEqual([])
      }),
    )
  })
})
