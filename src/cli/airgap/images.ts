import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { writeAtomically } from '../../core/atomic-file.ts'
import { AirgapError } from '../../core/errors.ts'
import type { Progress } from '../../core/progress.ts'
import { formatReference } from '../../core/reference.ts'
import { annotatedImages } from '../../discover/annotations.ts'
import { discover } from '../../discover/discover.ts'
import { spelledOut } from '../../discover/pair.ts'
import { compareImages, type ImageReport } from '../../discover/report.ts'
import { type UpdatedLists, updatedLists } from '../../discover/update-lists.ts'
import { chartKind } from '../../kinds/chart/index.ts'
import { isPrivate } from '../../kinds/image/names.ts'
import type { StackManifest } from '../../manifest/stack.ts'
import { repeated } from '../shell/arguments.ts'
import type { Shell } from '../shell/run.ts'
import { openStack, type StackContext, type StackOptions } from './context.ts'
import { countFindings, renderChanges, renderReport } from './images-report.ts'
import { findProgram } from './installation.ts'
import { stackOptions } from './options.ts'

interface ImagesOptions extends StackOptions {
  env: string[]
  helm?: string
  helmfile?: string
  write?: boolean
  dryRun?: boolean
}

export function imagesCommand(program: Command, shell: Shell): void {
  stackOptions(program.command('images'))
    .description('what the releases use against what the manifest lists; exit 3 for drift or leaks')
    .option('--env <name>', 'only this environment (repeatable)', repeated, [])
    .option('--write', 'bring the image lists up to date; comments and order stay')
    .option('--dry-run', 'with --write: only show what would change')
    .option('--helm <program>', 'helm 3')
    .option('--helmfile <program>', 'helmfile')
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
        const left = findings - (options.dryRun ? 0 : (update?.mended ?? 0))
        if (left > 0) throw different(left, options.file)
      } finally {
        await stack.http.close()
      }
    })
}

function different(findings: number, file: string): AirgapError {
  return new AirgapError('DIFFERENT', `${findings} findings`, {
    item: file,
    likely: 'releases and lists have gone different ways',
    next: 'list what is missing, take out what is not used (`--write` does both), send leaks by way of offline.registry, or name it under `excuses:` with the reason',
  })
}

/** With only some of the environments nothing is taken out: others may use it. */
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
  // without its BOM, as the places of its entries are counted
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
    const annotated = await layCharts(stack, { ...run, folder: charts })
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
        ...(isPrivate(reference) ? { isPrivate: true as const } : {}),
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
      .map(environment => ({
        helmfile,
        environment,
        values,
        charts,
        ...(kubernetes === undefined ? {} : { kubernetes }),
      })),
  )
  if (all.length > 0) return all
  const known = [...new Set(manifest.deployments.flatMap(deployment => deployment.environments))]
  throw new AirgapError(
    'USAGE',
    known.length > 0 ? 'no such environment' : 'the manifest names no deployment',
    {
      item: known.length > 0 ? only.join(', ') : manifest.file,
      next:
        known.length > 0
          ? `choose one of ${known.join(', ')}`
          : 'say what the site runs: `deployments: [{helmfile: ../bundle/helmfile.yaml, environments: [prod]}]`',
    },
  )
}

/** The very charts that a bundle would carry, under the names that helm gives archives; gives the images that they name. */
async function layCharts(
  { manifest, http, registry, cache }: StackContext,
  { progress, signal, folder }: { progress: Progress; signal: AbortSignal; folder: string },
): Promise<{ reference: string; chart: string }[]> {
  const annotated: { reference: string; chart: string }[] = []
  const context = { http, registry, cache, folder: manifest.folder, progress, now: () => new Date(), signal }
  for (const request of manifest.charts) {
    const { name, layers, metadata } = await chartKind.resolve(request, context)
    for (const text of annotatedImages(metadata)) annotated.push({ reference: spelledOut(text), chart: name })
    await pipeline(await cache.open(layers[0]!), createWriteStream(join(folder, `${name}.tgz`)))
    progress.done(`chart ${name}`, layers[0]!.size)
  }
  return annotated
}
