import { AirgapError } from '../../../src/core/errors.ts'
import { isRoot, missingPrograms } from '../run.ts'
import type { Report } from './report.ts'

/** What every part of the demo is given. */
export interface DemoContext {
  options: DemoOptions
  report: Report
  /** a new folder, removed at the end */
  work: string
  /** kept between runs: what is slow to make */
  cache: string
  /** closed at the end, last one first, also after failures */
  resources: AsyncDisposableStack
  signal: AbortSignal
}

export interface DemoOptions {
  /** fetch from the public registries */
  online: boolean
  /** leave the work folder */
  keep: boolean
  /** do it in a closed network, where that is possible */
  network: boolean
}

/** Folder of the checkout. */
const usage = 'usage: scripts/demo [--online] [--keep] [--no-network-namespace]'

/** USAGE */
export function parseDemoOptions(args: readonly string[]): DemoOptions {
  const known = ['--online', '--keep', '--no-network-namespace']
  const unknown = args.find(arg => !known.includes(arg))
  if (unknown !== undefined)
    throw new AirgapError('USAGE', 'not an option of the demo', { item: unknown, next: usage })
  return {
    online: args.includes('--online'),
    keep: args.includes('--keep'),
    network: !args.includes('--no-network-namespace'),
  }
}

/** Why a part cannot be shown on this machine; undefined if it can. */
export function obstacle(needs: { root: boolean; programs: readonly string[] }): string | undefined {
  const missing = missingPrograms(needs.programs)
  if (missing.length > 0) return `missing: ${missing.join(', ')}`
  return needs.root && !isRoot ? 'not root' : undefined
}

/** A step did what it was to do, but not with the result that it was to show. */
export function notShown(what: string, item: string): AirgapError {
  return new AirgapError('STEP_FAILED', what, {
    item,
    next: 'run it again with --keep and look at the work folder',
  })
}
