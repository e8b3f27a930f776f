import type { Command } from 'commander'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import {
  addNode,
  type EditedSite,
  forgetHostKeys,
  nodeNamed,
  readSite,
  removeNode,
} from '../../deploy/nodes.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { nodeRoles } from '../../inventory/schema.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { bundleOptions, limitOption } from './options.ts'
import { checkMachines } from './preflight.ts'

interface NodeOptions extends SiteOptions {
  role?: string[]
  user?: string
  port?: string
  yes?: boolean
  dryRun?: boolean
}

/** The machines of site.yaml. */
export function nodesCommand(program: Command, shell: Shell): void {
  const nodes = addExamples(program.command('nodes'), [
    ['offline-deploy nodes list --site /opt/site'],
    ['offline-deploy nodes add gpu-5 10.0.0.25 --role worker,gpu', 'then: offline-deploy apply'],
  ]).description('List, add, remove and check the machines of site.yaml')
  defineList(nodes, shell)
  defineAdd(nodes, shell)
  defineRemove(nodes, shell)
  addExamples(bundleOptions(nodes.command('check')), [['offline-deploy nodes check --limit gpu-5']])
    .description('Examine every machine over SSH; exit 7 if the install cannot work')
    .addOption(limitOption())
    .action((_: unknown, command: Command) => checkMachines(command.optsWithGlobals(), shell))
  defineForget(nodes, shell)
}

function defineList(nodes: Command, shell: Shell): void {
  addExamples(bundleOptions(nodes.command('list')), [['offline-deploy nodes list --site /opt/site -o json']])
    .description('Show names, addresses, roles and SSH users')
    .action(async (_: unknown, command: Command) => {
      const { site } = await readSite(command.optsWithGlobals())
      shell.print({ nodes: site.nodes }, () =>
        site.nodes.map(
          ({ name, address, roles, user }) =>
            `${name.padEnd(24)} ${address.padEnd(16)} ${roles.join(', ').padEnd(32)} ${user ?? site.ssh.user}`,
        ),
      )
    })
}

function defineAdd(nodes: Command, shell: Shell): void {
  addExamples(bundleOptions(nodes.command('add')), [
    ['offline-deploy nodes add gpu-5 10.0.0.25 --role worker --role gpu --user astrago'],
  ])
    .description('Add a machine to site.yaml (`apply` then installs it)')
    .argument('<name>', 'its name in the cluster')
    .argument('<address>', 'its IP address')
    .requiredOption(
      '--role <role>',
      `${nodeRoles.join(', ')} (repeatable, or with commas)`,
      (text: string, before: string[] = []) => [...before, ...text.split(',')],
    )
    .option('--user <name>', 'SSH user')
    .option('--port <port>', 'SSH port')
    .option('--dry-run', 'show the change; write nothing')
    .action(async (name: string, address: string, _: unknown, command: Command) => {
      const {
        role: roles = [],
        user,
        port,
        dryRun = false,
        ...options
      } = command.optsWithGlobals<NodeOptions>()
      const sshPort = port === undefined ? undefined : Number(port)
      const node = { name, address, roles, ...defined({ user, port: sshPort }) }
      const edited = await addNode(options, node, { dryRun })
      printEdit(edited, shell, { what: `add ${name} (${address}: ${roles.join(', ')})`, dryRun })
    })
}

function defineRemove(nodes: Command, shell: Shell): void {
  addExamples(bundleOptions(nodes.command('remove')), [
    ['offline-deploy nodes remove gpu-5 --yes', 'after: offline-deploy reset gpu-5'],
  ])
    .description('Remove a machine from site.yaml (does not touch the machine)')
    .argument('<name>', 'its name in the cluster')
    .option('--yes', 'required: the machine stays in the cluster')
    .option('--dry-run', 'show the change; write nothing')
    .action(async (name: string, _: unknown, command: Command) => {
      const { yes = false, dryRun = false, ...options } = command.optsWithGlobals<NodeOptions>()
      nodeNamed((await readSite(options)).site, name)
      if (!dryRun && !yes)
        throw new AirgapError(
          'USAGE',
          `${name} would be removed from site.yaml, but keep running in the cluster`,
          {
            item: name,
            next: `remove it from the cluster first, with \`offline-deploy reset ${name}\`; then pass --yes`,
          },
        )
      printEdit(await removeNode(options, name, { dryRun }), shell, { what: `remove ${name}`, dryRun })
    })
}

function defineForget(nodes: Command, shell: Shell): void {
  addExamples(bundleOptions(nodes.command('forget')), [['offline-deploy nodes forget gpu-5']])
    .description('Forget the SSH host key of a machine that was reinstalled')
    .argument('<name>', 'its name in the cluster')
    .action(async (name: string, _: unknown, command: Command) => {
      const forgotten = await forgetHostKeys(command.optsWithGlobals(), name)
      shell.print({ name, forgotten }, () => `${name}: removed ${forgotten} host keys`)
    })
}

function printEdit(
  { path, nodes }: EditedSite,
  shell: Shell,
  { what, dryRun }: { what: string; dryRun: boolean },
): void {
  shell.print({ path, nodes, written: !dryRun }, () =>
    dryRun
      ? `would ${what}; nothing was written`
      : `${what}: ${path} has ${nodes.length} machines; next: \`offline-deploy plan\``,
  )
}
