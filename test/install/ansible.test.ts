import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Ansible, runModule, runPlaybook } from '../../src/install/ansible.ts'
import { testContext } from './support.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "airgap USB 100% it's-"))
  await mkdir(join(folder, 'bin'))
  await mkdir(join(folder, 'work'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const ansible = (): Ansible => ({
  bin: join(folder, 'bin'),
  inventory: join(folder, 'hosts.yaml'),
  knownHosts: join(folder, 'known hosts'),
  work: join(folder, 'work'),
  passwords: {},
  program: name => ({ log: join(folder, `${name}.log`), running: join(folder, 'running'), silenceMs: 0 }),
})
const program = (name: string, script: string) =>
  writeFile(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
const ask = () =>
  runModule(ansible(), {
    pattern: 'all',
    module: 'ping',
    arguments: {},
    name: 'ping',
    signal: new AbortController().signal,
  })

describe('ansible', () => {
  it('makes ssh keep host keys in the site’s file, whatever its path is', async () => {
    await program(
      'ansible',
      `printf '%s' "$ANSIBLE_SSH_ARGS" > '${join(folder, 'bin').replaceAll("'", `'\\''`)}/args'`,
    )
    await ask()
    const args = await readFile(join(folder, 'bin', 'args'), 'utf8')
    // ansible takes it apart by shlex
    const script = 'import json, shlex, sys; print(json.dumps(shlex.split(sys.argv[1])))'
    const words = JSON.parse(spawnSync('python3', ['-c', script, args], { encoding: 'utf8' }).stdout)
    const { stdout } = spawnSync('ssh', ['-G', '-F', '/dev/null', ...words, 'host'], { encoding: 'utf8' })
    expect(stdout).toContain(`userknownhostsfile ${join(folder, 'known hosts')}\n`)
  })

  it('uses no settings of the operator', async () => {
    await program('ansible', 'printf "%s\\n" "$ANSIBLE_CONFIG" > config; cat "$ANSIBLE_CONFIG" >> config')
    await ask()
    expect(await readFile(join(folder, 'work', 'config'), 'utf8')).toBe(
      `${join(folder, 'work', 'ansible.cfg')}\n`,
    )
  })

  it('uses the settings of kubespray for its playbooks', async () => {
    await writeFile(join(folder, 'ansible.cfg'), '[defaults]\n')
    await program('ansible-playbook', 'printf "%s" "$ANSIBLE_CONFIG" > config')
    await runPlaybook(ansible(), { name: 'x', playbook: 'cluster.yml', cwd: folder }, testContext())
    expect(await readFile(join(folder, 'config'), 'utf8')).toBe(join(folder, 'ansible.cfg'))
  })

  it('does not report failures that the playbook ignores', async () => {
    const failed = (task: string, msg: string) =>
      `TASK [${task}] ***\nfatal: [m]: FAILED! => ${JSON.stringify({ msg })}\n`
    await writeFile(
      join(folder, 'said'),
      `${failed('asks', 'not there')}...ignoring\n${failed('waits', 'too long')}`,
    )
    await program('ansible-playbook', 'cat said; exit 2')
    const error = await runPlaybook(
      ansible(),
      { name: 'x', playbook: 'x', cwd: folder },
      testContext(),
    ).catch(caught => caught)
    expect(error.message).toContain('m: waits: too long')
    expect(error.message).not.toContain('not there')
  })

  it('reports why a machine failed, however long the output before is', async () => {
    const said = JSON.stringify({ cmd: 'x'.repeat(20_000), changed: false, msg: 'no package of this name' })
    await writeFile(join(folder, 'said'), `TASK [packages] ***\nfatal: [gpu-1]: FAILED! => ${said}\n`)
    await program('ansible-playbook', 'cat said; exit 2')
    await expect(
      runPlaybook(ansible(), { name: 'x', playbook: 'nodes.yml', cwd: folder }, testContext()),
    ).rejects.toThrow('gpu-1: packages: no package of this name')
    expect(await readFile(join(folder, 'x.log'), 'utf8')).toContain('no package of this name')
  })
})
