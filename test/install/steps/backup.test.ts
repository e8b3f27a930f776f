import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { backupStep } from '../../../src/install/steps/backup.ts'
import { tempFolder, testContext } from '../support.ts'

/** What `helm list` answers, and how `kubectl exec` ends, is all that decides here: scripts stand in for them. */
async function backUp({ releases, kubectl }: { releases: object[]; kubectl: string }) {
  const folder = await tempFolder()
  const bin = join(folder, 'bin')
  await mkdir(bin)
  const program = (name: string, script: string) =>
    writeFile(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  await program('helm', `case $1 in list) echo '${JSON.stringify(releases)}' ;; *) echo '{}' ;; esac`)
  await program('kubectl', kubectl)
  await writeFile(join(folder, 'site.yaml'), 'a: 1\n', { mode: 0o644 })
  const backups = join(folder, 'backups')
  const step = backupStep({
    folder: backups,
    copies: { 'site.yaml': join(folder, 'site.yaml') },
    cluster: { bin, kubeconfig: join(folder, 'config'), home: folder },
    ansible: {
      bin,
      inventory: '',
      knownHosts: '',
      work: folder,
      passwords: {},
      program: name => ({ log: join(folder, name), running: join(folder, 'running'), silenceMs: 0 }),
    },
    playbook: undefined,
    cwd: folder,
    inputs: async () => ({}),
    backups: [
      {
        name: 'db',
        application: 'app',
        namespace: 'app',
        workload: 'statefulset/db',
        command: ['dump'],
      },
    ],
  })
  const context = testContext()
  await step.apply(context)
  const [name = ''] = await readdir(backups)
  return { notes: context.notes, saved: join(backups, name) }
}

const installed = [{ name: 'app', namespace: 'app' }]

describe('the backup before an upgrade', () => {
  it('dumps the database of an installed application, readable by root only', async () => {
    const { saved } = await backUp({ releases: installed, kubectl: 'echo "-- a dump"' })
    expect(await readFile(join(saved, 'db.sql'), 'utf8')).toBe('-- a dump\n')
    const modes = (await readdir(saved)).map(async name => (await stat(join(saved, name))).mode & 0o777)
    expect(new Set(await Promise.all(modes))).toEqual(new Set([0o600]))
  })

  it('notes a database that is skipped because nothing is installed', async () => {
    const { saved, notes } = await backUp({ releases: [], kubectl: 'exit 1' })
    expect(notes).toContain('backup: db: skipped, no release is installed in app')
    expect(await readdir(saved)).toEqual(['releases.json', 'site.yaml'])
  })

  it.each(['exit 1', 'exit 0'])(
    'fails where the dump of an installed database is empty (%s)',
    async kubectl => {
      await expect(backUp({ releases: installed, kubectl })).rejects.toMatchObject({
        code: 'STEP_FAILED',
        item: 'app statefulset/db',
      })
    },
  )
})
