import { describe, expect, it } from 'vitest'
import type { UsedImage } from '../../src/discover/pair.ts'
import { compareImages } from '../../src/discover/report.ts'
import { updatedLists } from '../../src/discover/update-lists.ts'

const use = (upstream: string, ...releases: string[]): UsedImage => ({
  upstream,
  onSite: upstream,
  leak: false,
  seen: releases.map(release => ({ release, object: 'Pod x', path: 'spec', how: 'container' as const })),
})

/** Compares lists, given as texts, with the used images. */
function update(texts: Record<string, string>, used: UsedImage[], remove = true) {
  const lists = new Map(Object.entries(texts))
  const listed = [...lists].flatMap(([path, text]) =>
    text.split('\n').flatMap((line, i) => {
      const reference = line.replace(/(^|\s)#.*$/, '').trim()
      return reference === '' ? [] : [{ reference, at: `${path}:${i + 1}:${line.indexOf(reference) + 1}` }]
    }),
  )
  const report = compareImages({ used, urls: [], hasFile: () => true, listed, excuses: [] })
  return updatedLists(report, { lists, remove })
}

describe('updating image lists', () => {
  const texts = {
    'a.txt': '# of a\nquay.io/a/one:1   # the first\n\n  quay.io/a/two:1\nquay.io/a/old:1 # gone\n',
    'b.txt': 'quay.io/b/one:1',
  }
  const used = [
    use('quay.io/a/one:2', 'prod: a'),
    use('quay.io/a/two:1', 'prod: a'),
    use('quay.io/a/new:1', 'stage: a'),
    use('quay.io/b/one:1', 'prod: b'),
    use('quay.io/b/new:1', 'prod: b'),
    use('quay.io/c/new:1', 'prod: c'),
  ]

  it('keeps comments, blank lines and order, and reports images that belong to no list', () => {
    const { texts: now, changes, byHand, resolved } = update(texts, used)
    expect(now.get('a.txt')).toBe(
      '# of a\nquay.io/a/one:2   # the first\n\n  quay.io/a/two:1\nquay.io/a/new:1\n',
    )
    expect(now.get('b.txt')).toBe('quay.io/b/one:1\nquay.io/b/new:1\n')
    expect(changes).toEqual([
      { list: 'a.txt', to: 'quay.io/a/new:1' },
      { list: 'a.txt', from: 'quay.io/a/one:1', to: 'quay.io/a/one:2' },
      { list: 'b.txt', to: 'quay.io/b/new:1' },
      { list: 'a.txt', from: 'quay.io/a/old:1' },
    ])
    expect(byHand).toEqual(['quay.io/c/new:1'])
    expect(resolved).toBe(5)
  })

  it('changes nothing the second time', () => {
    const once = update(texts, used).texts
    const again = update(Object.fromEntries(once), used)
    expect(again).toMatchObject({ changes: [], byHand: ['quay.io/c/new:1'], resolved: 0 })
    expect(again.texts.size).toBe(0)
  })

  it('removes and replaces nothing if only some environments were rendered', () => {
    const { texts: now, changes } = update(texts, used, false)
    expect(now.get('a.txt')).toBe(`${texts['a.txt']}quay.io/a/new:1\nquay.io/a/one:2\n`)
    expect(changes.filter(({ from }) => from !== undefined)).toEqual([])
    const driver = { ...use('nvcr.io/nvidia/driver:550', 'prod: a'), perNode: true as const }
    const lists = { 'a.txt': 'nvcr.io/nvidia/driver:535-ubuntu22.04\n' }
    expect(update(lists, [driver], false).texts.get('a.txt')).toBe(
      'nvcr.io/nvidia/driver:535-ubuntu22.04\nnvcr.io/nvidia/driver:550-ubuntu22.04\n',
    )
  })

  it('adds an image once if it leaks in one release only', () => {
    const both = [
      use('quay.io/b/new:1', 'prod: b'),
      { ...use('quay.io/b/new:1', 'prod: b'), onSite: 'other', leak: true },
    ]
    const { changes, resolved } = update({ 'b.txt': 'quay.io/b/one:1\n' }, [
      use('quay.io/b/one:1', 'prod: b'),
      ...both,
    ])
    expect([changes, resolved]).toEqual([[{ list: 'b.txt', to: 'quay.io/b/new:1' }], 2])
  })

  it('keeps the line ends of the list', () => {
    const { texts: now } = update({ 'b.txt': 'quay.io/b/one:1\r\n' }, [
      use('quay.io/b/one:1', 'prod: b'),
      use('quay.io/b/new:$&', 'prod: b'),
    ])
    expect(now.get('b.txt')).toBe('quay.io/b/one:1\r\nquay.io/b/new:$&\r\n')
  })

  it('keeps the OS of each node where the tag gets it from the operator', () => {
    const lists = {
      'a.txt': 'nvcr.io/nvidia/driver:535-ubuntu22.04\nnvcr.io/nvidia/driver:535-rhel9.4\n',
    }
    const driver = { ...use('nvcr.io/nvidia/driver:550', 'prod: a'), perNode: true as const }
    const { texts: now, byHand, resolved } = update(lists, [driver])
    expect(now.get('a.txt')).toBe(
      'nvcr.io/nvidia/driver:550-ubuntu22.04\nnvcr.io/nvidia/driver:550-rhel9.4\n',
    )
    expect([byHand, resolved]).toEqual([[], 3])
  })

  it('lists no tag without the OS of the nodes, and removes none that has another form', () => {
    const driver = { ...use('nvcr.io/nvidia/driver:550', 'prod: a'), perNode: true as const }
    const lists = { 'a.txt': 'nvcr.io/nvidia/driver:535\nquay.io/a/one:1\n' }
    const { changes, byHand } = update(lists, [use('quay.io/a/one:1', 'prod: a'), driver])
    expect(changes).toEqual([])
    expect(byHand).toEqual([expect.stringMatching(/^nvcr\.io\/nvidia\/driver:550-OS, once for each OS/)])
  })

  it('adds no image of unknown upstream, and keeps the entries that may be it', () => {
    const unknown = {
      ...use('t/job:2', 'prod: a'),
      onSite: 'registry.invalid/t/job:2',
      unknown: true as const,
    }
    const lists = { 'a.txt': 'quay.io/other/job:1\nquay.io/a/one:1\nquay.io/a/old:1\n' }
    const { texts: now, byHand } = update(lists, [use('quay.io/a/one:1', 'prod: a'), unknown])
    expect(now.get('a.txt')).toBe('quay.io/other/job:1\nquay.io/a/one:1\n')
    expect(byHand).toEqual(['quay.io/other/job:1', 't/job:2'])
  })

  it('leaves a list as it is whose entry is served under the path of an image of unknown upstream', () => {
    const unknown = {
      ...use('t/job:1', 'prod: a'),
      onSite: 'registry.invalid/t/job:1',
      unknown: true as const,
    }
    expect(update({ 'a.txt': 'quay.io/t/job:1\n' }, [unknown])).toMatchObject({ changes: [], byHand: [] })
  })
})
