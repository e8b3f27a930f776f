import { spawn } from 'node:child_process'

/** Tells the service manager what this service does; nothing where it was not started by one (sd_notify(3)). */
export interface ServiceNotifier {
  /** It serves; `status` is one line for `systemctl status`. */
  ready(status: string): Promise<void>
  /** It reads its configuration again; `ready` ends that. */
  reloading(): Promise<void>
  stopping(): Promise<void>
  close(): void
}

/**
 * Sends by the program systemd-notify: the manager listens on a datagram socket of the family AF_UNIX, which Node.js cannot open. It also
 * tells the manager at half of the watchdog's time that the event loop of this process runs. What cannot be sent is missing: the manager
 * decides what that means.
 */
export function serviceNotifier(env: NodeJS.ProcessEnv, pid: number): ServiceNotifier {
  if (!env['NOTIFY_SOCKET']) {
    const nothing = async () => {}
    return { ready: nothing, reloading: nothing, stopping: nothing, close() {} }
  }
  let last = Promise.resolve()
  // one after the other: the manager takes the last message for the state
  const send = (...words: string[]) => {
    last = last.then(() => run(words, env))
    return last
  }
  const watchdogMs = Number(env['WATCHDOG_USEC'] ?? 0) / 1_000
  const isWatched = watchdogMs > 0 && (env['WATCHDOG_PID'] ?? String(pid)) === String(pid)
  const timer = isWatched ? setInterval(() => void send('WATCHDOG=1'), watchdogMs / 2) : undefined
  timer?.unref()
  return {
    ready: status => send('READY=1', `STATUS=${status.replaceAll('\n', ' ')}`),
    reloading: () => send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`),
    stopping: () => send('STOPPING=1'),
    close: () => clearInterval(timer),
  }
}

async function run(words: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const { NOTIFY_SOCKET, PATH } = env
  const child = spawn('systemd-notify', words, { stdio: 'ignore', env: { NOTIFY_SOCKET, PATH } })
  await new Promise<void>(resolve => child.once('error', () => resolve()).once('exit', () => resolve()))
}
