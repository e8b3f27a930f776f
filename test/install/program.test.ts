import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { endMarked, markProgram } from '../../src/install/orphan-process.ts'
import { runStepProgram, type StepProgram } from '../../src/install/program.ts'
import { pathsOf, previewState } from '../../src/site/state.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-program-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const program = (script: string, more: Partial<StepProgram> = {}): StepProgram => ({
  command: ['sh', '-c', script],
  cwd: folder,
  env: { PATH: '/usr/bin:/bin' },
  log: join(folder, 'logs', 'step.log'),
  running: join(folder, 'running.json'),
  silenceMs: 0,
  signal: new AbortController().signal,
  ...more,
})
/** One that only waits to be reaped has ended. */
const alive = (pid: number) => {
  const found = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
  return /^[^Z\s]/.test(found.stdout)
}

describe('a program of a step', () => {
  it('prints into a log that only its owner can read', async () => {
    const lines: string[] = []
    const end = await runStepProgram(
      program('echo one; echo two >&2; exit 3', { onLine: line => lines.push(line) }),
    )
    expect(end.status).toBe(3)
    expect(lines.sort()).toEqual(['one', 'two'])
    expect(await readFile(join(folder, 'logs', 'step.log'), 'utf8')).toContain('one')
    expect((await stat(join(folder, 'logs', 'step.log'))).mode & 0o777).toBe(0o600)
  })

  it('that prints a line without end takes little memory, and its line is cut', async () => {
    const before = process.memoryUsage().rss
    const end = await runStepProgram(program(`head -c 300000000 /dev/zero | tr '\\0' x; echo; echo after`))
    expect(end.tail.at(-1)).toBe('after')
    expect((await stat(join(folder, 'logs', 'step.log'))).size).toBeLessThan(5 << 20)
    expect(process.memoryUsage().rss - before).toBeLessThan(150 << 20)
  })

  it('has lines that end with a carriage return, and characters that are cut by a buffer', async () => {
    const lines: string[] = []
    await runStepProgram(
      program(`printf 'a\\r\\nb\\303'; sleep 0.2; printf '\\251\\nlast'`, {
        onLine: line => lines.push(line),
      }),
    )
    expect(lines).toEqual(['a', 'bé', 'last'])
  })

  it('gets nothing of this process’s environment', async () => {
    process.env['AIRGAP_TEST_SECRET'] = 'hunter2'
    const end = await runStepProgram(program('env'))
    expect(end.tail.join()).not.toContain('hunter2')
  })

  it('is not ended by a command that only reads, at the same time', async () => {
    const { paths } = await previewState(folder)
    expect(paths.running).not.toBe((await previewState(folder)).paths.running)
    const working = runStepProgram(program('sleep 1; echo done', { running: pathsOf(folder).running }))
    await sleep(200)
    await runStepProgram(program('true', { running: paths.running }))
    expect(await working).toMatchObject({ status: 0, tail: ['done'] })
  })

  it('fault 102: may be missing, not a program, or print binary', async () => {
    await expect(runStepProgram(program('', { command: ['/nowhere/ansible'] }))).rejects.toMatchObject({
      code: 'TOOL_MISSING',
      item: '/nowhere/ansible',
    })
    await writeFile(join(folder, 'no-program'), 'x', { mode: 0o644 })
    await expect(
      runStepProgram(program('', { command: [join(folder, 'no-program')] })),
    ).rejects.toMatchObject({
      code: 'TOOL_MISSING',
    })
    const end = await runStepProgram(program("printf '\\033[31mred\\033[0m \\007\\000\\377\\n'"))
    expect(end.tail[0]).toMatch(/^red [^\p{Cc}]+$/u)
  })

  it('fault 102: is ended when it prints nothing for too long', async () => {
    const started = performance.now()
    await expect(
      runStepProgram(program('echo last words; sleep 600', { silenceMs: 300 })),
    ).rejects.toMatchObject({
      code: 'STEP_FAILED',
      likely: 'last words',
    })
    expect(performance.now() - started).toBeLessThan(8_000)
  })

  it('is ended with all its children when the run is stopped', async () => {
    const stop = new AbortController()
    const running = runStepProgram(
      program('(trap "" TERM; exec setsid sleep 600) & echo $!; sleep 600', {
        signal: stop.signal,
        onLine: () => stop.abort(new Error('stopped')),
      }),
    )
    await expect(running).rejects.toThrow('stopped')
    const pid = Number((await readFile(join(folder, 'logs', 'step.log'), 'utf8')).trim().split('\n').at(-1))
    expect(alive(pid)).toBe(false)
  }, 30_000)

  it('is ended by the next run where a killed one left it behind, and nothing else is', async () => {
    const path = join(folder, 'running.json')
    const mark = await markProgram(path)
    const left = spawn('sh', ['-c', 'sleep 600 & sleep 600'], { env: { PATH: '/usr/bin:/bin', ...mark } })
    const other = spawn('sleep', ['600'])
    await sleep(200)
    // the shell and both of its children
    expect(await endMarked(path)).toBe(3)
    await sleep(100)
    expect(left.exitCode ?? left.signalCode).not.toBeNull()
    expect(alive(other.pid!)).toBe(true)
    other.kill()
    expect(await endMarked(path)).toBe(0)
  })
})
