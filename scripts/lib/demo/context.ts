import { AirgapError } from '../../../src/core/errors.ts'
import { isRoot, missingPrograms } from '../run.ts'
import type { Report } from './report.ts'

/** What every part of the demo receives. */
export interface DemoContext {
  options: DemoOptions
  report: Report
  /** a new folder, removed at the end */
  work: string
  /** kept between runs, for what is slow to make */
  cache: string
  /** closed at the end in reverse order, also after failures */
  resources: AsyncDisposableStack
  signal: AbortSignal
}

export interface DemoOptions {
  /** fetch from the public registries */
  online: boolean
  /** keep the work folder */
  keep: boolean
  /** run in a closed network, where that is possible */
  network: boolean
}

const usage = 'usage: scripts/demo [--online] [--keep] [--no-network-namespace]'

/** Throws USAGE. */
export function parseDemoOptions(args: readonly string[]): DemoOptions {
  const known = ['--online', '--keep', '--no-network-namespace']
  const unknown = args.find(arg => !known.includes(arg))
  if (unknown !== undefined)
    throw new AirgapError('USAGE', 'unknown option of the demo', { item: unknown, next: usage })
  return {
    online: args.includes('--online'),
    keep: args.includes('--keep'),
    network: !args.includes('--no-network-namespace'),
  }
}

/** Returns why this machine cannot run a part of the demo; undefined if it can. */
export function obstacle(needs: { root: boolean; programs: readonly string[] }): string | undefined {
  const missing = missingPrograms(needs.programs)
  if (missing.length > 0) return `missing: ${missing.join(', ')}`
  return needs.root && !isRoot ? 'not root' : undefined
}

/** A step ran, but not with the expected result. */
export function notShown(what: string, item: string): AirgapError {
  return new AirgapError('STEP_FAILED', what, {
    item,
    next: 'run it again with --keep and inspect the work folder',
  })
}
