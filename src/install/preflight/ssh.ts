import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { defined } from '../../core/defined.ts'
import { printableLine } from '../../core/printable.ts'
import type { SiteFile, SiteNode } from '../../inventory/schema.ts'
import { sshEnvironment, sshOptions } from '../ssh-options.ts'
import { type Answer, maxAnswer, parseAnswer } from './facts.ts'
import type { MachineFinding } from './finding.ts'
import { probeScript } from './probe.ts'

/** How the machines are reached: as ansible reaches them, with the same keys and the same file of host keys. */
export interface SshAccess {
  ssh: SiteFile['ssh']
  /** ssh's file of host keys; a new machine's is added */
  knownHosts: string
  /** files of mode 0600 */
  passwords: { ssh?: string; sudo?: string }
  /** how long a machine may take for all of it */
  timeoutMs?: number
}

export type Probed =
  | {
      answer: Answer
      /** when the probe was started and when the answer was complete, seconds since 1970 */
      from: number
      to: number
    }
  | { finding: MachineFinding }

const defaultTimeoutMs = 60_000

/** As a person would type it. Passwords are in no command line. */
export function sshCommand(
  node: SiteNode,
  { ssh, knownHosts, passwords }: SshAccess,
  command: string,
): [string, ...string[]] {
  const option = (text: string) => ['-o', text]
  return [
    ...((passwords.ssh === undefined ? ['ssh'] : ['sshpass', '-f', passwords.ssh, 'ssh']) as [string]),
    ...['-T', '-p', String(node.port ?? ssh.port), '-l', node.user ?? ssh.user],
    ...sshOptions({ knownHosts }).flatMap(option),
    ...option('ServerAliveInterval=10'),
    ...option('LogLevel=ERROR'),
    ...option('ClearAllForwardings=yes'),
    ...(passwords.ssh === undefined ? option('BatchMode=yes') : option('NumberOfPasswordPrompts=1')),
    ...(ssh.privateKey === undefined ? [] : ['-i', ssh.privateKey]),
    ...['--', node.address, command],
  ]
}

/** Runs the probe on the machine. What prevents it from running is a finding, not an error. */
export async function probeMachine(node: SiteNode, access: SshAccess, signal: AbortSignal): Promise<Probed> {
  const from = Date.now() / 1000
  const ran = await runScript(node, access, { script: probeScript, signal })
  const answer = parseAnswer(ran.stdout)
  if (answer !== undefined) return { answer, from, to: Date.now() / 1000 }
  return { finding: { machine: node.name, level: 'error', ...refusal(ran, { node, access }) } }
}

export interface Ran {
  status: number | string
  stdout: string
  stderr: string
  timedOut: boolean
}

/**
 * Runs a shell script on a machine; how it ended is for the caller to judge. The script comes on its input, and the password that sudo
 * reads after it. `extraMs`: what it may take besides the usual time.
 */
export async function runScript(
  node: SiteNode,
  access: SshAccess,
  options: {
    script: (options: { sudoPassword: boolean }) => string
    extraMs?: number
    /** bytes */
    maxOutput?: number
    signal: AbortSignal
  },
): Promise<Ran> {
  const { extraMs = 0, maxOutput, signal } = options
  signal.throwIfAborted()
  const { sudo } = access.passwords
  const password = sudo === undefined ? undefined : (await readFile(sudo, 'utf8')).replace(/\r?\n$/, '')
  const script = options.script({ sudoPassword: password !== undefined })
  // head reads the script and not a byte more: sudo reads what follows
  const command = `exec sh -c 'eval "$(head -c ${Buffer.byteLength(script)})"'`
  return await runSsh(sshCommand(node, access, command), {
    input: password === undefined ? script : `${script}${password}\n`,
    timeoutMs: extraMs + (access.timeoutMs ?? defaultTimeoutMs),
    ...defined({ maxOutput }),
    signal,
  })
}

/** Runs a command on a machine; `maxOutput` ends one that prints without end. */
export async function runSsh(
  [program, ...args]: [string, ...string[]],
  {
    input,
    timeoutMs,
    maxOutput = maxAnswer,
    signal,
  }: { input: string; timeoutMs: number; maxOutput?: number /* bytes */; signal: AbortSignal },
): Promise<Ran> {
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...sshEnvironment(), PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' },
  })
  let timedOut = false
  const kill = () => child.kill('SIGKILL')
  const timer = setTimeout(() => {
    timedOut = true
    kill()
  }, timeoutMs)
  signal.addEventListener('abort', kill)
  const said = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    let size = 0
    child[stream].on('data', (bytes: Buffer) => {
      size += bytes.length
      // one that prints without end is cut off
      if (size > maxOutput) kill()
      else said[stream] += bytes.toString('latin1')
    })
  }
  // one that does not read its input has exited, which its status shows
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  try {
    const status = await new Promise<number | string>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, name) => resolve(code ?? name ?? 'SIGKILL'))
    })
    signal.throwIfAborted()
    return { status, ...said, timedOut }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', kill)
  }
}

/** Explains why ssh did not run the probe, and what to do. */
export function refusal(
  ran: Ran,
  { node, access }: { node: SiteNode; access: Pick<SshAccess, 'ssh' | 'passwords'> },
): Pick<MachineFinding, 'what' | 'next'> {
  const { name, address } = node
  const port = node.port ?? access.ssh.port
  const user = node.user ?? access.ssh.user
  const says = (pattern: RegExp) => pattern.test(ran.stderr)
  if (says(/HOST IDENTIFICATION HAS CHANGED|Host key verification failed/))
    return {
      what: `${address} answers with another host key than before`,
      next: `find out whether it was reinstalled or another machine has its address; then run \`offline-deploy nodes forget ${name}\``,
    }
  if (
    says(/Permission denied|Too many authentication failures/) ||
    (access.passwords.ssh && ran.status === 5)
  )
    return {
      what: `${address} rejects the login of ${user}`,
      next:
        access.passwords.ssh === undefined
          ? `add the public key to ${user}'s authorized_keys there, or correct ssh.user and ssh.privateKey in site.yaml; a key with a passphrase must be in the agent`
          : 'set the right password in OFFLINE_DEPLOY_SSH_PASSWORD, or delete access/ssh in the state folder to be asked again; check ssh.user in site.yaml, and that sshd allows passwords',
    }
  if (says(/Connection refused/))
    return {
      what: `nothing listens on ${address}, port ${port}`,
      next: 'start sshd there (`systemctl enable --now ssh` or `sshd`), or correct the port in site.yaml',
    }
  const last = printableLine(
    ran.stderr.trim().split('\n').at(-1) || ran.stdout.trim().split('\n').at(-1) || '',
    1_000,
  )
  const words = last === '' ? '' : `: ${last.slice(0, 200)}`
  if (ran.timedOut)
    return {
      what: `${address} does not answer in time${words}`,
      next: `check its load and disks, and try \`ssh ${user}@${address} true\``,
    }
  if (says(/Connection (?:closed|reset)|kex_exchange|banner exchange/))
    return {
      what: `sshd closes the connection${words}`,
      next: 'read the log of its sshd: the disk may be full, MaxStartups reached, or this host denied',
    }
  if (says(/timed out|No route to host|Network is unreachable|Host is down/))
    return {
      what: `${address} cannot be reached`,
      next: 'turn it on; check cable, VLAN and firewall; or correct its address in site.yaml',
    }
  return {
    what: `does not run a command for ${user} (${typeof ran.status === 'number' ? `exit code ${ran.status}` : ran.status})${words}`,
    next: `try \`ssh ${user}@${address} true\`: the user needs a shell, and the ssh configuration of this host may interfere`,
  }
}
