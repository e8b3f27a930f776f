import type { Command } from 'commander'
import {
  addBundles,
  type ChangedBundles,
  listBundles,
  removeBundle,
  type SiteBundles,
} from '../../deploy/bundles.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { confirm } from '../shell/confirm.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { auditedRun, deployContext } from './context.ts'
import { siteOption, trustOptions } from './options.ts'

interface BundlesOptions extends SiteOptions {
  allowOlder?: boolean
  yes?: boolean
  dryRun?: boolean
}

/** The bundles that a site serves. */
export function bundlesCommand(program: Command, shell: Shell): void {
  const bundles = addExamples(program.command('bundles'), [
    ['offline-deploy bundles list --site /opt/site'],
    ['offline-deploy bundles add /media/usb/tools-2.0.0.tar', 'the running servers serve it at once'],
    ['offline-deploy bundles remove tools'],
  ]).description('List, add and remove the bundles that the site serves, without stopping the servers')
  defineList(bundles, shell)
  defineAdd(bundles, shell)
  defineRemove(bundles, shell)
}

function defineList(bundles: Command, shell: Shell): void {
  addExamples(bundles.command('list').addOption(siteOption()), [['offline-deploy bundles list -o json']])
    .description('Show the bundles in their order, and the names that the later ones win')
    .action(async (_: unknown, command: Command) => {
      const listed = await listBundles(command.optsWithGlobals(), deployContext(shell))
      shell.print(listed, () => [`${listed.site}:`, ...linesOf(listed)].join('\n'))
    })
}

function defineAdd(bundles: Command, shell: Shell): void {
  addExamples(trustOptions(bundles.command('add')), [
    ['offline-deploy bundles add tools-2.0.0.tar --expect sha256:…'],
    ['offline-deploy bundles add a.tar b.tar --dry-run', 'what would be served, and which names b.tar wins'],
  ])
    .description('Serve further bundles; of two with the same name, the one that was added last wins')
    .argument('<bundle...>', 'bundles, in this order')
    .option('--allow-older', 'accept a bundle that is older than the newest accepted one')
    .option('--dry-run', 'show the result; change nothing')
    .action(async (files: string[], _: unknown, command: Command) => {
      const { dryRun = false, ...options } = command.optsWithGlobals<BundlesOptions>()
      const run = () => addBundles({ ...options, files }, deployContext(shell), { dryRun })
      const named = { command: 'bundles add', subject: files.join(' '), options }
      printChange(dryRun ? await run() : await auditedRun(named, run), shell)
    })
}

function defineRemove(bundles: Command, shell: Shell): void {
  addExamples(bundles.command('remove').addOption(siteOption()), [
    ['offline-deploy bundles remove tools --yes'],
    ['offline-deploy bundles remove sha256:… --dry-run'],
  ])
    .description('No longer serve a bundle; the file stays')
    .argument('<bundle>', 'its name, its digest or its path')
    .option('--yes', 'do not ask for confirmation; required without a terminal')
    .option('--dry-run', 'show the result; change nothing')
    .action(async (bundleName: string, _: unknown, command: Command) => {
      const { yes = false, dryRun = false, ...options } = command.optsWithGlobals<BundlesOptions>()
      const how = { dryRun, confirm: async (what: string) => await confirm({ what, yes }, shell.signal) }
      const run = () => removeBundle({ ...options, bundleName }, deployContext(shell), how)
      const named = { command: 'bundles remove', subject: bundleName, options }
      printChange(dryRun ? await run() : await auditedRun(named, run), shell)
    })
}

function printChange(changed: ChangedBundles, shell: Shell): void {
  shell.print(changed, () =>
    [
      changed.written ? `${changed.site}:` : `${changed.site} would have:`,
      ...linesOf(changed),
      ...(changed.written ? [serversLine(changed)] : []),
      ...(changed.clientFilesChange
        ? [
            'the files for clients change: run `offline-deploy apply`, or `offline-deploy configure` on hosts that it does not reach',
          ]
        : []),
    ].join('\n'),
  )
}

function serversLine({ servers }: ChangedBundles): string {
  if (servers === 'reloaded') return 'the servers serve these bundles now'
  if (servers === 'restarted')
    return 'the systemd service was restarted and serves these bundles now; connections waited meanwhile'
  if (servers === 'signalled')
    return 'the servers were told to reload; their log shows whether they serve these bundles'
  return 'the servers do not run; the next `offline-deploy serve` or `apply` serves these bundles'
}

/** of names that are listed one by one */
const maxNames = 20

function linesOf({ bundles, shadowed }: SiteBundles): string[] {
  const rest = shadowed.length - maxNames
  return [
    ...bundles.map(({ path, name, version, digest, size, unreadable }) =>
      unreadable === undefined
        ? `bundle    ${name} ${version}  ${humanBytes(size ?? 0)}  ${digest}\n          ${path}`
        : `bundle    ${path}: ${unreadable}`,
    ),
    ...shadowed
      .slice(0, maxNames)
      .map(({ kind, name, servedFrom }) => `shadowed  ${kind} ${name}: served from ${servedFrom}`),
    ...(rest > 0 ? [`          and ${rest} more; \`-o json\` lists them all`] : []),
  ]
}
