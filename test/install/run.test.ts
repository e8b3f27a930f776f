import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AirgapError } from '../../src/core/errors.ts'
import { openJournal, readJournal } from '../../src/install/journal.ts'
import { planSteps } from '../../src/install/plan.ts'
import { runSteps, undoSteps } from '../../src/install/run.ts'
import type { Step } from '../../src/install/step.ts'
import { tempFolder, testContext, testStep } from './support.ts'

async function runOnce(path: string, steps: Step[], now?: () => Date) {
  const journal = await openJournal(path, { site: 'here' })
  try {
    return await runSteps(steps, { journal, context: testContext(now ? { now } : {}) })
  } finally {
    await journal.close()
  }
}

describe('runSteps', () => {
  it('runs each step once, in order', async () => {
    const path = join(await tempFolder(), 'journal')
    const log: string[] = []
    const steps = [testStep('a', log), testStep('b', log, { needs: ['a'] })]
    await runOnce(path, steps)
    expect(log).toEqual(['apply a', 'apply b'])
    const again = await runOnce(path, steps)
    expect(log).toHaveLength(2)
    expect(again.map(step => step.result)).toEqual(['skipped', 'skipped'])
  })

  it('runs again the steps whose input changed', async () => {
    const path = join(await tempFolder(), 'journal')
    const log: string[] = []
    const steps = (address: string) => [
      testStep('verify', log),
      testStep('serve', log, { inputs: { address } }),
      testStep('lay', log),
    ]
    await runOnce(path, steps('10.0.0.1'))
    log.length = 0
    const results = await runOnce(path, steps('10.0.0.2'))
    expect(log).toEqual(['apply serve'])
    expect(results.map(step => step.reason)).toEqual(['done', 'inputs changed', 'done'])
  })

  it('runs a step again where its check says that something changed', async () => {
    const path = join(await tempFolder(), 'journal')
    const log: string[] = []
    let state: 'done' | 'pending' = 'done'
    const steps = [testStep('a', log, { check: () => state })]
    await runOnce(path, steps)
    state = 'pending'
    expect((await runOnce(path, steps))[0]?.reason).toBe('changed since')
    expect(log).toHaveLength(2)
  })

  it('stops at a failure with its own error, and continues there', async () => {
    const path = join(await tempFolder(), 'journal')
    const log: string[] = []
    let broken = true
    const failing = async () => {
      if (broken) throw new AirgapError('PORT_IN_USE', 'port 1 is in use')
    }
    const steps = [testStep('a', log), testStep('b', log, { apply: failing }), testStep('c', log)]
    await expect(runOnce(path, steps)).rejects.toMatchObject({ code: 'PORT_IN_USE', exitCode: 7 })
    expect((await readJournal(path, { site: 'here' })).map(each => `${each.step} ${each.event}`)).toEqual([
      'a started',
      'a done',
      'b started',
      'b failed',
    ])
    broken = false
    const results = await runOnce(path, steps)
    expect(log).toEqual(['apply a', 'apply b', 'apply b', 'apply c'])
    expect(results.map(step => step.reason)).toEqual(['done', 'failed', 'never run'])
  })

  it('runs a step again that was killed', async () => {
    const path = join(await tempFolder(), 'journal')
    const log: string[] = []
    const steps = [testStep('a', log)]
    const journal = await openJournal(path, { site: 'here' })
    const { stepKey } = await import('../../src/install/step.ts')
    await journal.record({ step: 'a', key: await stepKey(steps[0]!), event: 'started', at: '' })
    await journal.close()
    expect((await runOnce(path, steps))[0]?.reason).toBe('not finished')
  })

  it('fault 80: decides nothing by the clock', async () => {
    const path = join(await tempFolder(), 'journal')
    const log: string[] = []
    const steps = [testStep('a', log)]
    await runOnce(path, steps, () => new Date('2027-11-23T00:00:00Z'))
    await runOnce(path, steps, () => new Date('2025-11-23T00:00:00Z'))
    expect(log).toEqual(['apply a'])
  })

  it('fault 97: writes digests of inputs to the journal, not the inputs', async () => {
    const path = join(await tempFolder(), 'journal')
    await runOnce(path, [testStep('a', [], { inputs: { note: 'hunter2' } })])
    expect(JSON.stringify(await readJournal(path, { site: 'here' }))).not.toContain('hunter2')
  })

  it('refuses steps that are not in order', async () => {
    const path = join(await tempFolder(), 'journal')
    const steps = [testStep('a', [], { needs: ['b'] }), testStep('b', [])]
    await expect(runOnce(path, steps)).rejects.toMatchObject({ code: 'INTERNAL' })
    await expect(runOnce(path, [testStep('a', []), testStep('a', [])])).rejects.toMatchObject({
      code: 'INTERNAL',
    })
  })
})

describe('planSteps', () => {
  it('returns what would be done and why, and does nothing', async () => {
    const path = join(await tempFolder(), 'journal')
    const log: string[] = []
    await runOnce(path, [testStep('a', log)])
    const entries = await readJournal(path, { site: 'here' })
    const plan = await planSteps([testStep('a', log), testStep('b', log)], {
      entries,
      context: testContext(),
    })
    expect(plan).toMatchObject([
      { id: 'a', state: 'done', reason: 'done', doneAt: expect.any(String) },
      { id: 'b', state: 'pending', reason: 'never run', does: ['does b'] },
    ])
    expect(log).toEqual(['apply a'])
  })
})

describe('undoSteps', () => {
  it('undoes the last step first, past failures; an undone step runs again', async () => {
    const path = join(await tempFolder(), 'journal')
    const log: string[] = []
    const steps = [
      testStep('a', log),
      {
        ...testStep('b', log),
        undo: async () => Promise.reject(new AirgapError('VALUES_CHANGED', 'edited')),
      },
      testStep('c', log),
      testStep('never', log),
    ]
    await runOnce(path, steps.slice(0, 3))
    const journal = await openJournal(path, { site: 'here' })
    const results = await undoSteps(steps, { journal, context: testContext() })
    await journal.close()
    expect(results.map(step => `${step.id} ${step.result}`)).toEqual([
      'never nothing to undo',
      'c undone',
      'b failed',
      'a undone',
    ])
    log.length = 0
    await runOnce(path, steps.slice(0, 3))
    expect(log).toEqual(['apply a', 'apply c'])
  })
})
