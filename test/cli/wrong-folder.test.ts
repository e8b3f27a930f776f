import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const program = resolve(import.meta.dirname, '../../src/cli/airgap.ts')
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-folder-'))
  await writeFile(join(folder, 'prod.yaml'), 'apiVersion: airgap/v1\nname: prod\nversion: "1"\n')
  await writeFile(join(folder, 'values.yaml'), 'a: 1\n')
  await writeFile(join(folder, 'prod-1.tar'), '')
  await writeFile(join(folder, 'prod.lock.json'), '{}')
  await mkdir(join(folder, 'empty'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function airgap(args: string[], cwd = folder) {
  const { status, stderr } = spawnSync(process.execPath, [program, ...args], { cwd, encoding: 'utf8' })
  return { status, stderr }
}

describe('a path that does not exist', () => {
  it.each([
    [['lock'], 'pass the manifest with -f, for example -f prod.yaml'],
    [['verify', 'stack.tar'], 'pass the path of the bundle, such as prod-1.tar'],
    [['inspect', 'stack.tar'], 'pass the path of the bundle, such as prod-1.tar'],
    [['verify', '.'], 'pass the path of the bundle itself, such as prod-1.tar'],
    [['diff', 'a.lock.json', 'prod.lock.json'], 'pass the path of the lockfile, such as prod.lock.json'],
    [['inspect', 'prod.yaml'], 'pass its lockfile: prod.lock.json'],
  ])('names what is near: %j', (args, next) => {
    const { status, stderr } = airgap(args)
    expect(stderr).toContain(`  next:   ${next}\n`)
    expect(status).toBeGreaterThan(1)
  })

  it('names the next command where nothing is near', () => {
    const empty = join(folder, 'empty')
    expect(airgap(['lock'], empty).stderr).toContain('create one with `airgap init stack.yaml`')
    expect(airgap(['verify', 'x.tar'], empty).stderr).toContain('the .tar that `airgap build` wrote')
    expect(airgap(['inspect', 'x.lock.json'], empty).stderr).toContain('write it with `airgap lock`')
  })
})
