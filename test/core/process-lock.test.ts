import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { acquireProcessLock } from '../../src/core/process-lock.ts'

async function lockPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-lock-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'x.lock')
}

/** A process that tries to take the lock, prints the result, and holds it until it is killed. */
function contender(path: string): ChildProcess {
  const module = resolve(import.meta.dirname, '../../src/core/process-lock.ts')
  const code = `
    import { acquireProcessLock } from ${JSON.stringify(module)}
    await acquireProcessLock(${JSON.stringify(path)}, 'x').then(() => console.log('held'), error => { console.log(error.code); process.exit() })
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

async function said(child: ChildProcess): Promise<string> {
  const [data] = await once(child.stdout!, 'data')
  return String(data).trim()
}

describe('acquireProcessLock', () => {
  it('is held once, and leaves no file when released', async () => {
    const path = await lockPath()
    const lock = await acquireProcessLock(path, 'the bundle')
    await expect(acquireProcessLock(path, 'the bundle')).rejects.toMatchObject({
      code: 'BUSY',
      exitCode: 10,
      item: 'the bundle',
    })
    await lock.release()
    expect(await readdir(join(path, '..'))).toEqual([])
    await (await acquireProcessLock(path, 'x')).release()
  })

  it.skipIf(!existsSync('/proc/self/stat'))(
    'takes over from a killed process, also before it is reaped (needs /proc)',
    async () => {
      const path = await lockPath()
      const child = contender(path)
      expect(await said(child)).toBe('held')
      await expect(acquireProcessLock(path, 'x')).rejects.toMatchObject({ code: 'BUSY' })
      child.kill('SIGKILL')
      await once(child, 'exit')
      const lock = await acquireProcessLock(path, 'x')
      await lock.release()
      expect(await readdir(join(path, '..'))).toEqual([])
    },
  )

  it.each([
    ['of another boot', { boot: 'another' }],
    ['whose pid another process has', { started: '1' }],
  ])('takes over a lock %s', async (_what, change) => {
    const path = await lockPath()
    await acquireProcessLock(path, 'x')
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), ...change }))
    await (await acquireProcessLock(path, 'x')).release()
  })

  it.each(['', 'garbage', '{"pid":-1}'])('takes over a lock file with the content %j', async text => {
    const path = await lockPath()
    await writeFile(path, text)
    await (await acquireProcessLock(path, 'x')).release()
  })

  it('does not remove a lock that is no longer its own', async () => {
    const path = await lockPath()
    const lock = await acquireProcessLock(path, 'x')
    await writeFile(path, '{"pid":1,"started":"x","boot":"y","nonce":"other"}')
    await lock.release()
    expect(await readFile(path, 'utf8')).toContain('other')
  })

  it('lets one of many take over a stale lock', async () => {
    const path = await lockPath()
    await writeFile(path, '{"pid":1,"started":"0","boot":"gone","nonce":"stale"}')
    const answers = await Promise.all(Array.from({ length: 6 }, () => said(contender(path))))
    expect(answers.sort()).toEqual(['BUSY', 'BUSY', 'BUSY', 'BUSY', 'BUSY', 'held'])
  })
})
