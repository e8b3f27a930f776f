import { spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'

const scripts = resolve(import.meta.dirname, '../../scripts')
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-legacy-'))
  // what the wrappers call: these print their folder and their words
  await mkdir(join(folder, 'bin'))
  for (const name of ['offline-deploy', 'helmfile']) {
    const path = join(folder, 'bin', name)
    await writeFile(
      path,
      `#!/bin/sh\nprintf '%s' "${name} in $PWD"\nfor word; do printf ' [%s]' "$word"; done\n`,
    )
    await chmod(path, 0o755)
  }
  await mkdir(join(folder, 'tree', 'environments', 'prod'), { recursive: true })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function run(script: string, words: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync('bash', [join(scripts, script), ...words], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, ASTRAGO_TREE: join(folder, 'tree'), ...env },
  })
  return { status, stdout, stderr }
}

describe('offline_deploy_astrago.sh', () => {
  it.each([
    [['env'], '[init]'],
    [['env', '--dry-run'], '[init] [--dry-run]'],
    [['sync'], '[apply]'],
    [['sync', '--yes', '--skip', 'gpu driver'], '[apply] [--yes] [--skip] [gpu driver]'],
    [['sync', 'harbor', '--yes'], '[apply] [--only] [app-harbor] [--yes]'],
    [['destroy'], '[destroy]'],
    [['destroy', 'harbor', '--yes'], '[destroy] [harbor] [--yes]'],
  ])('%j', (words, expected) => {
    expect(run('offline_deploy_astrago.sh', words)).toEqual({
      status: 0,
      stdout: `offline-deploy in ${folder} ${expected}`,
      stderr: '',
    })
  })

  it('starts the program of OFFLINE_DEPLOY, and says what to unpack where there is none', async () => {
    const other = join(folder, 'my program')
    await writeFile(other, '#!/bin/sh\necho mine\n', { mode: 0o755 })
    expect(run('offline_deploy_astrago.sh', ['sync'], { OFFLINE_DEPLOY: other }).stdout).toBe('mine\n')
    expect(run('offline_deploy_astrago.sh', ['sync'], { PATH: '/usr/bin:/bin' })).toMatchObject({
      status: 7,
      stderr: expect.stringContaining('tar xf bundle.tar offline-deploy'),
    })
  })
})

describe('deploy_astrago.sh', () => {
  const helmfile = '[--file] [helmfile.yaml.gotmpl] [--environment] [prod]'

  it.each([
    [['sync'], `${helmfile} [sync]`],
    [['sync', 'harbor', '--debug'], `${helmfile} [--selector] [app=harbor] [sync] [--debug]`],
    [['destroy', 'harbor'], `${helmfile} [--selector] [app=harbor] [destroy]`],
  ])('%j', (words, expected) => {
    expect(run('deploy_astrago.sh', words)).toEqual({
      status: 0,
      stdout: `helmfile in ${join(folder, 'tree')} ${expected}`,
      stderr: '',
    })
  })

  it('creates the secrets of the environment, and names the file to edit', () => {
    const { status, stdout } = run('deploy_astrago.sh', ['env'])
    expect(status).toBe(0)
    expect(stdout).toContain(`[secrets] [${join(folder, 'tree')}] [--env] [prod]`)
    expect(stdout).toContain(`now edit ${join(folder, 'tree')}/environments/prod/values.yaml`)
  })

  it('refuses an environment that the tree does not have', () => {
    expect(run('deploy_astrago.sh', ['sync'], { ASTRAGO_ENV: 'gone' })).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('gone is not an environment'),
    })
  })

  it('selects by a label that each application of the tree has', async () => {
    const tree = resolve(import.meta.dirname, '../../bundle/astrago')
    const { applications } = parse(await readFile(join(tree, 'install.yaml'), 'utf8'))
    expect(applications.order.length).toBeGreaterThan(0)
    for (const name of applications.order) {
      const text = await readFile(join(tree, 'applications', name, 'helmfile.yaml.gotmpl'), 'utf8')
      expect(text, name).toMatch(new RegExp(`app: ${name}\\b`))
    }
  })
})

it.each(['offline_deploy_astrago.sh', 'deploy_astrago.sh'])('%s explains itself', script => {
  for (const words of [[], ['install']])
    expect(run(script, words)).toMatchObject({ status: 2, stderr: expect.stringContaining('sync [app]') })
})
