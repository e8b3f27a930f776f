import type { ChildProcess } from 'node:child_process'
import { AirgapError } from '../../../src/core/errors.ts'

/** Repeats `attempt` until it does not throw. Throws STEP_FAILED after `withinMs`. */
export async function until(
  attempt: () => Promise<unknown>,
  options: { what: string; withinMs: number },
): Promise<void> {
  const end = performance.now() + options.withinMs
  for (;;) {
    try {
      await attempt()
      return
    } catch (cause) {
      if (performance.now() > end) {
        throw new AirgapError('STEP_FAILED', `${options.what} did not start`, {
          item: options.what,
          likely: 'the kernel of this machine lacks a feature that it needs (cgroups, overlayfs)',
          next: `start ${options.what} by hand and read its output`,
          cause,
        })
      }
    }
    await new Promise(go => setTimeout(go, 100))
  }
}

/** Ends a process with SIGTERM, or after 5 s with SIGKILL, and waits for its end. */
export async function ended(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise(done => child.once('close', done))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
  await gone
  clearTimeout(timer)
}
