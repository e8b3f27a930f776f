import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { writeAtomically } from '../../core/atomic-file.ts'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import type { Progress } from '../../core/progress.ts'
import { formatReference } from '../../core/reference.ts'
import { annotatedImages } from '../../discover/annotations.ts'
import { discover } from '../../discover/discover.ts'
import { fullName } from '../../discover/pair.ts'
import { compareImages, type ImageReport } from '../../discover/report.ts'
import { type UpdatedLists, updatedLists } from '../../discover/update-lists.ts'
import { chartKind } from '../../kinds/chart/index.ts'
import { isPrivate } from '../../kinds/image/names.ts'
import type { StackManifest } from '../../manifest/stack.ts'
import { repeated } from '../shell/arguments.ts'
import { addExamples } from '../shell/examples.ts'
import { countedFindings, countFindings, renderChanges, renderReport } from '../shell/images-report.ts'
import { findProgram } from '../shell/installation.ts'
import type { Shell } from '../shell/run.ts'
import { openStack, type StackContext, type StackOptions } from './context.ts'
import { stackOptions } from './options.ts'

interface ImagesOptions extends StackOptions {
  env: string[]
  helm?: string
  helmfile?: string
  write?: boolean
  dryRun?: boolean
}

export function imagesCommand(program: Command, shell: Shell): void {
  addExamples(stackOptions(program.command('images')), [
    ['airgap images -f stack.yaml --env prod'],
    ['airgap images --write --dry-run', 'how the image lists would change'],
  ])
    .description(
      'Compare the images that the releases use with those that the manifest lists; exit 3 for drift or leaks',
    )
    .option('--env <name>', 'render only this environment (repeatable; default: all)', repeated, [])
    .option('--write', 'update the image lists (keeps comments and order)')
    .option('--dry-run', 'with --write: show what would change; write nothing')
    .option('--helm <program>', 'the helm 3 to run (default: from PATH, or what scripts/setup installed)')
    .option(
      '--helmfile <program>',
      'the helmfile to run (default: from PATH, or what scripts/setup installed)',
    )
    .action(async (options: ImagesOptions) => {
      const progress = shell.progress()
      const stack = await openStack(options, { progress, signal: shell.signal, privateAddresses: 'kept' })
      try {
        const report = await reportOf(stack, { options, progress, signal: shell.signal })
        const update = options.write ? await listsUpdated(report, { stack, options }) : undefined
        const findings = countFindings(report)
        shell.print(
          { ...report, findings, ...(update && { changes: update.changes, byHand: update.byHand }) },
          () =>
            [
              renderReport(report, stack.manifest.images.length),
              ...(update ? [renderChanges(update, !options.dryRun)] : []),
            ].join('\n'),
        )
        const left = findings - (options.dryRun ? 0 : (update?.resolved ?? 0))
        if (left > 0) throw different(left, options.file)
      } finally {
        await stack.http.close()
      }
    })
}

function different(findings: number, file: string): AirgapError {
  return new AirgapError(
    'DIFFERENT',
    `the releases differ from the image lists: ${countedFindings(findings)}`,
    {
      item: file,
      likely: 'a chart or its values changed, and the lists were not updated',
      next: 'add missing images to the lists and remove unused ones (`--write` does both), make leaks use offline.registry, or list a finding under `excuses:` with its reason',
    },
  )
}

/** With --env, nothing is removed: the other environments may use it. */
async function listsUpdated(
  report: ImageReport,
  { stack, options }: { stack: StackContext; options: ImagesOptions },
): Promise<UpdatedLists> {
  const { manifest } = stack
  const paths = new Set(
    manifest.images
      .map(({ at }) => at.replace(/:\d+:\d+$/, ''))
      .filter(path => resolve(path) !== manifest.file),
  )
  const lists = new Map<string, string>()
  // without its BOM, which the positions of the entries do not count
  for (const path of paths) lists.set(path, (await readFile(path, 'utf8')).replace(/^\uFEFF/, ''))
  const update = updatedLists(report, { lists, remove: options.env.length === 0 })
  if (!options.dryRun) for (const [path, text] of update.texts) await writeAtomically(path, text)
  return update
}

async function reportOf(
  stack: StackContext,
  run: { options: ImagesOptions; progress: Progress; signal: AbortSignal },
): Promise<ImageReport> {
  const { manifest } = stack
  const { options, signal } = run
  const charts = await mkdtemp(join(tmpdir(), 'airgap-charts-'))
  try {
    const annotated = await writeCharts(stack, { ...run, folder: charts })
    const renderer = {
      helm: options.helm ?? (await findProgram('helm')) ?? 'helm',
      helmfile: options.helmfile ?? (await findProgram('helmfile')) ?? 'helmfile',
      signal,
    }
    const { images, urls } = await discover(deploymentsOf(manifest, { charts, only: options.env }), renderer)
    const files = new Set(manifest.files.map(file => `/files/${file.path}`))
    return compareImages({
      used: images,
      urls,
      hasFile: path => files.has(path),
      listed: manifest.images.map(({ reference, at }) => ({
        reference: formatReference(reference),
        at,
        ...defined({ isPrivate: isPrivate(reference) ? (true as const) : undefined }),
      })),
      excuses: manifest.excuses,
      annotated,
    })
  } finally {
    await rm(charts, { recursive: true, force: true })
  }
}

function deploymentsOf(manifest: StackManifest, { charts, only }: { charts: string; only: string[] }) {
  const { kubernetes } = manifest.versions
  const all = manifest.deployments.flatMap(({ helmfile, environments, values }) =>
    environments
      .filter(environment => only.length === 0 || only.includes(environment))
      .map(environment => defined({ helmfile, environment, values, charts, kubernetes })),
  )
  if (all.length > 0) return all
  const known = [...new Set(manifest.deployments.flatMap(deployment => deployment.environments))]
  throw new AirgapError(
    'USAGE',
    known.length > 0 ? 'the manifest has no such environment' : 'the manifest has no deployments',
    {
      item: known.length > 0 ? only.join(', ') : manifest.file,
      next:
        known.length > 0
          ? `choose one of ${known.join(', ')}`
          : 'add what the site runs: `deployments: [{helmfile: ../bundle/helmfile.yaml, environments: [prod]}]`',
    },
  )
}

/** Writes the charts of the bundle to `folder` as NAME-VERSION.tgz, and returns the images that their annotations name. */
async function writeCharts(
  { manifest, http, registry, cache }: StackContext,
  { progress, signal, folder }: { progress: Progress; signal: AbortSignal; folder: string },
): Promise<{ reference: string; chart: string }[]> {
  const annotated: { reference: string; chart: string }[] = []
  const context = { http, registry, cache, folder: manifest.folder, progress, now: () => new Date(), signal }
  for (const request of manifest.charts) {
    const { name, layers, metadata } = await chartKind.resolve(request, context)
    for (const text of annotatedImages(metadata)) annotated.push({ reference: fullName(text), chart: name })
    await pipeline(await cache.open(layers[0]!), createWriteStream(join(folder, `${name}.tgz`)))
    progress.done(`chart ${name}`, layers[0]!.size)
  }
  return annotated
}
