import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bindEntrance } from '../../src/serve/entrance.ts'
import type { Report } from '../../src/serve/process-messages.ts'
import { type Supervisor, type SupervisorOptions, supervise } from '../../src/serve/supervisor.ts'

/** A serving process that is a few lines of JavaScript: what it gets and what it sends are messages. */
async function processOf(program: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-process-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'process.cjs')
  await writeFile(file, program)
  return [process.execPath, file]
}

function started(options: Partial<SupervisorOptions> & Pick<SupervisorOptions, 'command'>): {
  supervisor: Supervisor
  ends: { pid: number; reason: string; restartMs: number }[]
  reports: Report[]
} {
  const ends: { pid: number; reason: string; restartMs: number }[] = []
  const reports: Report[] = []
  const supervisor = supervise({
    size: 2,
    servers: ['echo'],
    environment: {},
    descriptors: [],
    setup: {},
    answer: async () => null,
    ready() {},
    reported: report => void reports.push(report),
    told() {},
    ended: end => void ends.push(end),
    ...options,
  })
  onTestFinished(() => supervisor.stop({ graceMs: 0 }))
  return { supervisor, ends, reports }
}

/** Echoes on each connection who it is. */
const echo = `
process.on('disconnect', () => process.exit())
let taken = 0, open = 0
const report = () => process.send({ type: 'report', report: { taken, open: { echo: open }, answering: {}, counters: {}, log: [], lost: 0 } })
process.on('message', (message, connection) => {
  if (message.type === 'start') process.send({ type: 'ready', server: 'echo', detail: 'here' })
  if (message.type === 'stop') process.exit()
  if (message.type !== 'connection') return
  taken++
  if (connection === undefined) return
  open++
  report()
  connection.on('close', () => { open--; report() })
  connection.on('error', () => {})
  connection.write(process.pid + '\\n')
})
`

describe('a supervisor', () => {
  it('shares connections out evenly, and lets them wait until a process is ready', async () => {
    const entrance = await bindEntrance({ echo: { host: '127.0.0.1', port: 0 } })
    onTestFinished(entrance.close)
    const port = entrance.ports.get('echo')!
    // before anything can take them
    const early = Array.from({ length: 3 }, () => pidFrom(port))
    let ready = 0
    const { supervisor } = started({
      command: await processOf(echo),
      size: 3,
      ready() {
        ready++
        entrance.retry()
      },
    })
    entrance.open(supervisor.take)
    expect(await supervisor.ready).toEqual(new Map([['echo', 'here']]))
    for (const pid of await Promise.all(early)) expect(pid).toBeGreaterThan(0)
    await until(() => ready === 3)
    const late = await Promise.all(Array.from({ length: 27 }, () => pidFrom(port)))
    const all = [...(await Promise.all(early)), ...late]
    const counts = supervisor
      .processes()
      .map(({ process }) => all.filter(pid => pid === process).length)
      .sort()
    expect(counts.reduce((sum, count) => sum + count)).toBe(30)
    expect(counts.at(-1)! - counts[0]!).toBeLessThanOrEqual(1)
  })

  it('starts processes again that end, waiting longer each time, and gives up where none is left', async () => {
    const command = await processOf(`process.on('message', () => process.exit(3))`)
    const { supervisor, ends } = started({ command })
    await expect(supervisor.ready).rejects.toMatchObject({
      code: 'IO',
      message: 'the serving processes cannot be started',
      item: 'exit code 3',
      next: expect.stringContaining('--processes 1'),
    })
    const delays = ends.map(({ restartMs }) => restartMs)
    expect(new Set(delays)).toEqual(new Set([100, 200, 400, 800]))
    expect(supervisor.processes()).toEqual([])
    await expect(supervisor.failed).rejects.toMatchObject({ code: 'IO' })
  })

  it('reports a program that cannot be started at all', async () => {
    const { supervisor } = started({ command: ['/nonexistent/program'] })
    await expect(supervisor.ready).rejects.toMatchObject({
      code: 'IO',
      item: expect.stringContaining('ENOENT'),
    })
  })

  it('reports what keeps a process from serving at once', async () => {
    const error = { code: 'BUNDLE_CORRUPT', message: 'the front is damaged', next: 'copy it again' }
    const command = await processOf(
      `process.on('message', () => process.send({ type: 'failed', error: ${JSON.stringify(error)} }, () => process.exit(1)))`,
    )
    const { supervisor, ends } = started({ command })
    await expect(supervisor.ready).rejects.toMatchObject(error)
    expect(ends).toEqual([])
  })

  it('closes connections that a process was sent and never took', async () => {
    const entrance = await bindEntrance({ echo: { host: '127.0.0.1', port: 0 } })
    onTestFinished(entrance.close)
    // it stops reading its messages before the first connection
    const command = await processOf(`
process.once('message', () => {
  process.send({ type: 'ready', server: 'echo', detail: null }, () => { for (;;); })
})`)
    const { supervisor } = started({ command, size: 1 })
    await supervisor.ready
    const passed = Promise.withResolvers<void>()
    entrance.open((server, connection) => {
      const taken = supervisor.take(server, connection)
      passed.resolve()
      return taken
    })
    const socket = connect(entrance.ports.get('echo')!, '127.0.0.1').resume()
    const closed = new Promise<void>(resolve => {
      socket.once('error', () => {})
      socket.once('close', () => resolve())
    })
    await passed.promise
    for (const { process: pid } of supervisor.processes()) process.kill(pid, 'SIGKILL')
    await closed
  })
})

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20)
}

async function pidFrom(port: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('data', data => resolve(Number(String(data))))
    socket.once('error', reject)
    onTestFinished(() => void socket.destroy())
  })
}
