import { type Html, html } from '../../html/html.ts'
import { pageText, policyOf } from '../../html/page.ts'
import { describeLock } from '../../kinds/items.ts'
import { leftOutOf } from '../../lock/left-out.ts'
import { countBySeverity } from '../../scan/finding.ts'
import { signersOf } from '../../signature/verify.ts'
import { countsOf } from '../shell/changes-text.ts'
import { humanBytes, localTime } from '../shell/format.ts'
import { contents, differences, leftOut, vouchers } from './content-sections.ts'
import type { ReportData } from './data.ts'
import { licences, packagesInside, vulnerabilities } from './package-sections.ts'
import { style } from './style.ts'
import { attestations, signatures, signOff } from './trust-sections.ts'

const sections: readonly [id: string, title: string, show: (data: ReportData) => Html][] = [
  ['signatures', 'Signatures', signatures],
  ['contents', 'Contents', contents],
  ['vouchers', 'Who vouches for the sources', vouchers],
  ['attestations', 'Attestations of publishers', attestations],
  ['left-out', 'What was left out', leftOut],
  ['differences', 'Differences to the previous bundle', differences],
  ['packages', 'Packages inside images', packagesInside],
  ['licences', 'Licences', licences],
  ['vulnerabilities', 'Vulnerabilities', vulnerabilities],
  ['sign-off', 'Sign-off', signOff],
]

/**
 * Returns the report as one HTML file that loads nothing and runs nothing: its policy allows its own style only. It shows what varies
 * (times, signatures, scan results), and is therefore next to the bundle and not inside.
 */
export function reportPage(data: ReportData): string {
  const { lock, digest, size, file, made } = data
  const title = `${lock.name} ${lock.version}`
  const body = html`<main>
<h1>${title}</h1>
<p class="mute">Report on the bundle <b>${file}</b>, ${localTime(made.toISOString())}</p>
${lock.testUpstream === undefined ? '' : html`<div class="note bad">A rehearsal: the content comes from a test upstream, not from the publishers.</div>`}
<dl><dt>Digest</dt><dd><code>${digest}</code></dd><dt>Size</dt><dd>${humanBytes(size)}</dd><dt>Platforms</dt><dd>${lock.platforms.join(', ')}</dd>
${lock.variants === undefined ? '' : html`<dt>Variants</dt><dd>${lock.variants.join(', ')}</dd>`}</dl>
<div class="cards">${cards(data)}</div>
<nav aria-label="Sections">${sections.map(([id, name]) => html`<a href="#${id}">${name}</a>`)}</nav>
${sections.map(([id, name, show]) => html`<section id="${id}"><h2>${name}</h2>\n${show(data)}</section>\n`)}</main>`
  const policy = html`<meta http-equiv="Content-Security-Policy" content="${policyOf({ style })}">`
  return pageText({ lang: 'en', title: `${title}: report`, style, head: policy, body })
}

function cards({ lock, signed, previous, scan, images }: ReportData): Html[] {
  const items = describeLock(lock)
  const firstUse = items.filter(item => item.firstUse).length
  const left = leftOutOf(lock).length
  const found: Html[] = [
    signed === undefined
      ? card('warn', { title: 'Unsigned', about: 'no signature next to it' })
      : signed.report.good.length > 0
        ? card('good', {
            title: `Signed by ${signersOf(signed.report).length}`,
            about: `of ${signed.keys.length} known keys`,
          })
        : card(signed.keys.length > 0 ? 'bad' : 'warn', {
            title: 'Not verified',
            about: 'signed by no key that was passed',
          }),
    card('plain', {
      title: `${items.length} items`,
      about: `${humanBytes(items.reduce((sum, { size }) => sum + size, 0))} of content`,
    }),
    card(firstUse > 0 ? 'warn' : 'good', {
      title: `${firstUse} on first use`,
      about: 'no publisher vouches for them',
    }),
    card(left > 0 ? 'warn' : 'good', { title: `${left} left out`, about: 'that upstream has' }),
  ]
  if (images !== undefined) {
    const incomplete = images.filter(({ notRead }) => notRead.length > 0).length
    found.push(
      card(incomplete > 0 ? 'warn' : 'good', {
        title: `${images.reduce((sum, { packages }) => sum + packages.length, 0)} packages`,
        about:
          incomplete > 0
            ? `inside images; incomplete for ${incomplete} of ${images.length}`
            : 'inside images',
      }),
    )
  }
  if (scan !== undefined) {
    const { critical, high, medium } = countBySeverity(scan.findings)
    found.push(
      card(critical + high > 0 ? 'bad' : medium > 0 ? 'warn' : 'good', {
        title: `${critical} critical, ${high} high`,
        about: `vulnerabilities, by ${scan.scanner.name}`,
      }),
    )
  }
  if (previous !== undefined)
    found.push(
      card('plain', {
        title: `${previous.difference.changes.length} changes`,
        about: `since ${previous.version}: ${countsOf(previous.difference.changes, 0)}`,
      }),
    )
  return found
}

function card(
  state: 'good' | 'warn' | 'bad' | 'plain',
  { title, about }: { title: string; about: string },
): Html {
  return html`<div class="card ${state}"><b>${title}</b><span>${about}</span></div>`
}
