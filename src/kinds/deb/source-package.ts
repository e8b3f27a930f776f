import type { Candidate } from './candidate.ts'

/** Debian policy 5.6.1: `Source` is present only where its name or version differs from the package's. */
export function sourceOf({ name, version, builtFrom }: Candidate): { name: string; version: string } {
  if (builtFrom === undefined) return { name, version }
  const open = builtFrom.indexOf('(')
  if (open < 0) return { name: builtFrom.trim(), version }
  const close = builtFrom.indexOf(')', open)
  return {
    name: builtFrom.slice(0, open).trim(),
    version: builtFrom.slice(open + 1, close < 0 ? undefined : close).trim(),
  }
}
