import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { silentProgress } from '../../src/core/progress.ts'
import type { Step, StepContext, UndoStep } from '../../src/install/step.ts'

export async function tempFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-install-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export function testContext(options: { now?: () => Date } = {}): StepContext & { notes: string[] } {
  const notes: string[] = []
  return {
    notes,
    progress: { ...silentProgress, note: text => void notes.push(text) },
    signal: new AbortController().signal,
    now: options.now ?? (() => new Date()),
  }
}

/** A step that writes down what happens to it. */
export function testStep(
  id: string,
  log: string[],
  options: {
    inputs?: object
    needs?: string[]
    apply?: () => Promise<void>
    check?: () => 'done' | 'pending'
  } = {},
): Step & UndoStep {
  return {
    id,
    title: `step ${id}`,
    needs: options.needs ?? [],
    inputs: options.inputs ?? {},
    describe: async () => [`does ${id}`],
    check: async () => options.check?.() ?? 'done',
    async apply() {
      log.push(`apply ${id}`)
      await options.apply?.()
    },
    async undo() {
      log.push(`undo ${id}`)
    },
  }
}
