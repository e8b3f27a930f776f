import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { parseSiteFile } from '../../../src/inventory/site-file.ts'
import { buildProgram, run } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-init-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const site = async () => parseSiteFile(await readFile(join(folder, 'site.yaml'), 'utf8'), 'site.yaml')
const machine = ['--node', 'm=10.0.0.1:control-plane,worker']

/** A real terminal: python's pty. Each text is typed once the output matches the pattern before it. */
async function onTerminal(args: string[], typed: [after: RegExp, text: string][]) {
  const script = 'import pty, sys, os; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))'
  const child = spawn('python3', ['-c', script, process.execPath, program.path, ...args])
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  let at = 0
  const type = () => {
    const [next] = typed
    if (next === undefined || !next[0].test(said.slice(at))) return
    at = said.length
    typed.shift()
    child.stdin.write(next[1])
  }
  child.stdout.setEncoding('utf8').on('data', text => {
    said += text
    type()
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    said += text
  })
  const code = await new Promise<number | null>(done => child.once('close', done))
  return { code, said }
}

describe('offline-deploy init', () => {
  it('asks, takes pasted lines, and asks again for an invalid answer', async () => {
    const { code, said } = await onTerminal(
      ['init', '--site', folder],
      [
        [
          /machine 1:/,
          'm 10.0.0.1 control-plane,worker\nn 10.0.0.2 worker\no 10.0.0.3 boss\np 127.0.0.1 worker\n\n',
        ],
        [/SSH user/, 'bad user\n'],
        [/SSH user/, 'ubuntu\n'],
        [/Does sudo/, 'y\n'],
        [/Address at/, '999.1.1.1\n'],
        [/Address at/, 'back\n'],
        [/Does sudo/, 'back\n'],
        [/SSH user on the machines \[ubuntu\]/, '\n'],
        [/Does sudo .* \[Y\/n\]/, '\n'],
        [/Address at/, '10.0.0.100\n'],
        [/Write site.yaml\?/, '4\n'],
        [/Address at .* \[10\.0\.0\.100\]/, '\n'],
        [/\n {2}4 {2}address for users: 10\.0\.0\.100[\s\S]*Write site.yaml\?/, 'y\n'],
      ],
    )
    expect({ code, said }).toMatchObject({ code: 0 })
    expect(await readdir(folder)).toEqual(['site.yaml'])
    expect(await site()).toMatchObject({
      externalIP: '10.0.0.100',
      ssh: { user: 'ubuntu', sudo: 'password' },
      nodes: [{ name: 'm' }, { name: 'n' }],
    })
    expect((await stat(join(folder, 'site.yaml'))).mode & 0o777).toBe(0o600)
  })

  it.each([
    ['Ctrl-C', '\u0003', 130],
    ['Ctrl-D', '\u0004', 2],
  ])('fault 84: %s at a question ends it, and nothing is written', async (_, key, wanted) => {
    const { code, said } = await onTerminal(['init', '--site', folder], [[/machine 1:/, key]])
    expect({ code, said }).toMatchObject({ code: wanted })
    expect(said).not.toMatch(/INTERNAL/)
    expect(await readdir(folder)).toEqual([])
  })

  it('continues with the answers of a run that was interrupted', async () => {
    const first = await onTerminal(
      ['init', '--site', folder],
      [
        [/machine 1:/, 'm 10.0.0.1 control-plane,worker\n\n'],
        [/SSH user/, '\u0003'],
      ],
    )
    expect(first).toMatchObject({ code: 130 })
    const { code, said } = await onTerminal(
      ['init', '--site', folder],
      [
        [/m 10\.0\.0\.1 control-plane,worker[\s\S]*machine 2:/, '\n'],
        [/SSH user/, '\n'],
        [/Address at/, '\n'],
        [/Write site.yaml\?/, '\n'],
      ],
    )
    expect({ code, said }).toMatchObject({ code: 0 })
    expect(await site()).toMatchObject({ nodes: [{ name: 'm' }] })
  })

  it('keeps every previous site.yaml, and refuses to replace one before it asks', async () => {
    const init = (...more: string[]) => run(['init', '--site', folder, ...machine, ...more])
    expect(await init()).toMatchObject({ code: 0 })
    const refused = await onTerminal(['init', '--site', folder], [[/machine 1:/, 'x\n']])
    expect(refused).toMatchObject({
      code: 2,
      said: expect.stringContaining('this site already has a site.yaml'),
    })
    await writeFile(join(folder, 'site.yaml'), '# ours\n')
    expect(await init('--force')).toMatchObject({ code: 0 })
    expect(await init('--force')).toMatchObject({ code: 0 })
    const kept = (await readdir(folder)).filter(name => name.startsWith('site.yaml.before')).sort()
    expect(kept).toHaveLength(2)
    expect(await readFile(join(folder, kept[0]!), 'utf8')).toBe('# ours\n')
  })

  it.each([
    [['--external-ip', '999.1.1.1'], /externalIP/],
    [['--node', 'x=127.0.0.1:worker'], /loopback/],
    [['--values', 'values.yaml'], /--values requires --from/],
  ])('refuses %j', async (more, message) => {
    const ran = await run(['init', '--site', folder, ...machine, ...more])
    expect(ran).toMatchObject({ code: 2, stderr: expect.stringMatching(message) })
  })
})

describe('offline-deploy nodes', () => {
  it('adds and removes machines of a site.yaml that is a link', async () => {
    await run(['init', '--site', folder, ...machine])
    const text = await readFile(join(folder, 'site.yaml'), 'utf8')
    await writeFile(join(folder, 'ours.yaml'), text)
    await rm(join(folder, 'site.yaml'))
    await symlink('ours.yaml', join(folder, 'site.yaml'))
    const nodes = (...args: string[]) => run(['nodes', ...args, '--site', folder])
    expect(await nodes('add', 'w', '10.0.0.2', '--role', 'worker')).toMatchObject({ code: 0 })
    expect((await nodes('list')).stdout).toMatch(/^w +10\.0\.0\.2 +worker/m)
    expect(await nodes('remove', 'w', '--yes')).toMatchObject({ code: 0 })
    expect(await readFile(join(folder, 'ours.yaml'), 'utf8')).toBe(text)
  })

  it('reports wrong use as every command does', async () => {
    const ran = await run(['-o', 'json', 'nodes', 'add', 'x', '10.0.0.9', '--site', folder])
    expect(ran.code).toBe(2)
    expect(JSON.parse(ran.stderr).error).toMatchObject({ code: 'USAGE' })
  })
})
