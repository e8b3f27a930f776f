import { compareText } from '../../core/canonical-json.ts'
import { redactUrl } from '../../core/redact.ts'
import type { UsedUrl } from '../../discover/discover.ts'
import type { UsedImage } from '../../discover/pair.ts'
import type { ImageReport } from '../../discover/report.ts'
import { perNodeHint, type UpdatedLists } from '../../discover/update-lists.ts'

/** Counts the findings: drift and leaks. */
export function countFindings({
  unlisted,
  unknown,
  unused,
  leaks,
  urls,
  missingFiles,
  charts,
  schemas,
  idle,
  privateNames,
}: ImageReport): number {
  return [unlisted, unknown, unused, leaks, urls, missingFiles, charts, schemas, idle, privateNames].reduce(
    (sum, list) => sum + list.length,
    0,
  )
}

export function countedFindings(count: number): string {
  return count === 1 ? '1 finding' : `${count} findings`
}

/** Renders the report as text: images per release, then the findings. `listed` is the number of images in the manifest. */
export function renderReport(report: ImageReport, listed: number): string[] {
  const sections: [string, string[]][] = [
    ['used, but not listed: would be missing on the site', report.unlisted.flatMap(imageLines)],
    [
      'pulled from the site, but from an unknown upstream, and no listed image is served under this path',
      report.unknown.flatMap(imageLines),
    ],
    ['listed, but not used', report.unused.flatMap(unusedLines)],
    [
      'listed with a private address (`airgap lock` refuses them)',
      report.privateNames.map(({ reference, at }) => `  ${reference}  (${at})`),
    ],
    ['leaks: would be pulled from the internet', report.leaks.flatMap(imageLines)],
    [
      'not findings, because they are disabled; if enabled, they would be pulled from the internet',
      report.dormantLeaks.flatMap(imageLines),
    ],
    [
      'not findings, because they are disabled; if enabled, they would be missing on the site',
      report.dormantUnlisted.flatMap(imageLines),
    ],
    ['leaks: would be fetched from the internet', report.urls.flatMap(urlLines)],
    ['leaks: helmfile would download these charts, and the site cannot', report.charts.flatMap(chartLines)],
    [
      'leaks: helm would fetch what these values schemas refer to, and fail on the site',
      report.schemas.flatMap(({ path, urls, release }) => [
        `  ${urls.join(', ')}`,
        `      ${release}: ${path}`,
      ]),
    ],
    [
      'would be fetched from the site, but the manifest does not list the file',
      report.missingFiles.flatMap(urlLines),
    ],
    [
      'undecided, because the rendering does not show it (check by hand)',
      report.undecided.flatMap(undecidedLines),
    ],
    [
      'not findings: charts name these images for disabled features',
      report.annotated.map(({ reference, chart }) => `  ${reference}  (${chart})`),
    ],
    [
      'NOT RENDERED: images that only these use are missing above, so unused images are not reported',
      report.failures.flatMap(failureLines),
    ],
    ['excuses that match no finding', report.idle.map(({ name, at }) => `  ${name}  (${at})`)],
  ]
  const lines = sections.flatMap(([title, found]) => (found.length === 0 ? [] : [`${title}:`, ...found, '']))
  return [
    ...applications(report),
    '',
    ...lines,
    `excused: ${report.excused.length} (-o json shows their reasons)`,
    `${report.agreed.length} of ${listed} listed images are used; ${countedFindings(countFindings(report))}`,
  ]
}

/** A table of releases and environments: how many images each uses, and how many of them are not listed. */
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

function chartLines({ chart, carried, releases }: ImageReport['charts'][0]): string[] {
  const { reference, name, version, repo } = chart
  const how =
    carried === undefined
      ? `not in \`charts:\` of the manifest${repo === undefined ? '' : `; it would come from ${redactUrl(repo)}`}`
      : `the bundle has it: let the helmfile name it as {{ .Values.charts }}/${carried.replace(' ', '-')}.tgz`
  return [
    `  ${[reference, version].filter(Boolean).join(' ')}  (${how})`,
    ...[...new Set(releases)].slice(0, 3).map(release => `      ${release}: ${name}`),
  ]
}

function failureLines({ item, likely, next }: ImageReport['failures'][0]): string[] {
  return [`  ${item}`, `      ${likely}`, `      next: ${next}`]
}

/** With the other versions of the image in other lists: one of the lists was not updated. */
function unusedLines({ reference, at, others }: ImageReport['unused'][0]): string[] {
  return [
    `  ${reference}  (${at})`,
    ...others.map(other => `      another version is listed: ${other.reference}  (${other.at})`),
  ]
}

function imageLines({ upstream, onSite, leak, dormant, perNode, seen }: UsedImage): string[] {
  const image = perNode ? perNodeHint(upstream) : upstream
  const name = leak && onSite !== upstream ? `${image}, as ${onSite}` : image
  return [`  ${name}${dormant === undefined ? '' : `  (disabled: ${dormant})`}`, ...places(seen)]
}

function urlLines({ url, path, seen }: UsedUrl): string[] {
  return [`  ${path ?? url}`, ...places(seen)]
}

function undecidedLines({ subject, reason, seen }: ImageReport['undecided'][0]): string[] {
  return [`  ${subject}: ${reason}`, ...places([seen])]
}

/** At most three places. */
function places(seen: UsedImage['seen']): string[] {
  const lines = new Set(seen.map(({ release, object, path }) => `      ${release}: ${object} ${path}`))
  return [...lines].slice(0, 3)
}

/** Renders what `--write` changes. */
export function renderChanges({ changes, byHand }: UpdatedLists, written: boolean): string[] {
  const lines = changes.flatMap(({ list, from, to }) => [
    ...(from === undefined ? [] : [`  - ${from}${to === undefined ? `  (${list})` : ''}`]),
    ...(to === undefined ? [] : [`  + ${to}  (${list})`]),
  ])
  const left = byHand.map(name => `  ${name}`)
  return [
    lines.length === 0 ? 'the lists do not change' : written ? 'lists changed:' : 'lists would change:',
    ...lines,
    ...(left.length > 0 ? ['change by hand, as no list was found for it:', ...left] : []),
  ]
}
