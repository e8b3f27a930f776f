import { mkdir, readdir, readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { writeAtomically } from '../../core/atomic-file.ts'
import { AirgapError, errnoOf, fromSystemError } from '../../core/errors.ts'
import { findSite } from '../../deploy/set-up.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { convertInventory } from '../../inventory/convert.ts'
import { nodeRoles } from '../../inventory/schema.ts'
import { parseSiteFile } from '../../inventory/site-file.ts'
import { type SiteAnswers, starterSite } from '../../inventory/starter.ts'
import { pathsOf } from '../../site/state.ts'
import type { Shell } from '../shell/run.ts'
import { openTerminal } from '../shell/terminal.ts'
import { bundleOptions } from './options.ts'

type AskedNode = SiteAnswers['nodes'][number]

interface InitOptions extends SiteOptions {
  node?: AskedNode[]
  externalIp?: string
  nfs?: string
  user?: string
  privateKey?: string
  sudoPassword?: boolean
  env?: string
  from?: string
  values?: string
  force?: boolean
  dryRun?: boolean
}

export function initCommand(program: Command, shell: Shell): void {
  bundleOptions(program.command('init'))
    .description(
      'writes site.yaml: machines, addresses, NFS; asks on a terminal, or takes these options, or converts an inventory',
    )
    .option(
      '--node <name=address:roles>',
      `a machine, such as gpu-1=10.0.0.21:worker,gpu (repeatable; roles: ${nodeRoles.join(', ')})`,
      node,
    )
    .option('--external-ip <address>', 'where users reach the platform')
    .option('--nfs <server:path>', 'server and folder of the volumes')
    .option('--user <name>', 'who logs in to the machines')
    .option('--private-key <file>', 'the key to log in with')
    .option('--sudo-password', 'sudo asks for a password there')
    .option('--env <name>', 'the environment')
    .option('--from <inventory>', "kubespray's inventory: a file, or its folder")
    .option('--values <file>', 'environments/NAME/values.yaml of before, with --from')
    .option('--force', 'replace the site.yaml that is there; it is kept as site.yaml.before')
    .option('--dry-run', 'print it; write nothing')
    .action(async (options: InitOptions) => {
      const { siteFolder } = await findSite(options)
      const { siteFile } = pathsOf(siteFolder)
      const before = await readBefore(siteFile)
      // told before anybody has answered questions
      if (before !== undefined && !options.force && !options.dryRun) throw thereAlready(siteFile)
      if (options.values !== undefined && options.from === undefined)
        throw new AirgapError('USAGE', '--values goes with --from', {
          item: options.values,
          next: "name kubespray's inventory with --from, too",
        })
      const converted =
        options.from === undefined
          ? undefined
          : await convertInventory({
              inventory: options.from,
              ...(options.values === undefined ? {} : { values: options.values }),
            })
      const given = withNfsOf(merge(converted?.answers ?? { nodes: [] }, options))
      const answers =
        given.nodes.length === 0 && process.stdin.isTTY && !options.dryRun
          ? await ask(given, shell.signal)
          : given
      const text = starterSite(answers)
      parseSiteFile(text, `${siteFile} (not written)`)
      const notes = converted?.notes ?? []
      if (options.dryRun)
        return shell.print({ path: siteFile, text, notes }, () =>
          [text, ...notes.map(note => `# ${note}`)].join('\n'),
        )
      if (answers.nodes.length === 0)
        throw new AirgapError(
          'USAGE',
          'no machine was named, and nobody can be asked: there is no terminal',
          {
            item: '--node',
            next: 'name each: --node master-1=10.0.0.11:control-plane,worker; `init --dry-run` shows the file',
          },
        )
      await write(siteFile, { text, before })
      shell.print({ path: siteFile, nodes: answers.nodes, notes }, () =>
        [
          `${siteFile}: ${answers.nodes.length} machines`,
          ...notes.map(note => `note: ${note}`),
          'next: look at it, then run `offline-deploy preflight` and `offline-deploy plan`',
        ].join('\n'),
      )
    })
}

/** `gpu-1=10.0.0.21:worker,gpu`; an IPv6 address in brackets */
function node(text: string, before: AskedNode[] = []): AskedNode[] {
  const [, name, bracketed, bare, roles] = /^([^=]+)=(?:\[([^\]]+)\]|([^:]+)):(.+)$/.exec(text) ?? []
  const address = bracketed ?? bare
  if (name === undefined || address === undefined || roles === undefined)
    throw new InvalidArgumentError('must be NAME=ADDRESS:ROLE,ROLE, such as gpu-1=10.0.0.21:worker,gpu')
  return [...before, { name, address, roles: roles.split(',') }]
}

function merge(known: SiteAnswers, options: InitOptions): SiteAnswers {
  const [server, path] = options.nfs?.split(/:(?=\/)/) ?? []
  const ssh = {
    ...known.ssh,
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.privateKey === undefined ? {} : { privateKey: options.privateKey }),
    ...(options.sudoPassword ? { sudo: 'password' as const } : {}),
  }
  return {
    ...known,
    ...(options.env === undefined ? {} : { environment: options.env }),
    ...(options.externalIp === undefined ? {} : { externalIP: options.externalIp }),
    ...(server === undefined ? {} : { nfs: { server, ...(path === undefined ? {} : { path }) } }),
    ...(Object.keys(ssh).length === 0 ? {} : { ssh }),
    nodes: [...known.nodes, ...(options.node ?? [])],
  }
}

/** One question after the other; an answer that does not fit is told why, and asked for again. */
async function ask(known: SiteAnswers, signal: AbortSignal): Promise<SiteAnswers> {
  const terminal = openTerminal(signal)
  const question = (text: string) => terminal.ask(`${text} `)
  const fits = (candidate: SiteAnswers): string | undefined => {
    try {
      parseSiteFile(starterSite(candidate), 'site.yaml')
      return undefined
    } catch (error) {
      if (!(error instanceof AirgapError)) throw error
      return error.message
    }
  }
  try {
    let answers = known
    terminal.tell(
      `Machines, one after the other: NAME ADDRESS ROLE,ROLE (${nodeRoles.join(', ')}). An empty line ends.`,
    )
    for (;;) {
      const line = await question(`machine ${answers.nodes.length + 1}:`)
      const [name, address, roles] = line.split(/\s+/)
      if (line === '' && answers.nodes.length > 0) {
        const wrong = fits(withNfsOf(answers))
        if (wrong === undefined) break
        terminal.tell(wrong)
        continue
      }
      if (!name || !address || !roles) {
        terminal.tell('such as: master-1 10.0.0.11 control-plane,worker')
        continue
      }
      const candidate = { ...answers, nodes: [...answers.nodes, { name, address, roles: roles.split(',') }] }
      // a control plane and an NFS server may come with a later machine
      const wrong = fits(withNfsOf(candidate))
        ?.split('\n')
        .filter(text => !/none has the role|needs an odd number/.test(text))
        .slice(1)
      if (wrong !== undefined && wrong.length > 0) terminal.tell(wrong.join('\n'))
      else {
        answers = candidate
        terminal.tell(`  ${name} ${address} ${roles}`)
      }
    }
    answers = withNfsOf(answers)
    /** asks until the answer fits; an empty one leaves things as they are */
    const until = async (text: string, put: (answer: string) => SiteAnswers) => {
      for (;;) {
        const answer = await question(text)
        const candidate = answer === '' ? answers : put(answer)
        const wrong = fits(candidate)
        if (wrong === undefined) return candidate
        terminal.tell(wrong)
      }
    }
    answers = await until('user who logs in there [root]:', user => ({
      ...answers,
      ssh: { ...answers.ssh, user },
    }))
    if ((answers.ssh?.user ?? 'root') !== 'root')
      answers = await until('does sudo ask that user for a password? [y/N]:', answer =>
        /^y(es)?$/i.test(answer) ? { ...answers, ssh: { ...answers.ssh, sudo: 'password' } } : answers,
      )
    return await until('address under which users reach the platform [none yet]:', externalIP => ({
      ...answers,
      externalIP,
    }))
  } finally {
    terminal.close()
  }
}

function withNfsOf(answers: SiteAnswers): SiteAnswers {
  const server = answers.nodes.find(({ roles }) => roles.includes('nfs'))
  return answers.nfs !== undefined || server === undefined
    ? answers
    : { ...answers, nfs: { server: server.name } }
}

async function readBefore(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(error => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  })
}

function thereAlready(path: string): AirgapError {
  return new AirgapError('USAGE', 'there is a site.yaml already', {
    item: path,
    likely: 'init was run before',
    next: 'edit it, or use `offline-deploy nodes`; --force makes a new one and keeps this as site.yaml.before',
  })
}

/** What was there is kept, also what was kept before. */
async function write(
  path: string,
  { text, before }: { text: string; before: string | undefined },
): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    if (before !== undefined) {
      const names = await readdir(dirname(path))
      const kept = names.includes(`${basename(path)}.before`)
        ? `.before-${new Date().toISOString().replace(/[:.]/g, '-')}`
        : '.before'
      await writeAtomically(`${path}${kept}`, before, 0o600)
    }
    await writeAtomically(path, text, 0o600)
  } catch (error) {
    throw fromSystemError(error, path)
  }
}
