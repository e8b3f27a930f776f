import { type Command, InvalidArgumentError } from 'commander'
import { defined } from '../../core/defined.ts'
import { type InitializedSite, type Interview, initSite } from '../../deploy/init.ts'
import { interviewSite } from '../../deploy/site-interview.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { nodeRoles } from '../../inventory/schema.ts'
import type { SiteAnswers } from '../../inventory/starter.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { openTerminal } from '../shell/terminal.ts'
import { bundleOptions } from './options.ts'

interface InitOptions extends SiteOptions {
  node?: SiteAnswers['nodes'][number][]
  externalIp?: string
  nfs?: string
  user?: string
  privateKey?: string
  sudoPassword?: boolean
  from?: string
  values?: string
  force?: boolean
  dryRun?: boolean
}

export function initCommand(program: Command, shell: Shell): void {
  addExamples(bundleOptions(program.command('init')), [
    ['offline-deploy init --node master-1=10.0.0.11:control-plane,worker --node gpu-1=10.0.0.21:worker,gpu'],
    ['offline-deploy init --from kubespray/inventory --values values.yaml --dry-run'],
  ])
    .description(
      'Write site.yaml (machines, addresses, NFS) from questions, options or a kubespray inventory',
    )
    .option(
      '--node <name=address:roles>',
      `a machine, such as gpu-1=10.0.0.21:worker,gpu (repeatable; roles: ${nodeRoles.join(', ')})`,
      node,
    )
    .option('--external-ip <address>', 'address at which users reach the platform')
    .option('--nfs <server:path>', 'server and folder for volumes')
    .option('--user <name>', 'SSH user on the machines')
    .option('--private-key <file>', 'SSH key for the machines')
    .option('--sudo-password', 'sudo requires a password there')
    .option('--env <name>', 'the environment')
    .option('--from <inventory>', 'convert this inventory of kubespray: a file, or its folder')
    .option('--values <file>', 'with --from: the previous environments/NAME/values.yaml')
    .option('--force', 'replace an existing site.yaml, which is kept as site.yaml.before')
    .option('--dry-run', 'print the file; write nothing')
    .action(async ({ from, values, force = false, dryRun = false, ...options }: InitOptions) => {
      const interview: Interview = async (known, draft) => {
        const terminal = openTerminal(shell.signal)
        try {
          return await interviewSite(known, terminal, draft)
        } finally {
          terminal.close()
        }
      }
      const written = await initSite(
        { ...options, answers: answersOf(options), from, values, force, dryRun },
        { interview: process.stdin.isTTY ? interview : undefined },
      )
      printSite(written, shell, { dryRun })
    })
}

function printSite(
  { path, text, nodes, notes }: InitializedSite,
  shell: Shell,
  { dryRun }: { dryRun: boolean },
): void {
  if (dryRun) {
    shell.print({ path, text, notes }, () => [text, ...notes.map(note => `# ${note}`)].join('\n'))
    return
  }
  shell.print({ path, nodes, notes }, () => [
    `${path}: ${nodes.length} machines`,
    ...notes.map(note => `note: ${note}`),
    'next: review it, then run `offline-deploy preflight` and `offline-deploy plan`',
  ])
}

function answersOf(options: InitOptions): SiteAnswers {
  const { user, privateKey, sudoPassword, env, externalIp, nfs } = options
  const [server, path] = nfs?.split(/:(?=\/)/) ?? []
  const ssh = defined({ user, privateKey, sudo: sudoPassword ? ('password' as const) : undefined })
  return {
    ...defined({
      environment: env,
      externalIP: externalIp,
      nfs: server === undefined ? undefined : { server, ...defined({ path }) },
      ssh: Object.keys(ssh).length === 0 ? undefined : ssh,
    }),
    nodes: options.node ?? [],
  }
}

/** `gpu-1=10.0.0.21:worker,gpu`; an IPv6 address in brackets */
function node(text: string, before: SiteAnswers['nodes'][number][] = []) {
  const [, name, bracketed, bare, roles] = /^([^=]+)=(?:\[([^\]]+)\]|([^:]+)):(.+)$/.exec(text) ?? []
  const address = bracketed ?? bare
  if (name === undefined || address === undefined || roles === undefined)
    throw new InvalidArgumentError('must be NAME=ADDRESS:ROLE,ROLE, such as gpu-1=10.0.0.21:worker,gpu')
  return [...before, { name, address, roles: roles.split(',') }]
}
