import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { Agent, get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { type Running, start, type TestSite } from './support.ts'

export interface Served extends Running {
  pid: number
  stop(): Promise<{ code: number | null; stderr: string }>
}

export async function serve(site: TestSite, ...more: string[]): Promise<Served> {
  const running = start(['serve', ...site.serving, ...more])
  onTestFinished(() => void running.child.kill('SIGKILL'))
  await running.said('stop with Ctrl-C')
  return {
    ...running,
    pid: running.child.pid!,
    async stop() {
      running.child.kill('SIGTERM')
      return await running.ended
    },
  }
}

/** proc_pid_task(5) */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return text === '' ? [] : text.split(' ').map(Number)
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20)
}

/** Number of TCP connections that a process has open (proc_pid_fd(5), proc_net(5)); its channel is no TCP. */
export function socketsOf(pid: number): number {
  const table = readFileSync('/proc/net/tcp', 'latin1').split('\n')
  const tcp = new Set(table.map(line => `socket:[${line.trim().split(/\s+/)[9]}]`))
  const open = readdirSync(`/proc/${pid}/fd`).map(fd => linkOf(`/proc/${pid}/fd/${fd}`))
  return open.filter(target => tcp.has(target)).length
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    // closed in the meantime
    return ''
  }
}

export interface Begun {
  agent: Agent
  answer: IncomingMessage
}

/** Sends a request on a connection of its own, and waits for the head of its answer. */
export async function begin(url: string): Promise<Begun> {
  const agent = new Agent({ keepAlive: true })
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { agent }, resolve).on('error', reject)
  })
  return { agent, answer }
}

/** Reads the rest; `broken` where the connection ended before. */
export async function finish({ answer, agent }: Begun): Promise<string> {
  const hash = createHash('sha256')
  try {
    for await (const chunk of answer) hash.update(chunk)
    return `sha256:${hash.digest('hex')}`
  } catch {
    return 'broken'
  } finally {
    agent.destroy()
  }
}

export async function isRefused(port: number): Promise<boolean> {
  return await new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}
