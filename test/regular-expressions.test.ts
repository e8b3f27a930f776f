import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseSync } from 'oxc-parser'
import { analyse } from 'scslre'
import { expect, it } from 'vitest'

const home = resolve(import.meta.dirname, '..')

interface Pattern {
  file: string
  source: string
  flags: string
}

function patternsOf(file: string): Pattern[] {
  const found: Pattern[] = []
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    if ('regex' in node) {
      const { pattern, flags } = node.regex as { pattern: string; flags: string }
      found.push({ file, source: pattern, flags })
    }
    Object.values(node).forEach(visit)
  }
  visit(parseSync(file, readFileSync(join(home, file), 'utf8')).program)
  return found
}

/** Whether the time of a pattern can grow faster than the text, by backtracking or because each place of the text is a start. */
function isSuperLinear({ source, flags }: Pick<Pattern, 'source' | 'flags'>): boolean {
  return analyse({ source, flags }).reports.length > 0
}

/** Patterns on texts of this repository's users alone, which are short; why, by pattern. */
const excused: Record<string, string> = {
  '\\\\.|\\[\\^?\\]?(?:\\[:[a-z]+:\\]|[^\\]])*\\]': 'a POSIX expression of a manifest, one word',
}

it('regular expressions take linear time on any text (CWE-1333, fault 109)', () => {
  const files = globSync('src/**/*.ts', { cwd: home }).sort()
  const patterns = files.flatMap(patternsOf)
  expect(patterns.length).toBeGreaterThan(900)
  const found = patterns.filter(isSuperLinear).filter(({ source }) => !(source in excused))
  expect(found.map(({ file, source, flags }) => `${file}: /${source}/${flags}`)).toEqual([])
})

it.each([
  ['/+$', ''],
  ['[ \\t\\r]+$', ''],
  ['#.*$', ''],
  ['^\\s*(a+)+$', ''],
  ['^(?:[._-][a-z-]+)+!$', ''],
  ['^a:\\s*(.*?)\\s*$', 'i'],
])('the check finds /%s/%s', (source, flags) => {
  expect(isSuperLinear({ source, flags })).toBe(true)
})
