import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeAtomically } from '../../core/atomic-file.ts'
import { AirgapError } from '../../core/errors.ts'
import type { SiteFile } from '../../inventory/schema.ts'
import { askHidden } from './secrets.ts'

/** Files with the passwords for the nodes, as ansible reads them. */
export interface Passwords {
  ssh?: string
  sudo?: string
}

const variables = { ssh: 'OFFLINE_DEPLOY_SSH_PASSWORD', sudo: 'OFFLINE_DEPLOY_SUDO_PASSWORD' } as const
const words = {
  ssh: 'Password of the nodes’ user, for SSH: ',
  sudo: 'Password for sudo on the nodes: ',
} as const

/**
 * Passwords that site.yaml says are needed: from the environment, from the file where they were kept (mode 0600), or asked for on a
 * terminal. They are in no command line and no log. `plan` asks nobody: it names the files.
 */
export async function openPasswords(
  site: SiteFile,
  options: { folder: string; purpose: 'plan' | 'apply'; signal: AbortSignal },
): Promise<Passwords> {
  const needed = [
    ...(site.ssh.password ? (['ssh'] as const) : []),
    ...(site.ssh.sudo === 'password' ? (['sudo'] as const) : []),
  ]
  const passwords: Passwords = {}
  for (const which of needed) {
    const path = join(options.folder, which)
    passwords[which] = path
    if (options.purpose === 'plan') continue
    const given = process.env[variables[which]]
    if (given === undefined || given === '') {
      const kept = await readFile(path, 'utf8').catch(() => '')
      if (kept !== '') continue
    }
    const password = given || (await asked(which, options.signal))
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeAtomically(path, `${password}\n`, 0o600)
  }
  return passwords
}

async function asked(which: keyof typeof variables, signal: AbortSignal): Promise<string> {
  if (!process.stdin.isTTY)
    throw new AirgapError(
      'USAGE',
      `no password for ${which}, and nobody can be asked: there is no terminal`,
      {
        item: variables[which],
        likely: 'site.yaml says that one is needed',
        next: `set ${variables[which]}, or correct ssh in site.yaml`,
      },
    )
  const answer = await askHidden(words[which], signal)
  if (answer !== '') return answer
  throw new AirgapError('USAGE', 'an empty password', { item: variables[which], next: 'run it again' })
}
