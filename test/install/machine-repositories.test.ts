import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writeMachineRepositories } from '../../src/install/machine-repositories.ts'
import { undoFiles } from '../../src/site/managed-files.ts'
import { testContext } from './support.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-releases-'))
  await mkdir(join(folder, 'bin'))
  await mkdir(join(folder, 'work'))
  await mkdir(join(folder, 'inventory'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** ansible as it prints what machines answer; a test cannot have machines of six systems */
async function answering(releases: Record<string, string>): Promise<void> {
  const lines = Object.entries(releases).map(([machine, release]) => {
    const content = Buffer.from(release).toString('base64')
    return `${machine} | SUCCESS => ${JSON.stringify({ changed: false, content, encoding: 'base64' })}`
  })
  await writeFile(
    join(folder, 'answers'),
    [...lines, 'off | UNREACHABLE! => {"msg": "timed out"}', ''].join('\n'),
  )
  await writeFile(join(folder, 'bin/ansible'), `#!/bin/sh\ncat '${folder}/answers'\nexit 4\n`, {
    mode: 0o755,
  })
}
const record = () => join(folder, 'inventory.json')
const file = () => join(folder, 'inventory/repositories.json')
const choose = (repositories: string[]) =>
  writeMachineRepositories(
    {
      ansible: {
        bin: join(folder, 'bin'),
        inventory: join(folder, 'inventory/hosts.yaml'),
        knownHosts: join(folder, 'known_hosts'),
        work: join(folder, 'work'),
        passwords: {},
        program: name => ({
          log: join(folder, `${name}.log`),
          running: join(folder, 'running.json'),
          silenceMs: 0,
        }),
      },
      pattern: 'all',
      repositories,
      folder: join(folder, 'inventory'),
      record: record(),
    },
    testContext(),
  )
const chosen = async () => JSON.parse(await readFile(file(), 'utf8'))
const rocky = 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\nPLATFORM_ID="platform:el9"\n'
const oracle = 'ID="ol"\nID_LIKE="fedora"\nVERSION_ID="9.3"\nPLATFORM_ID="platform:el9"\n'
const ubuntu = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n'
const debian = 'ID=debian\nVERSION_ID="12"\n'

describe('the repositories of machines', () => {
  it('are those that a manifest names after their release, beside the inventory', async () => {
    await answering({ a: rocky, b: oracle, c: ubuntu, d: debian })
    await choose(['debian-12', 'el9', 'rocky-9', 'ubuntu-22.04'])
    expect(await chosen()).toEqual({ a: 'rocky-9', b: 'el9', c: 'ubuntu-22.04', d: 'debian-12' })
    await undoFiles(record())
    await expect(readFile(file())).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('stay for machines that are not queried or do not answer', async () => {
    await answering({ a: rocky, off: debian })
    await choose(['el9', 'debian-12'])
    await answering({ a: rocky })
    await choose(['el9', 'rocky-9.4', 'debian-12'])
    expect(await chosen()).toEqual({ a: 'rocky-9.4', off: 'debian-12' })
  })

  it('are none where the bundles have no packages: machines keep their own sources', async () => {
    await answering({ a: rocky, b: 'nothing to see' })
    await choose([])
    expect(await chosen()).toEqual({ a: '', b: '' })
  })

  it('must be there for each machine, whatever it says of itself', async () => {
    const releases = {
      a: rocky,
      b: 'ID="openEuler"\nVERSION_ID="22.03"\n',
      c: 'ID=x\nVERSION_ID="/../../etc"\n',
      d: '\0',
    }
    await answering(releases)
    await expect(choose(['el9', '../../etc'])).rejects.toMatchObject({
      code: 'STEP_FAILED',
      item: 'b: openeuler-22.03, c: x-/../../etc, d: unknown release',
      likely: expect.stringContaining('el9'),
    })
    await expect(readFile(file())).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
