import { compareText } from '../../core/canonical-json.ts'
import { type Html, html, table } from '../../html/html.ts'
import { kinds } from '../../kinds/index.ts'
import { componentsOf } from '../../layers/components.ts'
import type { ImageContent } from '../../layers/installed.ts'
import { countBySeverity, counts, type Finding, severities } from '../../scan/finding.ts'
import { localTime } from '../shell/format.ts'
import { licenseOf } from './content-sections.ts'
import type { ReportData } from './data.ts'

/** The packages in the layers of the images, image by image. */
export function packagesInside({ images }: ReportData): Html {
  if (images === undefined)
    return html`<p class="mute">The layers were not read for this report (<code>--no-layers</code>).</p>`
  const total = images.reduce((sum, { packages }) => sum + packages.length, 0)
  const unread = images.filter(({ notRead }) => notRead.length > 0).length
  return html`<p>${total} packages in ${images.length} images, as their package databases and files of package managers list them, whiteouts of later layers honoured.</p>
${
  unread === 0
    ? html`<div class="note good">Every layer was read.</div>`
    : html`<div class="note warn">In ${unread} of ${images.length} images, some layers or files could not be read: these lists are marked as incomplete.</div>`
}${images.map(imageDetails)}`
}

function imageDetails(content: ImageContent): Html {
  const { name, platform, os, packages, notRead } = content
  const types = [...Map.groupBy(packages, one => one.type)]
    .map(([type, own]) => `${own.length} ${type}`)
    .join(', ')
  const about = [platform, os?.prettyName ?? os?.id, types || 'no packages'].filter(Boolean).join(' · ')
  return html`<details><summary>${name} <span class="mute">${about}${notRead.length > 0 ? html` · <b>incomplete</b>` : ''}</span></summary>
${notRead.slice(0, 50).map(({ layer, path, reason }) => html`<div class="note warn">Not read: ${path ?? layer ?? ''} ${reason}</div>`)}
${notRead.length > 50 ? html`<p>${notRead.length - 50} more were not read.</p>` : ''}
<div class="scroll">${table(
    ['Type', 'Package', 'Version', 'Architecture', 'Licence', 'Recorded in'],
    packages.map(({ type, name: one, version, epoch, architecture, license, path }) => [
      type,
      one,
      epoch === undefined ? version : `${epoch}:${version}`,
      architecture,
      license,
      html`<code>${path}</code>`,
    ]),
  )}</div></details>`
}

/** Licences as publishers write them, with the number of packages. */
export function licences({ lock, images = [] }: ReportData): Html {
  const carried = kinds.flatMap(kind =>
    (lock.items[kind.name] ?? []).flatMap(item => kind.components([item])),
  )
  const inside = images
    .flatMap(content => componentsOf(content, { ref: content.name }))
    .filter(one => one.type === 'library')
  const rows = new Map<string, [carried: number, inside: number]>()
  for (const [i, components] of [carried, inside].entries())
    for (const component of components) {
      const name = licenseOf(component)
      const row = rows.get(name) ?? [0, 0]
      row[i]!++
      rows.set(name, row)
    }
  const sorted = [...rows].sort(([a, x], [b, y]) => y[0] + y[1] - x[0] - x[1] || compareText(a, b))
  return html`<p>As publishers write them. Debian's lists and image references state no licence: those are in the files of the packages.</p>
<details open><summary>Licences <span class="mute">${sorted.length}</span></summary><div class="scroll">${table(
    ['Licence', 'Carried items', 'Packages inside images'],
    sorted.map(([name, [a, b]]) => [
      name === '' ? html`<span class="mute">not stated</span>` : name,
      a || '',
      b || '',
    ]),
    { numbers: [1, 2] },
  )}</div></details>`
}

/** What a scanner found, and what VEX says about it. */
export function vulnerabilities({ scan, digest }: ReportData): Html {
  if (scan === undefined)
    return html`<p class="mute">No results of a scan were passed (<code>airgap scan BUNDLE -o json &gt; scan.json</code>, then <code>--scan scan.json</code>).</p>`
  const { scanner, database, scannedAt, findings, targets, vex } = scan
  const own = findings.filter(counts)
  const others = findings.filter(finding => !counts(finding))
  const numbers = countBySeverity(findings)
  const packages = targets.reduce((sum, target) => sum + target.packages, 0)
  return html`${scan.bundle.digest === digest ? '' : html`<div class="note bad">The results are of another bundle: ${scan.bundle.digest}.</div>`}
<dl><dt>Scanner</dt><dd>${scanner.name} ${scanner.version}, ${localTime(scannedAt)}</dd>
<dt>Database</dt><dd>${database.built === undefined ? 'its age is unknown' : `of ${localTime(database.built)}`}</dd>
<dt>Scanned</dt><dd>${packages} packages in ${targets.length} images and package lists</dd>
<dt>VEX</dt><dd>${vex.length === 0 ? 'none' : vex.join(', ')}</dd></dl>
${table(
  severities.map(severity => severity),
  [severities.map(severity => numbers[severity])],
  { numbers: severities.map((_, i) => i) },
)}${findingsTable('Findings', own)}${findingsTable('Findings that do not count, by VEX', others)}`
}

const severityClass: Partial<Record<Finding['severity'], string>> = {
  critical: 'bad',
  high: 'bad',
  medium: 'warn',
}

function findingsTable(title: string, findings: readonly Finding[]): Html {
  if (findings.length === 0) return html``
  return html`<details${findings.length <= 40 ? html` open` : ''}><summary>${title} <span class="mute">${findings.length}</span></summary><div class="scroll">${table(
    ['Severity', 'Vulnerability', 'Package', 'Fixed in', 'In', 'VEX'],
    findings.map(({ severity, id, aliases, package: name, version, fixedIn, target, platform, vex }) => [
      severity,
      [id, ...aliases].join(', '),
      `${name} ${version}`,
      fixedIn.join(', '),
      [target, platform].filter(Boolean).join(' '),
      vex && [vex.status, vex.justification, `(${vex.file})`].filter(Boolean).join(' '),
    ]),
    { classOf: row => severityClass[findings[row]!.severity] },
  )}</div></details>`
}
