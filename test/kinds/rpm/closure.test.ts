import { describe, expect, it } from 'vitest'
import { candidate, chosen } from './candidates.ts'

describe('closure of rpm packages', () => {
  it('takes what is needed, the newest of it, and no more', () => {
    const all = [
      candidate('a-1-1.x86_64', { requires: ['b >= 2', 'cap'] }),
      candidate('b-1-1.x86_64'),
      candidate('b-2~rc1-1.x86_64'),
      candidate('b-2-1.x86_64'),
      candidate('b-2^git1-1.x86_64'),
      candidate('c-1-1.noarch', { provides: ['cap'] }),
      candidate('d-1-1.x86_64'),
    ]
    expect(chosen(all, ['a'])).toEqual(['a-1-1.x86_64', 'b-2^git1-1.x86_64', 'c-1-1.noarch'])
  })

  it('goes back to an older version where the newest cannot be had', () => {
    const all = [
      candidate('a-2-1.x86_64', { requires: ['missing'] }),
      candidate('a-1-1.x86_64', { requires: ['b'] }),
      candidate('b-1-1.x86_64', { conflicts: ['c'] }),
      candidate('b-0-1.x86_64'),
      candidate('c-1-1.x86_64'),
    ]
    expect(chosen(all, ['a', 'c'])).toEqual(['a-1-1.x86_64', 'b-0-1.x86_64', 'c-1-1.x86_64'])
  })

  it('takes any of dnf’s ways to name a package', () => {
    const all = [
      candidate('a-1-1.x86_64'),
      candidate('a-1-1.i686'),
      candidate('a-1:0-2.x86_64'),
      candidate('b-1-1.x86_64', { provides: ['web(server) = 3'], files: ['/usr/bin/b'] }),
    ]
    expect(chosen(all, ['a'])).toEqual(['a-1:0-2.x86_64'])
    expect(chosen(all, ['a-1-1'])).toEqual(['a-1-1.x86_64'])
    expect(chosen(all, ['a-1'])).toEqual(['a-1-1.x86_64'])
    expect(chosen(all, ['a.i686'])).toEqual(['a-1-1.i686'])
    expect(chosen(all, ['a-1-1.i686', 'a-1-1.x86_64'])).toEqual(['a-1-1.i686', 'a-1-1.x86_64'])
    expect(chosen(all, ['a-1:0-2.x86_64'])).toEqual(['a-1:0-2.x86_64'])
    expect(chosen(all, ['web(server)'])).toEqual(['b-1-1.x86_64'])
    expect(chosen(all, ['/usr/bin/b'])).toEqual(['b-1-1.x86_64'])
    expect(chosen(all, ['*'])).toEqual(['a-1:0-2.x86_64', 'b-1-1.x86_64'])
  })

  it('prefers the repository of smaller priority to the newer version', () => {
    const all = [candidate('a-2-1.x86_64'), candidate('a-1-1.x86_64', { repository: 1 })]
    expect(chosen(all, ['a'], { priorities: [99, 50] })).toEqual(['a-1-1.x86_64'])
    expect(chosen(all, ['a'], { priorities: [99, 99] })).toEqual(['a-2-1.x86_64'])
  })

  it('gives the successor of an obsoleted name', () => {
    const all = [candidate('old-1-1.x86_64'), candidate('new-1-1.x86_64', { obsoletes: ['old < 2'] })]
    expect(chosen(all, ['old'])).toEqual(['new-1-1.x86_64'])
  })

  it('takes weak dependencies by choice, and leaves those that cannot be had', () => {
    const all = [
      candidate('a-1-1.x86_64', { recommends: ['b', 'c', 'missing'] }),
      candidate('b-1-1.x86_64'),
      candidate('c-1-1.x86_64', { requires: ['missing'] }),
      candidate('d-1-1.x86_64', { supplements: ['a'] }),
    ]
    expect(chosen(all, ['a'])).toEqual(['a-1-1.x86_64'])
    expect(chosen(all, ['a'], { weak: true })).toEqual(['a-1-1.x86_64', 'b-1-1.x86_64', 'd-1-1.x86_64'])
  })

  it('follows conditions', () => {
    const all = [
      candidate('a-1-1.x86_64', { requires: ['(b if c)', '(d or c)'] }),
      candidate('b-1-1.x86_64'),
      candidate('c-1-1.x86_64'),
      candidate('d-1-1.x86_64'),
    ]
    expect(chosen(all, ['a', 'd'])).toEqual(['a-1-1.x86_64', 'd-1-1.x86_64'])
    expect(chosen(all, ['a', 'c'])).toEqual(['a-1-1.x86_64', 'b-1-1.x86_64', 'c-1-1.x86_64'])
  })

  it('ends with dependency loops', () => {
    const all = [
      candidate('a-1-1.x86_64', { requires: ['b'] }),
      candidate('b-1-1.x86_64', { requires: ['c'] }),
      candidate('c-1-1.x86_64', { requires: ['a', 'b'] }),
    ]
    expect(chosen(all, ['c'])).toHaveLength(3)
  })

  it('keeps several kernels, and one of everything else', () => {
    const kernels = [candidate('kernel-1-1.x86_64'), candidate('kernel-2-1.x86_64')]
    expect(chosen(kernels, ['kernel-1', 'kernel-2'])).toHaveLength(2)
    const others = [candidate('a-1-1.x86_64'), candidate('a-2-1.x86_64')]
    expect(() => chosen(others, ['a-1', 'a-2'])).toThrow('cannot both be installed')
  })

  it('leaves out what the machine has, and takes what it has in too old a version', () => {
    const all = [
      candidate('a-1-1.x86_64', { requires: ['b', 'c >= 2'] }),
      candidate('b-2-1.x86_64'),
      candidate('c-2-1.x86_64'),
    ]
    const installed = [candidate('b-1-1.x86_64'), candidate('c-1-1.x86_64')]
    expect(chosen(all, ['a'], { installed })).toEqual(['a-1-1.x86_64', 'c-2-1.x86_64'])
  })

  it('tells the whole chain, and what each provider lacks', () => {
    const all = [
      candidate('a-1-1.x86_64', { requires: ['cap'] }),
      candidate('b-1-1.x86_64', { provides: ['cap'], requires: ['libz >= 2'] }),
      candidate('c-1-1.x86_64', { provides: ['cap'], conflicts: ['a'] }),
      candidate('libz-1-1.x86_64'),
    ]
    expect(() => chosen(all, ['a'])).toThrow(
      [
        'a cannot be installed:',
        '  requested: a (a-1-1.x86_64)',
        '    a-1-1.x86_64 needs cap: b-1-1.x86_64, c-1-1.x86_64',
        '      b-1-1.x86_64 needs libz >= 2, which nothing provides (available: libz-1-1.x86_64)',
        '      c-1-1.x86_64 conflicts with a: a-1-1.x86_64',
      ].join('\n'),
    )
  })

  it('says why a package is left out', () => {
    const all = [candidate('a-1-1.x86_64', { requires: ['b'] }), candidate('b-1-1.x86_64')]
    const hidden = (one: { name: string }) => (one.name === 'b' ? 'excludepkgs names it' : undefined)
    expect(() => chosen(all, ['a'], { hidden })).toThrow('b-1-1.x86_64 is left out: excludepkgs names it')
  })

  it('knows a mistyped name and a version that is not there', () => {
    const all = [candidate('bash-5.1-1.x86_64')]
    expect(() => chosen(all, ['basj'])).toThrow(expect.objectContaining({ likely: 'did you mean bash?' }))
    expect(() => chosen(all, ['bash-4.0-1'])).toThrow(
      expect.objectContaining({ likely: 'available: bash-5.1-1.x86_64' }),
    )
  })
})
