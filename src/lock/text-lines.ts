import { z } from 'zod'

/**
 * A verbatim text of several lines in a lock, such as a package's element of primary.xml: a list of its lines, so that a changed line is
 * one line of a review. A text of one line is a string; so is every text in locks of earlier versions.
 */
export const textLinesSchema = z.union([z.string(), z.array(z.string())])
export type TextLines = z.infer<typeof textLinesSchema>

/** The form that a lock has: `joinedLines` returns the same text. */
export function toTextLines(text: string): TextLines {
  return text.includes('\n') ? text.split('\n') : text
}

export function joinedLines(text: TextLines): string {
  return typeof text === 'string' ? text : text.join('\n')
}

/** A value of a lock with every text of several lines as the list of its lines: equal for locks that differ only in that form. */
export function inTextLines(value: unknown): unknown {
  if (typeof value === 'string') return toTextLines(value)
  if (Array.isArray(value)) return value.map(inTextLines)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, inTextLines(member)]))
}
