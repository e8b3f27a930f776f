import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import type { PlannedStep } from '../../src/install/plan.ts'
import { readPlanFile, refuseChangedPlan, writePlanFile } from '../../src/install/plan-file.ts'
import { selectSteps } from '../../src/install/select.ts'
import { testStep } from './support.ts'

const steps = ['verify', 'nodes', 'app-a', 'app-b'].map((id, i, all) =>
  testStep(id, [], { needs: i === 0 ? [] : [all[i - 1]!] }),
)
const ids = (selection: Parameters<typeof selectSteps>[1]) =>
  selectSteps(steps, selection).map(({ id }) => id)

describe('selectSteps', () => {
  it.each([
    [{}, ['verify', 'nodes', 'app-a', 'app-b']],
    [{ only: ['app-b', 'verify'] }, ['verify', 'app-b']],
    [{ only: ['app'] }, ['app-a', 'app-b']],
    [{ from: 'app' }, ['app-a', 'app-b']],
    [{ from: 'nodes', skip: ['app-a'] }, ['nodes', 'app-b']],
  ])('%j', (selection, wanted) => {
    expect(ids(selection)).toEqual(wanted)
  })

  it('keeps the step that `keep` names, unless `skip` does too', () => {
    expect(ids({ only: ['nodes'], keep: 'verify' })).toEqual(['verify', 'nodes'])
    expect(ids({ from: 'app', keep: 'verify' })).toEqual(['verify', 'app-a', 'app-b'])
    expect(ids({ from: 'app', keep: 'verify', skip: ['verify'] })).toEqual(['app-a', 'app-b'])
    expect(() => ids({ only: ['nodes'], skip: ['nodes'], keep: 'verify' })).toThrow(
      /the options select no step/,
    )
  })

  it('assumes that steps that are left out are done', () => {
    expect(selectSteps(steps, { only: ['app-b'] })[0]?.needs).toEqual([])
  })

  it('refuses an unknown step, and a selection of nothing', () => {
    expect(() => ids({ only: ['node'] })).toThrow(expect.objectContaining({ code: 'USAGE', item: 'node' }))
    expect(() => ids({ only: ['nodes'], skip: ['nodes'] })).toThrow(/the options select no step/)
  })
})

describe('a saved plan', () => {
  const step = (more: Partial<PlannedStep> = {}): PlannedStep => ({
    id: 'nodes',
    title: 'machines',
    state: 'pending',
    reason: 'never run',
    does: ['a', 'b'],
    key: digestOf('1'),
    ...more,
  })

  it('is accepted as long as nothing has changed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'airgap-plan-'))
    const path = join(folder, 'plan.json')
    const asked = { only: ['nodes'], limit: 'gpu-1' }
    await writePlanFile(path, { site: 's', asked, steps: [step()] })
    const planned = await readPlanFile(path)
    expect(planned.asked).toEqual(asked)
    const now = (...found: PlannedStep[]) =>
      refuseChangedPlan(planned, { site: 's', steps: found, file: path })
    now(step())
    for (const [changed, words] of [
      [[step({ key: digestOf('2') })], /nodes: its inputs have changed/],
      [[step({ state: 'done', reason: 'done' })], /nodes: was pending, is done/],
      [[step({ does: ['a', 'c'] })], /- b\n +\+ c/],
      [[], /nodes: this step no longer exists/],
      [[step(), step({ id: 'nfs' })], /nfs: this step is new/],
    ] as const)
      expect(() => now(...changed)).toThrow(
        expect.objectContaining({ code: 'PLAN_CHANGED', message: expect.stringMatching(words) }),
      )
    await writeFile(path, '{"planVersion": 2}')
    await expect(readPlanFile(path)).rejects.toMatchObject({ code: 'PLAN_CHANGED' })
    await rm(folder, { recursive: true })
  })
})
