import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formatLock } from '../../src/lock/lock.ts'

const program = resolve(import.meta.dirname, '../../src/cli/airgap.ts')
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-inspect-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function inspect(...args: string[]) {
  const digest = `sha256:${'a'.repeat(64)}` as const
  const leftOut = [{ name: 'app 2.0\u001b', reason: 'its metadata cannot be read' }]
  const wheels = { name: 'py', distributions: [], leftOut }
  const file = {
    name: 'a\u001b[2Jb\u009b',
    url: 'https://a.example/x',
    digest,
    size: 3,
    executable: false,
  }
  const head = { lockVersion: 1 as const, name: 'x', version: '1', platforms: [], collisions: {} }
  const lock = join(folder, 'x.lock.json')
  await writeFile(
    lock,
    formatLock({ ...head, inputs: digest, runtime: [], items: { file: [file], wheel: [wheels] } }),
  )
  return spawnSync(process.execPath, [program, 'inspect', lock, ...args], { encoding: 'utf8' })
}

describe('airgap inspect', () => {
  it('lists what was left out with the reason', async () => {
    const { stdout } = await inspect('left-out')
    expect(stdout).toBe('wheel py: app 2.0\\x1b: its metadata cannot be read\n')
  })

  it.each([[[]], [['files']], [['lock']], [['files', '-o', 'yaml']]])(
    'prints no control characters: %j',
    async args => {
      const { status, stdout } = await inspect(...args)
      expect(status).toBe(0)
      expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
    },
  )

  it.each(['constructor', 'toString', 'pictures'])('refuses the unknown section %s', async what => {
    const { status, stderr } = await inspect(what)
    expect(status).toBe(2)
    expect(stderr).toContain('choose one of images')
  })
})
