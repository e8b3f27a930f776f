import { error, type Fault, type Subject } from './subject.ts'

export function python({ facts }: Subject): Fault[] {
  if (facts.python !== undefined) return []
  const system = facts.osName ?? 'its system'
  return [
    error(
      'has no python3, which ansible requires',
      `install the package python3 from the installation medium of ${system}`,
    ),
  ]
}

const rightToBecomeRoot = 'allow the user to become root in /etc/sudoers.d'

export function sudo({ node, facts }: Subject): Fault[] {
  const { sudo: state } = facts
  if (state === undefined)
    return [error(`it is unknown whether ${node.user ?? 'the user'} may use sudo`, 'try `sudo true` there')]
  switch (state) {
    case 'ok':
      return []
    case 'missing':
      return [
        error('has no sudo, and the user is not root', 'install sudo, or set ssh.user to root in site.yaml'),
      ]
    case 'password':
      return [
        error(
          'sudo requires a password',
          `set ssh.sudo: password in site.yaml, or ${rightToBecomeRoot} without one (NOPASSWD)`,
        ),
      ]
    case 'wrong':
      return [
        error(
          'sudo rejects the password',
          'set the right one in OFFLINE_DEPLOY_SUDO_PASSWORD, or delete access/sudo in the state folder to be asked again',
        ),
      ]
    case 'refused':
      return [
        error(
          `sudo does not work${facts.sudoSays === undefined ? '' : `: ${facts.sudoSays}`}`,
          rightToBecomeRoot,
        ),
      ]
  }
}
