import { type Command, InvalidArgumentError } from 'commander'
import {
  type ChangedImages,
  type ImageChoice,
  type ListedImages,
  listImages,
  removePushed,
} from '../../deploy/images.ts'
import { defaultGraceMs } from '../../deploy/overlay-upkeep.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import type { Removed } from '../../overlay/remove-images.ts'
import { repeated } from '../shell/arguments.ts'
import { confirm } from '../shell/confirm.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes, localTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { auditedRun, deployContext } from './context.ts'
import { siteOption } from './options.ts'

interface RemovalOptions extends SiteOptions {
  grace?: number
  yes?: boolean
  dryRun?: boolean
}

interface PruneOptions extends RemovalOptions {
  keep?: number
  olderThan?: number
  match?: string[]
  untagged?: boolean
}

/** The images that were pushed to the site's registry. */
export function imagesCommand(program: Command, shell: Shell): void {
  const images = addExamples(program.command('images'), [
    ['offline-deploy images list'],
    ['offline-deploy images delete team/app:1.0'],
    ['offline-deploy images prune --keep 5 --older-than 30d --dry-run'],
  ]).description('List and remove the images that were pushed to the registry of the site')
  defineList(images, shell)
  defineDelete(images, shell)
  definePrune(images, shell)
}

function defineList(images: Command, shell: Shell): void {
  addExamples(images.command('list').addOption(siteOption()), [['offline-deploy images list -o json']])
    .description('Show the pushed images with their tags, sizes and times')
    .action(async (_: unknown, command: Command) => {
      const listed = await listImages(command.optsWithGlobals())
      shell.print(listed, () => linesOf(listed))
    })
}

function defineDelete(images: Command, shell: Shell): void {
  removalOptions(
    addExamples(images.command('delete'), [
      ['offline-deploy images delete team/app:1.0 team/app:1.1 --yes'],
      ['offline-deploy images delete team/app@sha256:… --dry-run', 'a manifest, with all of its tags'],
    ])
      .description('Delete pushed images, what is attached to them, and content that only they need')
      .argument('<image...>', 'NAME:TAG, or NAME@DIGEST'),
  ).action(async (references: string[], _: unknown, command: Command) => {
    const named = { command: 'images delete', subject: references.join(' ') }
    await remove({ references }, { options: command.optsWithGlobals<RemovalOptions>(), shell, ...named })
  })
}

function definePrune(images: Command, shell: Shell): void {
  removalOptions(
    addExamples(images.command('prune'), [
      ['offline-deploy images prune', 'only content that nothing refers to'],
      ["offline-deploy images prune --match 'team/*' --keep 3 --yes"],
      ['offline-deploy images prune --older-than 30d --untagged --dry-run'],
    ])
      .description(
        'Remove pushed images to which all given options apply, then content that nothing refers to',
      )
      .option(
        '--keep <number>',
        'keep this many images of each repository: those that were pushed last',
        number,
      )
      .option('--older-than <age>', 'only images that were pushed longer ago: 30d, 12h', duration)
      .option(
        '--match <pattern>',
        'only images whose NAME or NAME:TAG the pattern matches; `*` does not match a slash, `**` does (repeatable)',
        (text: string, before: string[] | undefined) => repeated(text, before ?? []),
      )
      .option('--untagged', 'also manifests without a tag, over which another one was pushed'),
  ).action(async (_: unknown, command: Command) => {
    const { keep, olderThan, match, untagged, ...options } = command.optsWithGlobals<PruneOptions>()
    const choice: ImageChoice = {}
    if (keep !== undefined) choice.keep = keep
    if (olderThan !== undefined) choice.olderThanMs = olderThan
    if (match !== undefined) choice.match = match
    if (untagged !== undefined) choice.untagged = untagged
    await remove(choice, { options, shell, command: 'images prune', subject: policyText(choice) })
  })
}

function removalOptions(command: Command): Command {
  return command
    .option(
      '--grace <age>',
      'keep unreferenced content that was pushed or looked up within this time, as a push may need it (default: 24h)',
      duration,
    )
    .option('--yes', 'do not ask for confirmation; required without a terminal')
    .option('--dry-run', 'show what would be removed; change nothing')
    .addOption(siteOption())
}

async function remove(
  choice: ImageChoice,
  run: { options: RemovalOptions; shell: Shell; command: string; subject: string },
): Promise<void> {
  const { shell, command, subject } = run
  const { yes = false, dryRun = false, grace: graceMs = defaultGraceMs, ...options } = run.options
  const work = () =>
    removePushed(options, deployContext(shell), {
      choice,
      graceMs,
      dryRun,
      confirm: async what => await confirm({ what: `remove ${amountOf(what)}`, yes }, shell.signal),
    })
  const changed = dryRun ? await work() : await auditedRun({ command, subject, options }, work)
  shell.print(changed, () => changeLines(changed, { dryRun }))
}

function changeLines(changed: ChangedImages, { dryRun }: { dryRun: boolean }): string[] {
  const { tags, manifests, content } = changed
  const { blobs, bytes } = content.recent
  const verb = dryRun ? 'would remove' : 'removed'
  const untagged = manifests.filter(({ digest }) => !tags.some(one => one.digest === digest))
  return [
    ...tags.map(({ name, tag, digest }) => `${name}:${tag}  ${digest}`),
    ...untagged.map(({ name, digest }) => `${name}@${digest}`),
    changed.removed || dryRun ? `${verb} ${amountOf(changed)}` : 'there was nothing to remove',
    ...(blobs === 0
      ? []
      : [
          `${countOf(blobs, 'more blob')} (${humanBytes(bytes)}) that nothing refers to stay, as they were pushed or looked up recently; \`--grace 0h\` removes them, too`,
        ]),
  ]
}

function amountOf({ tags, manifests, content: { blobs, bytes } }: Removed): string {
  return `${countOf(tags.length, 'tag')}, ${countOf(manifests.length, 'manifest')} and ${countOf(blobs, 'blob')} (${humanBytes(bytes)})`
}

function countOf(number: number, noun: string): string {
  return `${number} ${number === 1 ? noun : `${noun}s`}`
}

function linesOf({ images, unreadable }: ListedImages): string[] {
  const shown = images.filter(({ partOf }) => partOf.length === 0)
  return [
    ...(shown.length === 0 ? ['no images were pushed to this site'] : []),
    ...shown.map(
      ({ name, tags, digest, size, pushed }) =>
        `${tags.length === 0 ? `${name} (no tag)` : tags.map(tag => `${name}:${tag}`).join(' ')}  ${humanBytes(size)}  ${localTime(pushed)}\n  ${digest}`,
    ),
    ...unreadable.map(name => `${name}: cannot be read`),
  ]
}

function policyText({
  keep,
  olderThanMs,
  match = [],
  untagged,
}: Exclude<ImageChoice, { references: unknown }>): string {
  return [
    ...(keep === undefined ? [] : [`--keep ${keep}`]),
    ...(olderThanMs === undefined ? [] : [`--older-than ${olderThanMs / 3_600_000}h`]),
    ...match.map(pattern => `--match ${pattern}`),
    ...(untagged ? ['--untagged'] : []),
  ].join(' ')
}

function number(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('must be a number')
}

const units: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 }

function duration(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,5})([mhd])$/.exec(text) ?? []
  const ms = units[unit]
  if (ms !== undefined) return Number(count) * ms
  throw new InvalidArgumentError('must be a number of minutes, hours or days, such as 90m, 12h or 30d')
}
