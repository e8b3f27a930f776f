import { diffArrays } from 'diff'
import { maskedLines } from '../core/secret-lines.ts'
import { maskValues, secretValues } from './secret-values.ts'

/** Lines removed and added at most; of larger differences only their number is reported. It also bounds the time. */
const maxChanges = 1_000

/**
 * Returns the changed lines of two YAML texts, marked `-` and `+` with their line numbers, without context. Values files hold
 * secrets: those are masked, and so are lines without a key, which may be part of one.
 */
export function diffLines(before: string, after: string): string[] {
  const [a, b] = [before.split('\n'), after.split('\n')]
  const parts = diffArrays(a, b, { maxEditLength: maxChanges })
  if (parts === undefined)
    return [`more than ${maxChanges} lines differ (${countLines(before)} before, ${countLines(after)} now)`]
  // masked as a whole: a secret may start above the first changed line
  const secrets = [...secretValues(before), ...secretValues(after)]
  const [old, now] = [shown(a), shown(b)]
  const changes: string[] = []
  let [i, j] = [0, 0]
  for (const { added, removed, count } of parts) {
    if (removed)
      for (let at = i; at < i + count; at++)
        changes.push(`- ${at + 1}: ${maskValues(old[at] ?? '', secrets)}`)
    if (added)
      for (let at = j; at < j + count; at++)
        changes.push(`+ ${at + 1}: ${maskValues(now[at] ?? '', secrets)}`)
    if (!added) i += count
    if (!removed) j += count
  }
  return changes
}

/** The same as one text. */
export function diffText(before: string, after: string): string {
  return diffLines(before, after).join('\n')
}

function shown(lines: readonly string[]): string[] {
  return maskedLines(lines, { mask: '…', keyless: 'mask' }).map(line => line?.replace(/\r$/, '␍') ?? '…')
}

function countLines(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
}
