import { type Html, html, table } from '../../html/html.ts'
import type { Component } from '../../kinds/component.ts'
import { kinds } from '../../kinds/index.ts'
import { describeLock } from '../../kinds/items.ts'
import type { ItemSummary } from '../../kinds/kind.ts'
import { leftOutOf } from '../../lock/left-out.ts'
import { countsOf, signedBytes } from '../shell/changes-text.ts'
import { humanBytes } from '../shell/format.ts'
import { vouchersOf } from '../shell/vouchers-text.ts'
import type { ReportData } from './data.ts'

/** An item with the licence of its component, where the kind has one for each. */
interface Row extends ItemSummary {
  license: string
}

const kindNames: Record<string, string> = {
  image: 'Container images',
  chart: 'Helm charts',
  file: 'Files',
  deb: 'Debian and Ubuntu packages',
  rpm: 'RPM packages',
  wheel: 'Python wheels',
  git: 'Git repositories',
  tree: 'Trees of files',
}

/** The items of each kind, with sizes, licences, sources, and who vouches for them. */
export function contents({ lock }: ReportData): Html {
  const groups = kinds.map(kind => ({ kind: kind.name, rows: rowsOf(kind, lock.items[kind.name] ?? []) }))
  const carried = groups.filter(({ rows }) => rows.length > 0)
  return html`${table(
    ['Kind', 'Items', 'Size', 'No publisher vouches'],
    carried.map(({ kind, rows }) => [
      kindNames[kind] ?? kind,
      rows.length,
      humanBytes(rows.reduce((sum, { size }) => sum + size, 0)),
      rows.filter(({ firstUse }) => firstUse).length || '',
    ]),
    { numbers: [1, 2, 3] },
  )}${carried.map(({ kind, rows }) => details(kindNames[kind] ?? kind, rows))}
${details('The program for the site', runtimeRows({ lock }))}`
}

function rowsOf(kind: (typeof kinds)[number], items: readonly unknown[]): Row[] {
  return items.flatMap(item => {
    const summaries = kind.describe([item])
    const components = kind.components([item])
    return summaries.map((summary, i) => ({
      ...summary,
      license: components.length === summaries.length ? licenseOf(components[i]) : '',
    }))
  })
}

function runtimeRows({ lock }: Pick<ReportData, 'lock'>): Row[] {
  return lock.runtime.map(({ path, digest, size, version }) => ({
    name: path,
    group: '',
    subject: path,
    digest,
    size,
    source: 'the installation of airgap',
    vouchedBy: 'the person who built the bundle',
    license: '',
    locked: undefined,
    ...(version === undefined ? {} : { version }),
  }))
}

export function licenseOf(component: Pick<Component, 'licenses'> | undefined): string {
  return (component?.licenses ?? [])
    .map(one =>
      'expression' in one ? one.expression : 'id' in one.license ? one.license.id : one.license.name,
    )
    .join(', ')
}

function details(title: string, rows: readonly Row[]): Html {
  if (rows.length === 0) return html``
  return html`<details><summary>${title} <span class="mute">${rows.length}</span></summary><div class="scroll">${table(
    ['Name', 'Size', 'Licence', 'From', 'Digest vouched for by', 'SHA-256'],
    rows.map(({ name, size, license, source, vouchedBy, firstUse, digest }) => [
      name,
      humanBytes(size),
      license,
      source,
      firstUse ? html`${vouchedBy} <b>(first use)</b>` : vouchedBy,
      html`<code>${digest.slice('sha256:'.length, 'sha256:'.length + 16)}</code>`,
    ]),
    { numbers: [1] },
  )}</div></details>`
}

/** Who vouches for how many items. */
export function vouchers({ lock }: ReportData): Html {
  const items = describeLock(lock)
  const firstUse = items.filter(item => item.firstUse)
  return html`<p>For each digest in the lockfile, this is whose word it was when it was locked. A tag or an unsigned
index is only as trustworthy as the server that sent it; an OpenPGP signature or a checksum in the reviewed manifest does not depend on the server.</p>
${table(
  ['Kind', 'Items', 'Vouched for by'],
  vouchersOf(items).map(({ kind, items: count, vouchedBy }) => [kindNames[kind] ?? kind, count, vouchedBy]),
  { numbers: [1] },
)}${
  firstUse.length === 0
    ? html`<div class="note good">Nothing was taken on first use.</div>`
    : html`<div class="note warn">Taken on first use: ${firstUse.length}. No publisher vouches for these digests: ${firstUse
        .slice(0, 20)
        .map(({ name }) => name)
        .join(', ')}${firstUse.length > 20 ? ', …' : ''}</div>`
}`
}

/** What upstream has and the bundle does not carry. */
export function leftOut({ lock }: ReportData): Html {
  const items = leftOutOf(lock)
  if (items.length === 0) return html`<p>Nothing was left out.</p>`
  return html`<div class="scroll">${table(
    ['Kind', 'Item', 'Not carried', 'Reason'],
    items.map(({ kind, item, name, reason }) => [kindNames[kind] ?? kind, item, name, reason]),
  )}</div>`
}

const shownChanges = 5_000

/** What changed since the previous bundle. */
export function differences({ previous, lock }: ReportData): Html {
  if (previous === undefined)
    return html`<p class="mute">Not compared with an earlier bundle (<code>--previous</code>).</p>`
  const { changes, settings, unchanged } = previous.difference
  const kept = Object.values(unchanged).reduce((sum, count) => sum + count, 0)
  const classes = { added: 'good', removed: 'bad', changed: 'warn' }
  const shown = changes.slice(0, shownChanges)
  return html`<p>${previous.name} ${previous.version} → ${lock.name} ${lock.version}: ${countsOf(changes, kept)}.</p>
${
  shown.length === 0
    ? ''
    : html`<div class="scroll">${table(
        ['Change', 'In', 'Item', 'Before', 'After', 'Size', 'Required by'],
        shown.map(({ change, group, name, before, after, sizeDifference, requiredBy }) => [
          change,
          group,
          name,
          before === undefined ? '' : (before.version ?? before.digest.slice(0, 19)),
          after === undefined
            ? ''
            : before?.vouchedBy !== undefined && before.vouchedBy !== after.vouchedBy
              ? html`${after.version ?? after.digest.slice(0, 19)} <b>vouched for by ${after.vouchedBy}, before by ${before.vouchedBy}</b>`
              : (after.version ?? after.digest.slice(0, 19)),
          signedBytes(sizeDifference),
          requiredBy,
        ]),
        { numbers: [5], classOf: row => classes[shown[row]!.change] },
      )}</div>`
}${changes.length > shown.length ? html`<p>${changes.length - shown.length} more: <code>airgap diff</code> lists them.</p>` : ''}
${
  settings.length === 0
    ? ''
    : html`<h3>Settings</h3><div class="scroll">${table(
        ['In', 'Setting', 'Before', 'After'],
        settings.flatMap(({ group, facts }) =>
          facts.map(({ path, before, after }) => [
            group ?? 'the bundle',
            path,
            factText(before),
            factText(after),
          ]),
        ),
      )}</div>`
}`
}

function factText(value: unknown): string {
  if (value === undefined) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
