/**
 * Options of ssh(1) for everything that connects to the site's machines. A host key is accepted when a machine is first seen and
 * refused when it changes (a man in the middle, or a reinstalled machine). Host names stay readable, so that `nodes forget` finds them.
 */
export function sshOptions({ knownHosts }: { knownHosts: string }): string[] {
  return [
    // ssh expands %, and splits what is not quoted
    `UserKnownHostsFile="${knownHosts.replaceAll('%', '%%')}"`,
    'StrictHostKeyChecking=accept-new',
    'HashKnownHosts=no',
    'ConnectTimeout=10',
  ]
}

/** The environment of ssh and of programs that run it: nothing of the operator's own, except the agent that holds their keys. */
export function sshEnvironment(): Record<string, string> {
  const agent = process.env['SSH_AUTH_SOCK']
  const environment: Record<string, string> = { HOME: process.env['HOME'] ?? '/root' }
  if (agent !== undefined) environment['SSH_AUTH_SOCK'] = agent
  return environment
}
