import { execFile } from 'node:child_process'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import type { Pin } from './fetch-place.ts'

/** No connection can be made to it: for a name that DNS did not know when it was judged. A proxy resolves names itself. */
const nowhere = '255.255.255.255'

/** Returns what makes git connect to the judged addresses only: settings, and the command that it starts for ssh. */
export async function pinSettings(
  pin: Pin | undefined,
): Promise<{ settings: string[]; environment: NodeJS.ProcessEnv }> {
  if (pin === undefined) return { settings: [], environment: {} }
  if (pin.protocol === 'ssh') return { settings: [], environment: await sshEnvironment(pin) }
  const { hostname, port, addresses } = pin
  const listed = (addresses.length > 0 ? addresses : [nowhere]).map(address =>
    isIP(address) === 6 ? `[${address}]` : address,
  )
  // git 2.37; an older one does not know the setting
  return { settings: [`http.curloptResolve=${hostname}:${port}:${listed.join(',')}`], environment: {} }
}

/**
 * ssh_config(5): HostName is where ssh connects, HostKeyAlias the name that the host key is looked up by. A host that the user's own
 * configuration sends elsewhere (HostName, ProxyJump, ProxyCommand) was configured by a person, and stays as it is.
 */
async function sshEnvironment({ hostname, port, addresses }: Pin): Promise<NodeJS.ProcessEnv> {
  const { GIT_SSH_COMMAND: command, GIT_SSH: program } = process.env
  if (program !== undefined && command === undefined) return {}
  const [address = nowhere] = addresses
  if (await isMapped(hostname)) return {}
  const alias = port === '22' ? hostname : `[${hostname}]:${port}`
  return { GIT_SSH_COMMAND: `${command ?? 'ssh'} -o HostName=${address} -o 'HostKeyAlias=${alias}'` }
}

async function isMapped(hostname: string): Promise<boolean> {
  // the shell of GIT_SSH_COMMAND gets these names
  if (!/^[A-Za-z0-9._-]+$/.test(hostname) || hostname.startsWith('-')) return true
  try {
    const { stdout } = await promisify(execFile)('ssh', ['-G', '--', hostname], { timeout: 10_000 })
    const lines = stdout.split('\n')
    return (
      !lines.includes(`hostname ${hostname}`) ||
      lines.some(line => /^proxy(?:jump|command) (?!none$)/.test(line))
    )
  } catch {
    // git says that ssh is missing
    return true
  }
}
