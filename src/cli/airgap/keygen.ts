import { lstat } from 'node:fs/promises'
import type { Command } from 'commander'
import { createAtomically } from '../../core/atomic-file.ts'
import { AirgapError } from '../../core/errors.ts'
import { newSecretKey } from '../../signature/minisign-secret-key.ts'
import { readPassword } from '../../signature/open-signer.ts'
import { minisignKeyFile, type PublicKey, pemKeyFile, sshKeyText } from '../../signature/public-key.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { secretSources } from './sign.ts'

interface KeygenOptions {
  out: string
  password: boolean
  passwordFile?: string
  dryRun?: boolean
}

export function keygenCommand(program: Command, shell: Shell): void {
  addExamples(program.command('keygen'), [
    ['airgap keygen --out ~/keys/release'],
    ['airgap keygen --out build --password-file build.password', 'without a terminal'],
  ])
    .description('Create a key that signs bundles; print its fingerprint')
    .option(
      '--out <name>',
      'name of the files: NAME.key, NAME.pub, NAME.allowed_signers, NAME.pem',
      'airgap-sign',
    )
    .option(
      '--password-file <file>',
      'the password that encrypts the key, or - (default: AIRGAP_SIGN_PASSWORD, else asked on the terminal)',
    )
    .option('--no-password', 'do not encrypt the key: every user who can read the file can sign')
    .option('--dry-run', 'show which files would be written; write nothing')
    .action((options: KeygenOptions) => keygen(options, shell))
}

async function keygen(options: KeygenOptions, shell: Shell): Promise<void> {
  const { out } = options
  const paths = {
    secret: `${out}.key`,
    minisign: `${out}.pub`,
    ssh: `${out}.allowed_signers`,
    pem: `${out}.pem`,
  }
  for (const path of Object.values(paths)) await refuseExisting(path)
  if (options.dryRun) return shell.print({ files: paths }, () => Object.values(paths).join('\n'))
  const password = options.password ? await newPassword(options, shell) : undefined
  const { text, publicKey } = await newSecretKey(password)
  await createAtomically(paths.secret, text, 0o600)
  await createAtomically(paths.minisign, minisignKeyFile(publicKey))
  await createAtomically(paths.ssh, `airgap namespaces="astrago-airgap" ${sshKeyText(publicKey)}\n`)
  await createAtomically(paths.pem, pemKeyFile(publicKey))
  print({ paths, key: publicKey, encrypted: password !== undefined }, shell)
}

function print(
  { paths, key, encrypted }: { paths: Record<string, string>; key: PublicKey; encrypted: boolean },
  shell: Shell,
): void {
  const { fingerprint, short, words } = key
  shell.print({ files: paths, encrypted, fingerprint, short, words }, () =>
    [
      `${paths.secret}: the secret key${encrypted ? ', encrypted' : ', NOT encrypted'}; keep it, and a copy of it elsewhere`,
      `${paths.minisign}: the public key for minisign`,
      `${paths.ssh}: the public key for ssh-keygen -Y verify`,
      `${paths.pem}: the public key for cosign and openssl`,
      `  fingerprint  ${fingerprint}`,
      `  short        ${short}`,
      `  words        ${words}`,
      'Send the public key and the words to the sites separately from the medium.',
    ].join('\n'),
  )
}

/** A key is never overwritten: bundles signed with it could not be verified any more. */
async function refuseExisting(path: string): Promise<void> {
  const exists = await lstat(path).then(
    () => true,
    () => false,
  )
  if (!exists) return
  throw new AirgapError('USAGE', 'the file exists', {
    item: path,
    likely: 'a key was created with this name before',
    next: 'choose another name with --out; nothing was written',
  })
}

async function newPassword({ passwordFile }: KeygenOptions, shell: Shell): Promise<string> {
  const sources = secretSources(shell)
  const read = (question: string) => readPassword(question, { passwordFile, sources })
  const password = await read('Password that encrypts the new key: ')
  const typed = passwordFile === undefined && !process.env.AIRGAP_SIGN_PASSWORD
  const again = typed ? await read('The same again: ') : password
  if (password === again && password !== '') return password
  throw new AirgapError('USAGE', password === '' ? 'the password is empty' : 'the two passwords differ', {
    next: 'run the command again; nothing was written (without encryption: --no-password)',
  })
}
