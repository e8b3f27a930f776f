import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import { acquireProcessLock } from '../../core/process-lock.ts'
import { openBundles } from '../../deploy/open-bundles.ts'
import { openPasswords } from '../../deploy/passwords.ts'
import { type Setup, setUp } from '../../deploy/set-up.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { runPlaybook } from '../../install/ansible.ts'
import { openJournal } from '../../install/journal.ts'
import { endMarked } from '../../install/leftover.ts'
import { destroyApplication, rollBackApplication } from '../../install/steps/application.ts'
import { readInventory } from '../../inventory/read-inventory.ts'
import { openState } from '../../site/state.ts'
import type { Shell } from '../shell/run.ts'
import { openTerminal } from '../shell/terminal.ts'
import { deployContext } from './context.ts'
import { bundleOptions, configureOptions } from './options.ts'
import { openSiteInstall, type SiteInstall } from './site-install.ts'
import { type SiteTools, siteTools } from './site-tools.ts'
import { deploymentTrees } from './steps.ts'

interface ChangeOptions extends SiteOptions {
  yes?: boolean
  dryRun?: boolean
  confirm?: string
}

export function destroyCommand(program: Command, shell: Shell): void {
  destructive(program, 'destroy')
    .description('removes applications from the cluster, the last one first; volumes and their data stay')
    .argument('[application...]', 'which (default: all)')
    .action((names: string[], options: ChangeOptions) =>
      change(options, shell, {
        releases: true,
        what: context =>
          `remove ${applicationsOf(context, names).toReversed().join(', ')} from the cluster; volumes stay`,
        async run(context) {
          const done: string[] = []
          for (const name of applicationsOf(context, names).toReversed()) {
            shell.progress().note(`destroy: ${name}`)
            await destroyApplication(applicationOf(context, name), shell.signal)
            await context.undone(`app-${name}`)
            done.push(name)
          }
          return { destroyed: done }
        },
      }),
    )
}

export function resetCommand(program: Command, shell: Shell): void {
  destructive(program, 'reset')
    .description(
      'takes Kubernetes off the machines, with all that runs there: the whole cluster, or the machines named',
    )
    .argument('[machine...]', 'which (default: the whole cluster)')
    .action((names: string[], options: ChangeOptions) =>
      change(options, shell, {
        what(context) {
          if (!context.install.site.switches.kubernetes) throw notOurs(context)
          return names.length === 0
            ? `take the whole cluster down: ${machinesOf(context).join(', ')}; everything in it is lost`
            : `take ${known(names, machinesOf(context)).join(', ')} out of the cluster`
        },
        async run(context) {
          const { tools } = context
          await refuseOtherMachines(context, names.length === 0 ? machinesOf(context) : names)
          const playbook = names.length === 0 ? 'reset.yml' : 'remove-node.yml'
          const variables = {
            ...{ skip_confirmation: true, reset_confirmation: true },
            ...(names.length === 0 ? {} : { node: names.join(','), reset_nodes: true }),
          }
          await runPlaybook(
            tools.ansible,
            {
              ...{ name: 'reset', cwd: tools.paths.kubespray, variables },
              // remove-node.yml works on the machine that is named, and asks the control plane
              limit: names.length === 0 ? machinesOf(context).join(',') : undefined,
              playbook: join(tools.paths.kubespray, playbook),
            },
            { progress: shell.progress(), signal: shell.signal, now: () => new Date() },
          )
          await context.undone('kubernetes')
          return { reset: names.length === 0 ? machinesOf(context) : names }
        },
      }),
    )
}

export function rollBackApplicationCommand(program: Command, shell: Shell): void {
  configureOptions(bundleOptions(program.command('rollback-app')))
    .description(
      'brings an application back to the revision before its last change; the rest of the site stays',
    )
    .argument('<application>', 'which')
    .option('--yes', 'needed where nobody can be asked')
    .option('--dry-run', 'say what would be done; change nothing')
    .action((name: string, options: ChangeOptions) =>
      change(options, shell, {
        once: true,
        releases: true,
        what: context => `bring ${applicationsOf(context, [name]).join()} back to the revision before`,
        async run(context) {
          const releases = await rollBackApplication(applicationOf(context, name), shell.signal)
          await context.undone(`app-${name}`)
          return { rolledBack: releases }
        },
      }),
    )
}

function destructive(program: Command, name: string): Command {
  return configureOptions(bundleOptions(program.command(name)))
    .option('--yes', 'needed where nobody can be asked, together with --confirm')
    .option('--confirm <environment>', 'the name of the environment, as the second answer')
    .option('--dry-run', 'say what would be done; change nothing')
}

interface ChangeContext {
  install: SiteInstall
  tools: SiteTools
  /** the journal forgets that a step was done */
  undone(step: string): Promise<void>
}

async function change(
  options: ChangeOptions,
  shell: Shell,
  work: {
    /** asked for but once: it can be done again */
    once?: boolean
    /** is about what runs in the cluster, which then has to be there */
    releases?: boolean
    what: (context: ChangeContext) => string
    run: (context: ChangeContext) => Promise<Record<string, unknown>>
  },
): Promise<void> {
  const setup = await setUp(options)
  const { site } = setup
  if (site === undefined)
    throw new AirgapError('USAGE', 'this site has no site.yaml', {
      item: setup.siteFolder,
      likely: 'only the servers were set up here: nothing was installed on machines',
      next: 'name the state folder of the site with --site',
    })
  await using opened = await openBundles(setup.config.bundles, { ...setup, unknown: 'refused' })
  const { bundles } = opened
  const state = await openState(setup.siteFolder)
  const lock = await acquireProcessLock(state.paths.lock, setup.siteFolder)
  const journal = await openJournal(state.paths.journal, { site: state.identity })
  try {
    await endMarked(state.paths.running)
    const install = await openSiteInstall(site, { trees: deploymentTrees(bundles, new Map()), state })
    if (install === undefined) throw nothingInstalled(setup, setup.siteFolder)
    const purpose = options.dryRun ? 'plan' : 'apply'
    const passwords = await openPasswords(site, {
      folder: state.paths.access,
      purpose,
      sources: deployContext(shell),
    })
    const context: ChangeContext = {
      install,
      tools: siteTools(site, { state, passwords }),
      async undone(step) {
        const last = journal.last(step)
        if (last !== undefined)
          await journal.record({ step, key: last.key, event: 'undone', at: new Date().toISOString() })
      },
    }
    const what = work.what(context)
    if (options.dryRun) return shell.print({ would: what }, () => `would ${what}`)
    const wanted = [context.tools.paths.bin, ...(work.releases ? [context.tools.cluster.kubeconfig] : [])]
    for (const path of wanted)
      if ((await stat(path).catch(() => undefined)) === undefined) throw nothingInstalled(setup, path)
    await confirmTwice(what, {
      ...options,
      environment: site.environment,
      once: work.once ?? false,
      signal: shell.signal,
    })
    const result = await work.run(context)
    shell.print({ site: setup.siteFolder, ...result }, () => `done: ${what}`)
  } finally {
    await journal.close()
    await lock.release()
  }
}

/** What cannot be taken back is asked for twice: yes, and the name of the environment. */
async function confirmTwice(
  what: string,
  options: { yes?: boolean; confirm?: string; environment: string; once: boolean; signal: AbortSignal },
): Promise<void> {
  const { yes, confirm, environment, once, signal } = options
  const sure = (answer: string | undefined) => once || answer === environment
  if (yes && sure(confirm)) return
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new AirgapError('USAGE', `this would ${what}`, {
      item: once ? '--yes' : `--yes --confirm ${environment}`,
      likely: 'there is no terminal on which somebody could be asked',
      next: once ? 'give --yes' : `give --yes and --confirm ${environment}; nothing was changed`,
    })
  }
  const terminal = openTerminal(signal)
  try {
    if (!yes && !/^y(es)?$/i.test(await terminal.ask(`This will ${what}. Go on? [y/N] `))) throw declined()
    if (sure(confirm)) return
    const answer = await terminal.ask(`Type the name of the environment (${environment}) to do it: `)
    if (answer !== environment) throw declined()
  } finally {
    terminal.close()
  }
}

function declined(): AirgapError {
  return new AirgapError('USAGE', 'not confirmed: nothing was changed', { next: 'run it again and answer' })
}

function applicationsOf({ install }: ChangeContext, names: readonly string[]): string[] {
  // one that was switched off after it was installed is still there
  const all = install.deployment.applications?.order ?? []
  return names.length === 0 ? all : known(names, all)
}

function applicationOf({ install, tools }: ChangeContext, name: string) {
  const { site, deployment, folder } = install
  return {
    ...{ name, cluster: tools.cluster, environment: site.environment, program: tools.program },
    helmfile: join(folder, deployment.applications?.helmfile ?? ''),
  }
}

function machinesOf({ install }: ChangeContext): string[] {
  return install.site.nodes
    .filter(({ roles }) => roles.includes('control-plane') || roles.includes('worker'))
    .map(({ name }) => name)
}

/** ansible takes the machines from the inventory that the last apply wrote: they have to be those that were confirmed. */
async function refuseOtherMachines(
  { install, tools }: ChangeContext,
  names: readonly string[],
): Promise<void> {
  const inventory = await readInventory(tools.ansible.inventory)
  const changed = names.filter(name => {
    const address = install.site.nodes.find(node => node.name === name)?.address
    const host = inventory.hosts.get(name)
    return host === undefined || host.variables.get('ansible_host') !== address
  })
  const [first] = changed
  if (first === undefined) return
  throw new AirgapError('USAGE', 'site.yaml and the inventory that was installed name different machines', {
    item: `${changed.join(', ')}: ${tools.ansible.inventory}`,
    likely: 'site.yaml was edited since the last apply',
    next: 'put site.yaml back as it was, or have the inventory written again: `offline-deploy apply --only inventory`; nothing was changed',
  })
}

function notOurs({ install }: ChangeContext): AirgapError {
  return new AirgapError('USAGE', 'this cluster was not installed from here: it is not taken down', {
    item: `${install.site.environment}: switches.kubernetes: false`,
    likely: 'site.yaml says that there was a Kubernetes already',
    next: 'take the applications off it with `offline-deploy destroy`',
  })
}

function known(names: readonly string[], all: readonly string[]): string[] {
  const unknown = names.find(name => !all.includes(name))
  if (unknown === undefined) return all.filter(name => names.includes(name))
  throw new AirgapError('USAGE', 'there is none of this name', {
    item: unknown,
    likely: `there are ${all.join(', ')}`,
    next: 'name one of them',
  })
}

function nothingInstalled({ siteFolder }: Setup, path: string): AirgapError {
  return new AirgapError('FILE_NOT_FOUND', `nothing was installed from ${siteFolder} yet`, {
    item: path,
    likely: 'another state folder was used, or apply has not come so far',
    next: 'give the right --site, or run apply first',
  })
}
