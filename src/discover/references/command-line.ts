import { withoutTrailing } from '../../core/trim.ts'
import type { Named } from './join.ts'

/** `--x-image=a/b:1`, `-x-image "a/b:1"`, `X_IMAGE=a/b:1` in a shell script. */
const flag = /^--?([A-Za-z][A-Za-z0-9._-]*)(?:=(.*))?$/
const assignment = /^([A-Za-z_][A-Za-z0-9_]*)=(.+)$/

/**
 * Returns the flags and assignments of a command line with their values; `place` is that of the value. A value may be the next
 * word. Words that contain white space are scripts, and are split.
 */
export function flagsOf(words: readonly { text: string; place: string }[]): Named[] {
  const all = words.flatMap(({ text, place }) =>
    /\s/.test(text) ? scriptWords(text).map(word => ({ text: word, place })) : [{ text, place }],
  )
  return all.flatMap(({ text, place }, i): Named[] => {
    const assigned = assignment.exec(text)
    if (assigned !== null) return [{ name: assigned[1]!, value: unquoted(assigned[2]!), place }]
    const found = flag.exec(text)
    if (found === null) return []
    const [, name, value] = found
    if (value !== undefined) return [{ name: name!, value: unquoted(value), place }]
    const next = all[i + 1]
    if (next === undefined || next.text.startsWith('-')) return []
    return [{ name: name!, value: unquoted(next.text), place: next.place }]
  })
}

/** Without the continuation of lines and without comments. */
function scriptWords(text: string): string[] {
  return text
    .replace(/\\\r?\n/g, ' ')
    .replace(/(?:^|\s)#\s.*$/gm, '')
    .split(/[\s;|&()`]+/)
    .map(word => withoutTrailing(word.replace(/^["']/, ''), `"',\\`))
    .filter(word => word !== '')
}

function unquoted(text: string): string {
  return text.replace(/^["']|["']$/g, '')
}
