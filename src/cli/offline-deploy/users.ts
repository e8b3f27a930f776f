import { type Command, Option } from 'commander'
import { generatePassword } from '../../access/passwords.ts'
import { defaultRole, type Role, roles } from '../../access/roles.ts'
import { AirgapError } from '../../core/errors.ts'
import { operatorName } from '../../deploy/operator.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { addUser, type ChangedUser, changePassword, listUsers, removeUser } from '../../deploy/users.ts'
import { readPassword } from '../../signature/open-signer.ts'
import { confirm } from '../shell/confirm.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { askHidden } from '../shell/terminal.ts'
import { siteOption } from './options.ts'

interface UserOptions extends SiteOptions {
  role: Role
  passwordFile?: string
  generate?: boolean
  yes?: boolean
  dryRun?: boolean
}

const passwordVariable = 'OFFLINE_DEPLOY_USER_PASSWORD'

/** The users of the site's servers. */
export function usersCommand(program: Command, shell: Shell): void {
  const users = addExamples(program.command('users'), [
    ['offline-deploy users add ci --role push', 'asks for the password'],
    ['offline-deploy users list -o json'],
  ]).description('List, add and remove the users of the registry and the HTTP server')
  addExamples(users.command('list').addOption(siteOption()), [['offline-deploy users list --site /opt/site']])
    .description('Show names and roles')
    .action(async (_: unknown, command: Command) => {
      const found = await listUsers(command.optsWithGlobals())
      shell.print(found, () =>
        found.users.length === 0
          ? 'no users: everybody may read, and nobody may push'
          : found.users.map(({ name, role }) => `${name.padEnd(32)} ${role}`),
      )
    })
  defineAdd(users, shell)
  definePassword(users, shell)
  defineRemove(users, shell)
}

function defineAdd(users: Command, shell: Shell): void {
  passwordOptions(
    addExamples(users.command('add'), [
      ['offline-deploy users add ci --role push --generate', 'prints the password once'],
      ['offline-deploy users add ci --role push --password-file -', 'reads it from stdin'],
    ])
      .description('Add a user; running servers know it at once')
      .argument('<name>', 'letters, digits and . _ - @')
      .addOption(
        new Option('--role <role>', 'pull; push, which includes pull; or admin, which may also delete')
          .choices(roles)
          .default(defaultRole),
      ),
  ).action(async (name: string, _: unknown, command: Command) => {
    const { role, dryRun = false, ...options } = command.optsWithGlobals<UserOptions>()
    const password = passwordOf(options, shell)
    const changed = await addUser(options, {
      name,
      role,
      dryRun,
      by: operatorName(process.env),
      askPassword: password.get,
    })
    print(changed, shell, { what: `add ${name} (${role})`, generated: password.generated() })
  })
}

function definePassword(users: Command, shell: Shell): void {
  passwordOptions(
    addExamples(users.command('password'), [['offline-deploy users password ci --generate']])
      .description('Set another password for a user; tokens made with the old one are refused')
      .argument('<name>', 'name of the user'),
  ).action(async (name: string, _: unknown, command: Command) => {
    const { dryRun = false, ...options } = command.optsWithGlobals<UserOptions>()
    const password = passwordOf(options, shell)
    const changed = await changePassword(options, {
      name,
      dryRun,
      by: operatorName(process.env),
      askPassword: password.get,
    })
    print(changed, shell, { what: `set the password of ${name}`, generated: password.generated() })
  })
}

function defineRemove(users: Command, shell: Shell): void {
  addExamples(users.command('remove').addOption(siteOption()), [['offline-deploy users remove ci --yes']])
    .description('Remove a user; tokens of this user are refused at once')
    .argument('<name>', 'name of the user')
    .option('--yes', 'do not ask for confirmation; required without a terminal')
    .option('--dry-run', 'show the result; change nothing')
    .action(async (name: string, _: unknown, command: Command) => {
      const { yes = false, dryRun = false, ...options } = command.optsWithGlobals<UserOptions>()
      const by = operatorName(process.env)
      const preview = await removeUser(options, { name, dryRun: true, by })
      if (!dryRun) await confirm({ what: `remove the user ${name}`, yes }, shell.signal)
      const changed = dryRun ? preview : await removeUser(options, { name, dryRun, by })
      print({ ...changed, plain: false }, shell, { what: `remove ${name}` })
    })
}

function passwordOptions(command: Command): Command {
  return command
    .addOption(siteOption())
    .option(
      '--password-file <file>',
      `file with the password, or - for stdin (default: ${passwordVariable}, else asked on the terminal)`,
    )
    .option('--generate', 'generate a password, and print it once')
    .option('--dry-run', 'show the result; change nothing')
}

/** A password is never an argument: every user of this machine can read those of a running program (proc(5), cmdline). */
function passwordOf(
  { passwordFile, generate = false }: Pick<UserOptions, 'passwordFile' | 'generate'>,
  shell: Shell,
): { get(): Promise<string>; generated(): string | undefined } {
  if (generate && passwordFile !== undefined)
    throw new AirgapError('USAGE', '--generate and --password-file contradict each other', {
      next: 'leave one of both out',
    })
  let made: string | undefined
  const sources = {
    environment: process.env,
    askSecret: process.stdin.isTTY ? (question: string) => askHidden(question, shell.signal) : undefined,
    stdin: process.stdin,
    signal: shell.signal,
  }
  const read = (question: string) =>
    readPassword(question, { passwordFile, sources, variable: passwordVariable })
  return {
    generated: () => made,
    async get() {
      if (generate) {
        made = generatePassword()
        return made
      }
      const password = await read('Password of the user: ')
      const isTyped = passwordFile === undefined && !process.env[passwordVariable]
      if (isTyped && (await read('The same again: ')) !== password)
        throw new AirgapError('USAGE', 'the two passwords differ', {
          next: 'run the command again; nothing was written',
        })
      return password
    },
  }
}

function print(
  { plain, ...changed }: ChangedUser,
  shell: Shell,
  { what, generated }: { what: string; generated?: string | undefined },
): void {
  if (plain && changed.written)
    shell.log(
      'warning: the servers of this site use plain HTTP: everybody in its network can read passwords and tokens',
    )
  const password = changed.written ? generated : undefined
  shell.print(password === undefined ? changed : { ...changed, password }, () => [
    changed.written ? `${what}: done; ${changed.file}` : `would ${what}; nothing was written`,
    ...(password === undefined
      ? []
      : [`password: ${password}`, 'it is stored as a hash only, and not shown again']),
  ])
}
