/** Descriptor of the first socket that systemd passes (sd_listen_fds(3)). */
const firstSocket = 3

/** Variables that are for this process alone, and not for the programs that it starts. */
const activationVariables = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']

/** Returns the descriptors of the listening sockets that systemd has passed to this process; none where it has not. Protocol: sd_listen_fds(3). */
export function passedSockets(env: NodeJS.ProcessEnv, pid: number): number[] {
  // the variables of a parent that did not remove them
  if (env['LISTEN_PID'] !== String(pid)) return []
  const count = Number(env['LISTEN_FDS'] ?? 0)
  if (!Number.isInteger(count) || count < 0 || count > 64) return []
  return Array.from({ length: count }, (_, i) => firstSocket + i)
}

/** Returns the environment for a program that is not the service itself. */
export function withoutService(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = [...activationVariables, 'NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC']
  return Object.fromEntries(Object.entries(env).filter(([name]) => !own.includes(name)))
}
