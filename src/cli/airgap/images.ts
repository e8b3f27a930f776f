import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { compareText } from '../../core/canonical-json.ts'
import { AirgapError } from '../../core/errors.ts'
import type { Progress } from '../../core/progress.ts'
import { formatReference } from '../../core/reference.ts'
import { discover, type UsedUrl } from '../../discover/discover.ts'
import type { UsedImage } from '../../discover/pair.ts'
import { compareImages, type ImageReport } from '../../discover/report.ts'
import { chartKind } from '../../kinds/chart/index.ts'
import type { StackManifest } from '../../manifest/stack.ts'
import { repeated } from '../shell/arguments.ts'
import type { Shell } from '../shell/run.ts'
import { openStack, type StackContext, type StackOptions } from './context.ts'
import { findProgram } from './installation.ts'
import { stackOptions } from './options.ts'

interface ImagesOptions extends StackOptions {
  env: string[]
  helm?: string
  helmfile?: string
}

export function imagesCommand(program: Command, shell: Shell): void {
  stackOptions(program.command('images'))
    .description('what the releases use against what the manifest lists; exit 3 for drift or leaks')
    .option('--env <name>', 'only this environment (repeatable)', repeated, [])
    .option('--helm <program>', 'helm 3')
    .option('--helmfile <program>', 'helmfile')
    .action(async (options: ImagesOptions) => {
      const progress = shell.progress()
      const stack = await openStack(options, { progress, signal: shell.signal })
      try {
        const report = await reportOf(stack, { options, progress, signal: shell.signal })
        const findings = countOf(report)
        shell.print({ ...report, findings }, () => render(report, stack.manifest))
        if (findings > 0) {
          throw new AirgapError('DIFFERENT', `${findings} findings`, {
            item: options.file,
            likely: 'releases and lists have gone different ways',
            next: 'list what is missing, take out what is not used, or name it under `excuses:` with the reason',
          })
        }
      } finally {
        await stack.http.close()
      }
    })
}

async function reportOf(
  stack: StackContext,
  run: { options: ImagesOptions; progress: Progress; signal: AbortSignal },
): Promise<ImageReport> {
  const { manifest } = stack
  const { options, signal } = run
  const charts = await mkdtemp(join(tmpdir(), 'airgap-charts-'))
  try {
    await layCharts(stack, { ...run, folder: charts })
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
      listed: manifest.images.map(({ reference, at }) => ({ reference: formatReference(reference), at })),
      excuses: manifest.excuses,
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

/** The very charts that a bundle would carry, under the names that helm gives archives. */
async function layCharts(
  { manifest, http, registry, cache }: StackContext,
  { progress, signal, folder }: { progress: Progress; signal: AbortSignal; folder: string },
): Promise<void> {
  const context = { http, registry, cache, folder: manifest.folder, progress, now: () => new Date(), signal }
  for (const request of manifest.charts) {
    const { name, layers } = await chartKind.resolve(request, context)
    await pipeline(await cache.open(layers[0]!), createWriteStream(join(folder, `${name}.tgz`)))
    progress.done(`chart ${name}`, layers[0]!.size)
  }
}

function countOf({ unlisted, unused, leaks, urls, missingFiles, idle }: ImageReport): number {
  return [unlisted, unused, leaks, urls, missingFiles, idle].reduce((sum, list) => sum + list.length, 0)
}

function render(report: ImageReport, manifest: StackManifest): string {
  const sections: [string, string[]][] = [
    ['used but not listed: would be missing on the site', report.unlisted.flatMap(imageLines)],
    ['listed but not used', report.unused.map(({ reference, at }) => `  ${reference}  (${at})`)],
    ['leaks: would be pulled from the internet', report.leaks.flatMap(imageLines)],
    ['leaks: would be fetched from the internet', report.urls.flatMap(urlLines)],
    ['would be fetched from the site, which has no such file', report.missingFiles.flatMap(urlLines)],
    ['excuses that excuse nothing any more', report.idle.map(({ name, at }) => `  ${name}  (${at})`)],
  ]
  const lines = sections.flatMap(([title, found]) => (found.length === 0 ? [] : [`${title}:`, ...found, '']))
  return [
    ...applications(report),
    '',
    ...lines,
    `excused: ${report.excused.length} (in -o json with their reasons)`,
    `${report.agreed.length} of ${manifest.images.length} listed images are used; ${countOf(report)} findings`,
  ].join('\n')
}

/** Each release with its images, listed and not, by environment. */
function applications({ agreed, unlisted }: ImageReport): string[] {
  const rows = new Map<string, Map<string, { all: number; missing: number }>>()
  const environments = new Set<string>()
  const count = (used: UsedImage, missing: number) => {
    for (const seen of new Set(used.seen.map(sighting => sighting.release))) {
      const [environment = '', release = ''] = seen.split(': ')
      environments.add(environment)
      const row = rows.get(release) ?? new Map<string, { all: number; missing: number }>()
      rows.set(release, row)
      const cell = row.get(environment) ?? { all: 0, missing: 0 }
      row.set(environment, { all: cell.all + 1, missing: cell.missing + missing })
    }
  }
  for (const { used } of agreed) for (const image of used) count(image, 0)
  for (const image of unlisted) count(image, 1)
  const width = Math.max(7, ...[...rows.keys()].map(name => name.length))
  const columns = [...environments].map(name => ({ name, width: Math.max(14, name.length) }))
  const show = (cell: { all: number; missing: number } | undefined) =>
    cell === undefined ? '-' : `${cell.all}${cell.missing === 0 ? '' : ` (${cell.missing} missing)`}`
  return [
    ['images'.padEnd(width), ...columns.map(column => column.name.padStart(column.width))].join('  '),
    ...[...rows]
      .sort(([a], [b]) => compareText(a, b))
      .map(([release, row]) =>
        [
          release.padEnd(width),
          ...columns.map(column => show(row.get(column.name)).padStart(column.width)),
        ].join('  '),
      ),
  ]
}

function imageLines({ upstream, onSite, leak, dormant, seen }: UsedImage): string[] {
  const name = leak && onSite !== upstream ? `${upstream}, as ${onSite}` : upstream
  return [`  ${name}${dormant === undefined ? '' : `  (off: ${dormant})`}`, ...places(seen)]
}

function urlLines({ url, path, seen }: UsedUrl): string[] {
  return [`  ${path ?? url}`, ...places(seen)]
}

/** Where; the same place in several environments once. */
function places(seen: UsedImage['seen']): string[] {
  const told = new Set(seen.map(({ release, object, path }) => `      ${release}: ${object} ${path}`))
  return [...told].slice(0, 3)
}
