import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { home } from '../../scripts/lib/places.ts'
import { seconds } from '../../scripts/lib/testing/longest-first.ts'
import { leftOut } from '../../scripts/lib/testing/summary-reporter.ts'

describe('the line of skipped tests', () => {
  it('groups tests by reason: the note, or the nearest (needs …)', () => {
    const file = 'test/a.test.ts'
    expect(
      leftOut([
        { file, name: 'tar (needs tar) > busybox (needs busybox) > reads' },
        { file, name: 'tar of busybox (needs busybox) > lists' },
        { file, name: 'GPU (needs nothing more) > metrics', note: 'no GPU' },
        { file: 'test/b.test.ts', name: 'of two\n  lines' },
      ]),
    ).toBe(
      'skipped, needs busybox: test/a.test.ts > tar (needs tar) > busybox (needs busybox) > reads, ' +
        'test/a.test.ts > tar of busybox (needs busybox) > lists; ' +
        'no GPU: test/a.test.ts > GPU (needs nothing more) > metrics; ' +
        'without a reason: test/b.test.ts > of two lines',
    )
  })

  it.each(globSync('test/**/*.test.ts', { cwd: home, exclude: ['test/scripts/testing.test.ts'] }))(
    'every condition in %s names its reason',
    file => {
      const text = readFileSync(join(home, file), 'utf8')
      const titles = [
        ...text.matchAll(/\.skipIf\([\s\S]*?\)(?:\.each\([^)]*\))?\(\s*(['"`])([\s\S]*?)\1,/g),
      ].map(match => match[2]!)
      expect(titles.length).toBe(text.split('.skipIf(').length - 1)
      expect(titles.filter(title => !/\((?:needs |\$\{needs|\$\{missing)|\$\{needs\(/.test(title))).toEqual(
        [],
      )
    },
  )
})

it('the files that start first exist', () => {
  expect(Object.keys(seconds).filter(file => !existsSync(join(home, file)))).toEqual([])
})
