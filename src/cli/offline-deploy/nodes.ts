import { readFile, realpath } from 'node:fs/promises'
import type { Command } from 'commander'
import { writeAtomically } from '../../core/atomic-file.ts'
import { AirgapError, errnoOf, fromSystemError } from '../../core/errors.ts'
import { findSite } from '../../deploy/set-up.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { withNode, withoutNode } from '../../inventory/edit.ts'
import { nodeRoles } from '../../inventory/schema.ts'
import { parseSiteFile } from '../../inventory/site-file.ts'
import { pathsOf } from '../../site/state.ts'
import type { Shell } from '../shell/run.ts'
import { bundleOptions } from './options.ts'
import { nodesCheck } from './preflight.ts'

interface NodeOptions extends SiteOptions {
  role?: string[]
  user?: string
  port?: string
  yes?: boolean
  dryRun?: boolean
}

/** The machines of site.yaml. */
export function nodesCommand(program: Command, shell: Shell): void {
  const nodes = program
    .command('nodes')
    .description('the machines of site.yaml: list, add, remove, check, forget')
  bundleOptions(nodes.command('list'))
    .description('names, addresses and roles')
    .action(async (_: unknown, command: Command) => {
      const { site } = await openSite(command.optsWithGlobals())
      shell.print({ nodes: site.nodes }, () =>
        site.nodes
          .map(
            one =>
              `${one.name.padEnd(24)} ${one.address.padEnd(16)} ${one.roles.join(', ').padEnd(32)} ${one.user ?? site.ssh.user}`,
          )
          .join('\n'),
      )
    })
  bundleOptions(nodes.command('add'))
    .description('a machine more; `apply` then installs it')
    .argument('<name>', 'its name in the cluster')
    .argument('<address>', 'its IP address')
    .requiredOption(
      '--role <role>',
      `${nodeRoles.join(', ')} (repeatable)`,
      (text: string, before: string[] = []) => [...before, ...text.split(',')],
    )
    .option('--user <name>', 'who logs in there')
    .option('--port <port>', 'port of its sshd')
    .option('--dry-run', 'show the change; write nothing')
    .action(async (name: string, address: string, _: unknown, command: Command) => {
      const { role = [], user, port, ...options } = command.optsWithGlobals<NodeOptions>()
      const node = {
        name,
        address,
        roles: role,
        ...(user === undefined ? {} : { user }),
        ...(port === undefined ? {} : { port: Number(port) }),
      }
      await change({ ...options, what: `add ${name} (${address}: ${role.join(', ')})` }, shell, text =>
        withNode(text, node),
      )
    })
  bundleOptions(nodes.command('remove'))
    .description('takes a machine out of site.yaml; the machine itself is not touched')
    .argument('<name>', 'its name in the cluster')
    .option('--yes', 'needed where nobody can be asked')
    .option('--dry-run', 'show the change; write nothing')
    .action(async (name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<NodeOptions>()
      const { site } = await openSite(options)
      const index = site.nodes.findIndex(node => node.name === name)
      if (index < 0)
        throw unknown(
          name,
          site.nodes.map(node => node.name),
        )
      if (!options.dryRun && !options.yes)
        throw new AirgapError('USAGE', `${name} would be forgotten here, and go on running in the cluster`, {
          item: name,
          next: `take it out of the cluster first: \`offline-deploy reset ${name}\`; then give --yes`,
        })
      await change({ ...options, what: `remove ${name}` }, shell, text => withoutNode(text, index))
    })
  bundleOptions(nodes.command('check'))
    .description('asks every machine over SSH whether the install can work; exit 7 where it cannot')
    .option('--limit <hosts>', 'only these machines, as ansible takes it: names with commas, a group')
    .action((_: unknown, command: Command) => nodesCheck(command.optsWithGlobals(), shell))
  bundleOptions(nodes.command('forget'))
    .description('forgets the host key of a machine that was installed anew')
    .argument('<name>', 'its name in the cluster')
    .action(async (name: string, _: unknown, command: Command) => {
      const { site, paths } = await openSite(command.optsWithGlobals())
      const node = site.nodes.find(one => one.name === name)
      if (node === undefined)
        throw unknown(
          name,
          site.nodes.map(one => one.name),
        )
      const port = node.port ?? site.ssh.port
      const hosts = [node.address, `[${node.address}]:${port}`, node.name]
      const text = await readFile(paths.knownHosts, 'utf8').catch(error => {
        if (errnoOf(error) === 'ENOENT') return ''
        throw fromSystemError(error, paths.knownHosts)
      })
      const lines = text.split('\n')
      const kept = lines.filter(
        line => !(line.split(' ')[0] ?? '').split(',').some(host => hosts.includes(host)),
      )
      if (kept.length < lines.length) await writeAtomically(paths.knownHosts, kept.join('\n'), 0o600)
      shell.print(
        { name, forgotten: lines.length - kept.length },
        () => `${name}: ${lines.length - kept.length} host keys forgotten`,
      )
    })
}

async function openSite(options: SiteOptions) {
  const { siteFolder } = await findSite(options)
  const paths = pathsOf(siteFolder)
  const text = await readFile(paths.siteFile, 'utf8').catch(error => {
    throw fromSystemError(error, paths.siteFile)
  })
  return { paths, text, site: parseSiteFile(text, paths.siteFile) }
}

/** The result is checked before it is written. */
async function change(
  { what, ...options }: NodeOptions & { what: string },
  shell: Shell,
  edit: (text: string) => string,
): Promise<void> {
  const { paths, text } = await openSite(options)
  const after = edit(text)
  const { nodes } = parseSiteFile(after, paths.siteFile)
  // where it is a link, what it leads to
  if (!options.dryRun) await writeAtomically(await realpath(paths.siteFile), after, 0o600)
  shell.print({ path: paths.siteFile, nodes, written: !options.dryRun }, () =>
    options.dryRun
      ? `would ${what}; nothing was written`
      : `${what}: ${paths.siteFile} has ${nodes.length} machines; next: \`offline-deploy plan\``,
  )
}

function unknown(name: string, known: readonly string[]): AirgapError {
  return new AirgapError('USAGE', 'no machine of this name', {
    item: name,
    likely: `there are ${known.join(', ')}`,
    next: '`offline-deploy nodes list` shows them',
  })
}
