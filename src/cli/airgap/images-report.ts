import { compareText } from '../../core/canonical-json.ts'
import type { UsedUrl } from '../../discover/discover.ts'
import type { UsedImage } from '../../discover/pair.ts'
import type { ImageReport } from '../../discover/report.ts'
import type { UpdatedLists } from '../../discover/update-lists.ts'

/** Findings: drift and leaks. */
export function countFindings({
  unlisted,
  unused,
  leaks,
  urls,
  missingFiles,
  idle,
  privateNames,
}: ImageReport): number {
  return [unlisted, unused, leaks, urls, missingFiles, idle, privateNames].reduce(
    (sum, list) => sum + list.length,
    0,
  )
}

/** For people: images per release, then what was found. `listed` is how many images the manifest lists. */
export function renderReport(report: ImageReport, listed: number): string {
  const sections: [string, string[]][] = [
    ['used but not listed: would be missing on the site', report.unlisted.flatMap(imageLines)],
    ['listed but not used', report.unused.flatMap(unusedLines)],
    [
      'listed by the address of one site (lock refuses them)',
      report.privateNames.map(({ reference, at }) => `  ${reference}  (${at})`),
    ],
    ['leaks: would be pulled from the internet', report.leaks.flatMap(imageLines)],
    [
      'no findings, as they are off; switched on they would be pulled from the internet',
      report.dormantLeaks.flatMap(imageLines),
    ],
    ['leaks: would be fetched from the internet', report.urls.flatMap(urlLines)],
    ['would be fetched from the site, which has no such file', report.missingFiles.flatMap(urlLines)],
    [
      'no findings: charts name these for what is off',
      report.annotated.map(({ reference, chart }) => `  ${reference}  (${chart})`),
    ],
    ['excuses that excuse nothing any more', report.idle.map(({ name, at }) => `  ${name}  (${at})`)],
  ]
  const lines = sections.flatMap(([title, found]) => (found.length === 0 ? [] : [`${title}:`, ...found, '']))
  return [
    ...applications(report),
    '',
    ...lines,
    `excused: ${report.excused.length} (in -o json with their reasons)`,
    `${report.agreed.length} of ${listed} listed images are used; ${countFindings(report)} findings`,
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

/** Two lists with two versions of one image: one of them was not kept up. */
function unusedLines({ reference, at, others }: ImageReport['unused'][0]): string[] {
  return [
    `  ${reference}  (${at})`,
    ...others.map(other => `      another version is listed: ${other.reference}  (${other.at})`),
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

/** What `--write` changes. */
export function renderChanges({ changes, byHand }: UpdatedLists, written: boolean): string {
  const lines = changes.map(({ list, from, to }) =>
    from === undefined
      ? `  + ${to}  (${list})`
      : `  - ${from}${to === undefined ? '' : `\n  + ${to}`}  (${list})`,
  )
  const left = byHand.map(name => `  ${name}`)
  return [
    lines.length === 0 ? 'the lists stay as they are' : written ? 'lists changed:' : 'lists would change:',
    ...lines,
    ...(left.length > 0 ? ['to be changed by hand, as it belongs to no list:', ...left] : []),
  ].join('\n')
}
