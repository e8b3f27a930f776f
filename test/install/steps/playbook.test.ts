import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Ansible } from '../../../src/install/ansible.ts'
import { stepKey } from '../../../src/install/step.ts'
import { playbookStep } from '../../../src/install/steps/playbook.ts'
import { testContext } from '../support.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap playbook-'))
  await mkdir(join(folder, 'bin'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const ansible = (): Ansible => ({
  bin: join(folder, 'bin'),
  inventory: join(folder, 'hosts.yaml'),
  knownHosts: join(folder, 'known_hosts'),
  work: join(folder, 'work'),
  passwords: {},
  program: name => ({
    log: join(folder, `${name}.log`),
    running: join(folder, 'running.json'),
    silenceMs: 0,
  }),
})
const inputs = async () => ({ of: 1 })
const step = (limit?: { pattern: string; machines: string[] }) =>
  playbookStep({
    id: 'nodes',
    title: 'machines',
    needs: [],
    ansible: ansible(),
    cwd: folder,
    inputs,
    does: [],
    playbook: 'nodes.yml',
    pattern: 'all',
    machines: ['a', 'b'],
    limit,
  })
/** ansible as it answers for machines that cannot be had here */
const answers = async (lines: string[]) => {
  await mkdir(join(folder, 'work'), { recursive: true })
  const text = lines.map(line => `printf '%s\\n' '${line}'`).join('\n')
  await writeFile(join(folder, 'bin', 'ansible'), `#!/bin/sh\n${text}\nexit 2\n`, { mode: 0o755 })
}
const stamped = async (name: string) => {
  const content = Buffer.from(await stepKey({ id: 'nodes', inputs })).toString('base64')
  return `${name} | SUCCESS => {"changed": false, "content": "${content}"}`
}

describe('the step of a playbook', () => {
  it('is done where every machine has its key', async () => {
    await answers([await stamped('a'), await stamped('b')])
    expect(await step().check(testContext())).toBe('done')
    expect(await step({ pattern: 'a', machines: ['a'] }).check(testContext())).toBe('done')
  })

  it.each([
    [
      'was reinstalled',
      'b | FAILED! => {"changed": false, "msg": "file not found: /etc/airgap-nodes.stamp"}',
    ],
    ['does not answer', 'b | UNREACHABLE! => {"changed": false, "msg": "timed out", "unreachable": true}'],
  ])('is not done for a machine that %s, with a limit or without', async (_, line) => {
    await answers([await stamped('a'), line])
    expect(await step().check(testContext())).toBe('pending')
    expect(await step({ pattern: 'b', machines: ['b'] }).check(testContext())).toBe('pending')
    expect(await step({ pattern: 'a', machines: ['a'] }).check(testContext())).toBe('done')
  })

  it('is pending where ansible is not installed', async () => {
    expect(await step().check(testContext())).toBe('pending')
  })
})
