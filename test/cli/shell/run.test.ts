import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const runModule = new URL('../../../src/cli/shell/run.ts', import.meta.url).href
const errorsModule = new URL('../../../src/core/errors.ts', import.meta.url).href

/** A program with a few commands on the real shell. */
const source = `
import { runCli } from ${JSON.stringify(runModule)}
import { AirgapError } from ${JSON.stringify(errorsModule)}
await runCli({ name: 'sample', description: 'a sample', commands: {
  large: async () => (program, shell) => { program.command('large').action(() => shell.print('x'.repeat(3e6), () => 'x'.repeat(3e6))) },
  fail: async () => (program, shell) => { program.command('fail').action(() => { throw new AirgapError('IO', 'y'.repeat(1e6), { next: 'z' }) }) },
  bug: async () => (program, shell) => { program.command('bug').action(() => { throw new TypeError('oops') }) },
  wait: async () => (program, shell) => { program.command('wait').action(async () => {
    shell.progress().note('waiting')
    await new Promise((_, reject) => { const kept = setInterval(() => {}, 1000); shell.signal.addEventListener('abort', () => { clearInterval(kept); reject(shell.signal.reason) }) })
  }) },
  resumable: async () => (program, shell) => { program.command('resumable').action(async () => {
    shell.whenStopped('run it again')
    shell.progress().note('waiting')
    await new Promise((_, reject) => { const kept = setInterval(() => {}, 1000); shell.signal.addEventListener('abort', () => { clearInterval(kept); reject(shell.signal.reason) }) })
  }) },
  stubborn: async () => (program, shell) => { program.command('stubborn').action(async () => { shell.progress().note('waiting'); await new Promise(() => setInterval(() => {}, 1000)) }) },
} })
`

let folder: string
let script: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-shell-'))
  script = join(folder, 'sample.mts')
  await writeFile(script, source)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const start = (args: string[]) =>
  spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })

/** Runs the program, optionally with a reader that starts late. */
async function run(args: string[], options: { lateMs?: number } = {}) {
  const child = start(args)
  const ended = new Promise<number | null>(done => child.once('close', done))
  if (options.lateMs) await new Promise(go => setTimeout(go, options.lateMs))
  const [out, err] = [[] as Buffer[], [] as Buffer[]]
  child.stdout.on('data', chunk => out.push(chunk))
  child.stderr.on('data', chunk => err.push(chunk))
  const code = await ended
  return { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }
}

describe('runCli', () => {
  it('delivers a large result completely to a slow reader', async () => {
    const { code, stdout } = await run(['large'], { lateMs: 1_000 })
    expect(stdout.length).toBe(3e6 + 1)
    expect(code).toBe(0)
  })

  it('delivers a large error completely to a slow reader', async () => {
    const { code, stderr } = await run(['fail'], { lateMs: 1_000 })
    expect(stderr).toMatch(/\n {2}next: {3}z\n$/)
    expect(code).toBe(7)
  })

  it('fault 84: exits silently if the reader closes the pipe', async () => {
    const child = start(['large'])
    let stderr = ''
    child.stderr.on('data', chunk => {
      stderr += chunk
    })
    child.stdout.once('data', () => child.stdout.destroy())
    expect(await new Promise(done => child.once('close', done))).toBe(0)
    expect(stderr).toBe('')
  })

  it('reports a bug with exit 1, and its stack trace with --verbose', async () => {
    expect(await run(['bug'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error INTERNAL: oops\n {2}likely: this is a bug/),
    })
    expect((await run(['bug', '--verbose'])).stderr).toContain('TypeError: oops')
  })

  it('prints help without an error: exit 2 if the command is missing, exit 0 for --help', async () => {
    expect(await run([])).toMatchObject({ code: 2, stderr: expect.stringContaining('Usage: sample') })
    expect(await run(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage: sample') })
    expect(await run(['large', '--help'])).toMatchObject({ code: 0 })
  })

  it('shows the options that all commands have, and their defaults', async () => {
    const { stdout } = await run(['large', '--help'])
    expect(stdout).toContain('text, json, yaml')
    expect(stdout).toContain('(default: text)')
    expect((await run(['--version'])).stdout).toMatch(/^sample \d+\.\d+\.\d+ \(node/)
  })

  it('refers to the help of the command for a mistake', async () => {
    expect((await run(['lagre'])).stderr).toBe(
      "error USAGE: unknown command 'lagre' (Did you mean large?)\n  next:   run sample --help\n",
    )
    expect(await run(['large', '--smaller'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('run sample large --help'),
    })
  })

  it.each([
    [['-o', 'json']],
    [['-ojson']],
    [['--output=json']],
    [['--log-format', 'json']],
    [['--log-format=json']],
  ])('reports errors as JSON with %j', async options => {
    const { code, stderr } = await run(['fail', ...options])
    expect([code, JSON.parse(stderr).error.code]).toEqual([7, 'IO'])
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('fault 84: %s exits with %i, without an error', async (signal, code) => {
    const child = start(['wait'])
    let stderr = ''
    child.stderr.on('data', chunk => {
      stderr += chunk
      if (stderr.includes('waiting')) child.kill(signal)
    })
    expect(await new Promise(done => child.once('close', done))).toBe(code)
    expect(stderr).toBe('waiting\n')
  })

  it('prints after a signal how to continue', async () => {
    const child = start(['resumable'])
    let stderr = ''
    child.stderr.on('data', chunk => {
      stderr += chunk
      if (stderr.includes('waiting')) child.kill('SIGINT')
    })
    expect(await new Promise(done => child.once('close', done))).toBe(130)
    expect(stderr).toBe('waiting\nstopped: run it again\n')
  })

  it('fault 84: a second signal ends a command that ignores the first', async () => {
    const child = start(['stubborn'])
    child.stderr.once('data', () => {
      child.kill('SIGINT')
      setTimeout(() => child.kill('SIGINT'), 200)
    })
    expect(await new Promise(done => child.once('close', done))).toBe(130)
  })
})
