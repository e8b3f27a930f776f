import { isSecretName } from './secret-names.ts'

/**
 * True for an environment variable of ours that holds a secret: `AIRGAP_SIGN_PASSWORD`, `OFFLINE_DEPLOY_SSH_PASSWORD`,
 * `OFFLINE_DEPLOY_SECRET_…`.
 */
export function isSecretVariable(name: string): boolean {
  if (name.startsWith('AIRGAP_SIGN_')) return true
  return name.startsWith('OFFLINE_DEPLOY_') && (name.startsWith(secretVariable) || isSecretName(name))
}

/** What follows is the path of a secret of the applications, in capitals and with underscores. */
export const secretVariable = 'OFFLINE_DEPLOY_SECRET_'

/**
 * Returns the environment without our secrets, for a program that does not need them: /proc/PID/environ shows them to root and
 * to the same user for as long as the program runs.
 */
export function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isSecretVariable(name)))
}
