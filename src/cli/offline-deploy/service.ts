import { type Command, InvalidArgumentError } from 'commander'
import { type Digest, isDigest } from '../../core/digest.ts'
import type { ServiceChange, ServiceOptions, ServiceRun, ServiceView } from '../../deploy/service.ts'
import { confirm } from '../shell/confirm.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { selfCommand } from './context.ts'
import { bundleOptions, serverOptions, siteOption } from './options.ts'

interface ChangeOptions extends ServiceOptions {
  yes?: boolean
  dryRun?: boolean
}

/** The servers as a service of systemd. */
export function serviceCommand(program: Command, shell: Shell): void {
  const service = addExamples(program.command('service'), [
    ['offline-deploy service show', 'the units, before anything is written'],
    ['offline-deploy service install', 'they start with this machine, and after a failure'],
    ['systemctl restart astrago-site', 'connections wait meanwhile'],
  ]).description('Have systemd run the servers of this site, as a user of their own')
  defineInstall(service, shell)
  defineRemove(service, shell)
  defineShow(service, shell)
  defineSync(service, shell)
}

function defineInstall(service: Command, shell: Shell): void {
  const command = addExamples(serverOptions(bundleOptions(service.command('install'))), [
    ['offline-deploy service install --dry-run'],
    ['offline-deploy service install --name training --yes', 'units training.socket and training.service'],
  ])
    .description('Write the units, create the user of the servers, and start them')
    .option('--name <name>', 'name of the units and the user (default: astrago-site)', unitName)
  changeOptions(command).action(async (_: unknown, command: Command) => {
    const options: ChangeOptions = command.optsWithGlobals()
    const { installService } = await import('../../deploy/service.ts')
    const changed = await installService(options, runOf(options, shell))
    shell.print(changed, () => installedText(changed))
  })
}

function defineRemove(service: Command, shell: Shell): void {
  const command = addExamples(service.command('remove').addOption(siteOption()), [
    ['offline-deploy service remove --dry-run'],
  ]).description('Stop the service and remove its units (keeps /var/lib/NAME and the user)')
  changeOptions(command).action(async (_: unknown, command: Command) => {
    const options: ChangeOptions = command.optsWithGlobals()
    const { removeService } = await import('../../deploy/service.ts')
    const changed = await removeService(options, runOf(options, shell))
    shell.print(changed, () => [
      ...changed.files.map(path => `${changed.done ? 'removed' : 'would remove'} ${path}`),
      ...(changed.done ? ['start the servers without systemd: `offline-deploy apply`'] : []),
    ])
  })
}

function defineShow(service: Command, shell: Shell): void {
  addExamples(serverOptions(bundleOptions(service.command('show'))), [
    ['offline-deploy service show -o json'],
  ])
    .description('Show the units, whether they are written, and whether they run')
    .option('--name <name>', 'name of the units and the user (default: astrago-site)', unitName)
    .action(async (_: unknown, command: Command) => {
      const { showService } = await import('../../deploy/service.ts')
      const view = await showService(command.optsWithGlobals(), {
        self: selfCommand(),
        signal: shell.signal,
      })
      shell.print(view, () => viewText(view))
    })
}

function defineSync(service: Command, shell: Shell): void {
  addExamples(service.command('sync').addOption(siteOption()), [
    ['systemctl reload astrago-site', 'runs it, then has the servers read what is new'],
  ])
    .description('Copy settings and keys to the folder of the servers (run by the unit)')
    .requiredOption('--name <name>', 'name of the units', unitName)
    .option('--verified <digest>', 'a bundle that was read whole: its verdicts are copied, too', digest)
    .action(async (_: unknown, command: Command) => {
      const { site = '', ...options } = command.optsWithGlobals<{
        site?: string
        name: string
        verified?: Digest
      }>()
      const { syncService } = await import('../../deploy/service-sync.ts')
      const synced = await syncService({ site, ...options }, { now: () => new Date() })
      shell.print(synced, () => synced.files.map(path => `${synced.folder}/${path}`))
    })
}

function changeOptions(command: Command): Command {
  return command
    .option('--yes', 'do not ask for confirmation; required without a terminal')
    .option('--dry-run', 'show what would be done; change nothing')
}

function runOf({ yes = false, dryRun = false }: ChangeOptions, shell: Shell): ServiceRun {
  return {
    now: () => new Date(),
    signal: shell.signal,
    self: selfCommand(),
    dryRun,
    confirm: what => confirm({ what, yes }, shell.signal),
  }
}

function installedText({ name, files, done }: ServiceChange): string[] {
  return [
    ...files.map(path => `${done ? 'wrote' : 'would write'} ${path}`),
    ...(done
      ? [
          `${name}.service runs; it starts with this machine`,
          `log: journalctl -u ${name}; after a change of settings: systemctl reload ${name}`,
        ]
      : []),
  ]
}

function viewText({ name, state, folder, units }: ServiceView): string[] {
  return [
    state === null
      ? 'not installed: these units would be written'
      : `${name}.service ${state.service}, ${name}.socket ${state.socket}; state of the servers in ${folder}`,
    ...units.flatMap(({ path, text, written }) => [
      '',
      `# ${path}${state !== null && !written ? ' (differs from the file)' : ''}`,
      ...text.trimEnd().split('\n'),
    ]),
  ]
}

function digest(text: string): Digest {
  if (isDigest(text)) return text
  throw new InvalidArgumentError('must be sha256: and 64 hexadecimal digits')
}

function unitName(text: string): string {
  if (/^[a-z][a-z0-9-]{0,30}$/.test(text)) return text
  throw new InvalidArgumentError('must be lower-case letters, digits and hyphens, at most 31')
}
