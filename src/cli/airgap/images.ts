import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { writeAtomically } from '../../core/atomic-file.ts'
import { defined } from '../../core/defined.ts'
import { AirgapError, isUpstreamFailure } from '../../core/errors.ts'
import type { Progress } from '../../core/progress.ts'
import { formatReference } from '../../core/reference.ts'
import { annotatedImages } from '../../discover/annotations.ts'
import type { CarriedChart } from '../../discover/deployment.ts'
import { discover } from '../../discover/discover.ts'
import { fullName } from '../../discover/pair.ts'
import type { Failure } from '../../discover/render-failures.ts'
import { compareImages, type ImageReport } from '../../discover/report.ts'
import { type UpdatedLists, updatedLists } from '../../discover/update-lists.ts'
import type { ChartRequest } from '../../kinds/chart/entry.ts'
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
          () => [
            ...renderReport(report, stack.manifest.images.length),
            ...(update ? renderChanges(update, !options.dryRun) : []),
          ],
        )
        if (report.failures.length > 0) throw incomplete(report.failures)
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

/** The report covers the rest; this ends with the exit code of a rendering that failed. */
function incomplete(failures: readonly Failure[]): AirgapError {
  const [{ item, likely, next }, ...others] = failures as [Failure, ...Failure[]]
  const what = others.length === 0 ? 'a release does not render' : `${failures.length} releases do not render`
  return new AirgapError('RENDER_FAILED', what, {
    item: others.length === 0 ? item : `${item}, and ${others.length} more (in the report)`,
    likely,
    next,
  })
}

/** With --env, or if something was not rendered, nothing is removed: it may be used. */
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
  const update = updatedLists(report, {
    lists,
    remove: options.env.length === 0 && report.failures.length === 0,
  })
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
    const carried = await writeCharts(stack, { ...run, folder: charts })
    const renderer = {
      helm: options.helm ?? (await findProgram('helm')) ?? 'helm',
      helmfile: options.helmfile ?? (await findProgram('helmfile')) ?? 'helmfile',
      carried: carried.charts,
      pull: async ({ name, version, repo }: { name: string; version: string; repo: string }) => {
        const request = { at: 'a helmfile', name, version, repo }
        return (await writeChart(request, { stack, ...run, folder: await mkdtemp(join(charts, 'pulled-')) }))
          .archive
      },
      signal,
    }
    const deployments = deploymentsOf(manifest, { charts, only: options.env })
    const found = await discover(deployments, renderer)
    const failures = [...carried.failures, ...found.failures]
    // nothing to report
    if (failures.length > 0 && found.releases.length === 0) throw incomplete(failures)
    const { images, urls, undecided } = found
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
      undecided,
      annotated: carried.annotated,
      charts: found.charts,
      schemas: found.schemas,
      failures,
    })
  } finally {
    await rm(charts, { recursive: true, force: true })
  }
}

function deploymentsOf(manifest: StackManifest, { charts, only }: { charts: string; only: string[] }) {
  const { kubernetes } = manifest.versions
  const all = manifest.deployments.flatMap(({ helmfile, environments, values, apiVersions }) =>
    environments
      .filter(environment => only.length === 0 || only.includes(environment))
      .map(environment => defined({ helmfile, environment, values, charts, kubernetes, apiVersions })),
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

interface ChartRun {
  stack: StackContext
  progress: Progress
  signal: AbortSignal
  folder: string
}

/**
 * Writes the charts of the bundle to `folder` as NAME-VERSION.tgz, and returns the images that their annotations name. A chart that
 * cannot be fetched is a failure of its own: only the releases that need it do not render.
 */
async function writeCharts(
  stack: StackContext,
  run: { progress: Progress; signal: AbortSignal; folder: string },
): Promise<{
  charts: CarriedChart[]
  annotated: { reference: string; chart: string }[]
  failures: Failure[]
}> {
  const charts: CarriedChart[] = []
  const annotated: { reference: string; chart: string }[] = []
  const failures: Failure[] = []
  for (const request of stack.manifest.charts) {
    try {
      const { name, archive, images } = await writeChart(request, { stack, ...run })
      charts.push({ name: request.name, version: request.version, repo: request.repo, archive })
      annotated.push(...images.map(text => ({ reference: fullName(text), chart: name })))
    } catch (error) {
      if (!isUpstreamFailure(error)) throw error
      const { item = request.name, message, likely, next = '' } = error
      failures.push({
        item: `chart ${request.name} ${request.version}`,
        likely: [message, item, likely].filter(Boolean).join(': '),
        next,
      })
    }
  }
  return { charts, annotated, failures }
}

async function writeChart(
  request: ChartRequest,
  { stack: { manifest, http, registry, cache }, progress, signal, folder }: ChartRun,
): Promise<{ name: string; archive: string; images: string[] }> {
  const context = { http, registry, cache, folder: manifest.folder, progress, now: () => new Date(), signal }
  const { name, layers, metadata } = await chartKind.resolve(request, context)
  const archive = join(folder, `${name}.tgz`)
  await pipeline(await cache.open(layers[0]!), createWriteStream(archive))
  progress.done(`chart ${name}`, layers[0]!.size)
  return { name, archive, images: annotatedImages(metadata) }
}
