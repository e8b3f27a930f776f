import { type Command, InvalidArgumentError } from 'commander'
import {
  addKeys,
  type ChangedKeys,
  changeThreshold,
  listKeys,
  removeKey,
  rotateKeys,
  type SiteKeys,
} from '../../deploy/keys.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { confirm } from '../shell/confirm.ts'
import { addExamples } from '../shell/examples.ts'
import { localTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { deployContext } from './context.ts'
import { siteOption } from './options.ts'

interface KeyOptions extends SiteOptions {
  name?: string
  yes?: boolean
  dryRun?: boolean
}

/** The keys whose signatures the site trusts. */
export function keysCommand(program: Command, shell: Shell): void {
  const keys = addExamples(program.command('keys'), [
    ['offline-deploy keys list --site /opt/site'],
    ['offline-deploy keys add builder.pub --name release-2026', 'compare its fingerprint over the phone'],
    ['offline-deploy keys rotate new-keys.rotation', 'signed with the keys that the site has'],
  ]).description('List, add, remove and rotate the keys whose signatures this site trusts')
  defineList(keys, shell)
  defineAdd(keys, shell)
  defineRemove(keys, shell)
  defineThreshold(keys, shell)
  defineRotate(keys, shell)
}

function defineList(keys: Command, shell: Shell): void {
  addExamples(keys.command('list').addOption(siteOption()), [['offline-deploy keys list -o json']])
    .description('Show the keys, how many must sign a bundle, and the newest bundles that were accepted')
    .action(async (_: unknown, command: Command) => {
      const listed = await listKeys(command.optsWithGlobals())
      shell.print(listed, () =>
        listed.keys === null
          ? `${listed.site} has no keys yet: the key of the first signed bundle is pinned, and unsigned bundles are accepted until then`
          : keysText(listed.keys),
      )
    })
}

function defineAdd(keys: Command, shell: Shell): void {
  changeOptions(
    addExamples(keys.command('add'), [
      ['offline-deploy keys add builder.pub --name release-2026'],
      ['offline-deploy keys add second.pub --yes', 'without a terminal, once its fingerprint was compared'],
    ])
      .description('Trust another key, once a person has compared its fingerprint')
      .argument('<file>', 'public key of minisign, OpenSSH (ssh-ed25519) or PEM')
      .option('--name <name>', 'name of the key (default: from its fingerprint)'),
  ).action(async (file: string, _: unknown, command: Command) => {
    const { yes, dryRun, ...options } = command.optsWithGlobals<KeyOptions>()
    const run = changeRun(shell, { yes, dryRun })
    printChange(await addKeys({ ...options, file }, deployContext(shell), run), shell)
  })
}

function defineRemove(keys: Command, shell: Shell): void {
  changeOptions(
    addExamples(keys.command('remove'), [['offline-deploy keys remove release-2025']])
      .description('No longer trust a key; bundles that are installed stay in use')
      .argument('<key>', 'its name or fingerprint'),
  ).action(async (key: string, _: unknown, command: Command) => {
    const { yes, dryRun, ...options } = command.optsWithGlobals<KeyOptions>()
    const run = changeRun(shell, { yes, dryRun })
    printChange(await removeKey({ ...options, key }, deployContext(shell), run), shell)
  })
}

function defineThreshold(keys: Command, shell: Shell): void {
  changeOptions(
    addExamples(keys.command('threshold'), [['offline-deploy keys threshold 2', 'two of the keys must sign']])
      .description('Set how many of the keys must have signed a bundle')
      .argument('<count>', 'from 1 to the number of keys', count),
  ).action(async (threshold: number, _: unknown, command: Command) => {
    const { yes, dryRun, ...options } = command.optsWithGlobals<KeyOptions>()
    const run = changeRun(shell, { yes, dryRun })
    printChange(await changeThreshold({ ...options, threshold }, deployContext(shell), run), shell)
  })
}

function defineRotate(keys: Command, shell: Shell): void {
  addExamples(keys.command('rotate').addOption(siteOption()), [
    ['offline-deploy keys rotate /media/usb/keys.rotation'],
  ])
    .description('Replace the keys with those of a rotation that enough of the present keys have signed')
    .argument('<file...>', 'what `airgap rotate` wrote, with its signatures next to it')
    .option('--dry-run', 'show the result; change nothing')
    .action(async (files: string[], _: unknown, command: Command) => {
      const { dryRun = false, ...options } = command.optsWithGlobals<KeyOptions>()
      printChange(await rotateKeys({ ...options, files }, deployContext(shell), { dryRun }), shell)
    })
}

function changeOptions(command: Command): Command {
  return command
    .addOption(siteOption())
    .option('--yes', 'do not ask for confirmation; required without a terminal')
    .option('--dry-run', 'show the result; change nothing')
}

function changeRun(
  shell: Shell,
  { yes = false, dryRun = false }: { yes: boolean | undefined; dryRun: boolean | undefined },
) {
  return { dryRun, confirm: async (what: string) => await confirm({ what, yes }, shell.signal) }
}

function count(text: string): number {
  if (/^[1-9]\d?$/.test(text)) return Number(text)
  throw new InvalidArgumentError('must be a number from 1 to 99')
}

function printChange(changed: ChangedKeys, shell: Shell): void {
  shell.print(changed, () =>
    [changed.written ? `${changed.site}:` : `${changed.site} would have:`, keysText(changed.keys)].join('\n'),
  )
}

function keysText({ threshold, keys, retired, newest }: SiteKeys): string {
  return [
    `signatures required: ${threshold} of ${keys.length}`,
    ...(threshold === 1 && keys.length > 1
      ? ['         one stolen key is enough to sign a bundle; `offline-deploy keys threshold 2` requires two']
      : []),
    ...keys.flatMap(({ name, short, words, at, by, how }) => [
      `key      ${name.padEnd(24)} ${short}  ${how === 'rotation' ? 'by a rotation' : 'confirmed'} ${localTime(at)} by ${by}`,
      `         ${words}`,
    ]),
    ...retired.map(
      ({ name, short, at, by, how }) =>
        `retired  ${name.padEnd(24)} ${short}  ${how === 'rotation' ? 'by a rotation' : 'removed'} ${localTime(at)} by ${by}`,
    ),
    ...newest.map(
      one =>
        `newest   ${one.name} ${one.version}${one.built === null ? '' : `, built ${localTime(one.built)}`}; older bundles are refused`,
    ),
  ].join('\n')
}
