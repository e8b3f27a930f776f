import { appendFile, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openRotatedLog, previousLog } from '../../src/core/rotated-log.ts'

async function logPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-log-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'serve.log')
}

describe('openRotatedLog', () => {
  it('appends, and keeps at most twice the limit', async () => {
    const path = await logPath()
    await writeFile(path, 'before\n', { mode: 0o600 })
    const log = openRotatedLog(path, { limit: 1_000 })
    for (let i = 0; i < 500; i++) log.write(`line ${i}`)
    log.close()
    const [now, previous] = await Promise.all([path, previousLog(path)].map(one => readFile(one, 'utf8')))
    expect(now!.length).toBeLessThan(1_020)
    expect(previous!.length).toBeLessThan(1_020)
    // nothing between the two is lost
    const lines = `${previous}${now}`.trim().split('\n')
    expect(lines.at(-1)).toBe('line 499')
    const first = Number(lines[0]!.slice(5))
    expect(lines).toEqual(Array.from({ length: 500 - first }, (_, i) => `line ${first + i}`))
    expect((await stat(previousLog(path))).mode & 0o777).toBe(0o600)
  })

  it('does not write over what another descriptor of the file appends', async () => {
    const path = await logPath()
    const log = openRotatedLog(path, { limit: 50 })
    for (let i = 0; i < 20; i++) {
      log.write(`ours ${i}`)
      await appendFile(path, `standard error ${i}\n`)
    }
    log.close()
    const text = (await readFile(previousLog(path), 'utf8')) + (await readFile(path, 'utf8'))
    expect(text).toContain('ours 19\nstandard error 19\n')
    expect(text).not.toContain('\0')
  })

  it('goes to the new file where another program has renamed the old one, and survives a full disk', async () => {
    const path = await logPath()
    const log = openRotatedLog(path, { limit: 10 })
    log.write('1')
    await rename(path, `${path}.old`)
    log.write('more than the limit')
    log.write('2')
    log.close()
    expect(await readFile(path, 'utf8')).toBe('2\n')
    const full = openRotatedLog('/dev/full', { limit: 10 })
    full.write('no space left on the device')
    full.close()
  })

  it('keeps as many previous parts as it should, the newest first', async () => {
    const path = await logPath()
    const log = openRotatedLog(path, { limit: 100, keep: 3 })
    for (let i = 100; i < 200; i++) log.write(`line ${i}`)
    log.close()
    const names = (await readdir(dirname(path))).sort()
    expect(names).toEqual(['serve.log', 'serve.log.1', 'serve.log.2', 'serve.log.3'])
    const parts = await Promise.all([3, 2, 1].map(i => readFile(previousLog(path, i), 'utf8')))
    const lines = [...parts, await readFile(path, 'utf8')].join('').trim().split('\n')
    expect(lines).toEqual(Array.from({ length: lines.length }, (_, i) => `line ${200 - lines.length + i}`))
  })

  it('opens the file again when it is told to, and goes on where that fails', async () => {
    const path = await logPath()
    const log = openRotatedLog(path, { limit: 1_000 })
    log.write('1')
    await rename(path, `${path}.old`)
    log.reopen()
    log.write('2')
    expect([await readFile(`${path}.old`, 'utf8'), await readFile(path, 'utf8')]).toEqual(['1\n', '2\n'])
    await rename(dirname(path), `${dirname(path)}-moved`)
    onTestFinished(() => rm(`${dirname(path)}-moved`, { recursive: true, force: true }))
    log.reopen()
    log.write('3')
    log.close()
    expect(await readFile(join(`${dirname(path)}-moved`, 'serve.log'), 'utf8')).toBe('2\n3\n')
  })
})
