import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { AirgapError } from '../core/errors.ts'
import type { SiteFile } from '../inventory/schema.ts'

/** Files of mode 0600 with the passwords for the nodes, as ansible reads them. */
export interface Passwords {
  ssh?: string
  sudo?: string
}

/** How to get a password that is not in a file yet. */
export interface PasswordSources {
  environment: Readonly<Record<string, string | undefined>>
  /** prompts on the terminal without echo; undefined: there is no terminal */
  askSecret: ((question: string) => Promise<string>) | undefined
}

const variables = { ssh: 'OFFLINE_DEPLOY_SSH_PASSWORD', sudo: 'OFFLINE_DEPLOY_SUDO_PASSWORD' } as const
const questions = {
  ssh: 'SSH password of the nodes’ user: ',
  sudo: 'sudo password on the nodes: ',
} as const

/**
 * Returns the files with the passwords that site.yaml says are needed, and writes those that are missing: from the environment, else
 * from the terminal. No command line and no log contains them. With `purpose: 'plan'` nothing is asked or written.
 */
export async function openPasswords(
  site: SiteFile,
  options: { folder: string; purpose: 'plan' | 'apply'; sources: PasswordSources },
): Promise<Passwords> {
  const { folder, purpose, sources } = options
  const passwords: Passwords = {}
  if (site.ssh.password) passwords.ssh = join(folder, 'ssh')
  if (site.ssh.sudo === 'password') passwords.sudo = join(folder, 'sudo')
  if (purpose === 'plan') return passwords
  for (const which of ['ssh', 'sudo'] as const) {
    const path = passwords[which]
    if (path === undefined) continue
    const given = sources.environment[variables[which]]
    if (!given && (await readFile(path, 'utf8').catch(() => '')) !== '') continue
    const password = given || (await askFor(which, sources))
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeAtomically(path, `${password}\n`, 0o600)
  }
  return passwords
}

async function askFor(which: keyof typeof variables, { askSecret }: PasswordSources): Promise<string> {
  if (askSecret === undefined)
    throw new AirgapError('USAGE', `the ${which} password is missing, and there is no terminal to type it`, {
      item: variables[which],
      likely: `site.yaml sets ssh.${which === 'ssh' ? 'password: true' : 'sudo: password'}`,
      next: `set ${variables[which]}, or correct ssh in site.yaml`,
    })
  const answer = await askSecret(questions[which])
  if (answer !== '') return answer
  throw new AirgapError('USAGE', `the ${which} password is empty`, {
    item: variables[which],
    next: 'run the same command again and type it',
  })
}
