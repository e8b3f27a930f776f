import { type Html, html, table } from '../../html/html.ts'
import type { PublicKey } from '../../signature/public-key.ts'
import { signersOf } from '../../signature/verify.ts'
import { localTime } from '../shell/format.ts'
import type { ReportData } from './data.ts'

/** The signatures next to the bundle, and by whom. */
export function signatures({ signed, file }: ReportData): Html {
  if (signed === undefined)
    return html`<div class="note warn">${file} has no signature next to it. Compare the digest above with the one that the builder sends you separately.</div>`
  const { statement, report, keys } = signed
  const good = report.good.map(({ format, key, path }) => [
    'good',
    format,
    key.short,
    key.words,
    baseName(path),
  ])
  const unknown = report.unknown.map(({ format, key, hint, path }) => [
    'not checked',
    format,
    key?.short ?? hint ?? '',
    key?.words ?? '',
    baseName(path),
  ])
  const rows = [...good, ...unknown]
  return html`${signed.isExpired ? html`<div class="note bad">The signed statement has expired.</div>` : ''}${verdict(report.good.length, { keys, signers: signersOf(report) })}
<dl><dt>Signed statement</dt><dd>${statement.name} ${statement.version}</dd><dt>Built</dt><dd>${statement.built}</dd>
<dt>Expires</dt><dd>${statement.expires ?? 'never'}${signed.isExpired ? html` <b>(expired)</b>` : ''}</dd>
<dt>Provenance</dt><dd>${signed.provenance === undefined ? 'not checked, or none' : `signed by ${signed.provenance} of the keys`}</dd></dl>
${
  rows.length === 0
    ? ''
    : html`<div class="scroll">${table(['Signature', 'Format', 'Key', 'Words to compare', 'File'], rows, {
        classOf: row => (row < good.length ? 'good' : 'warn'),
      })}</div>`
}`
}

function verdict(
  good: number,
  { keys, signers }: { keys: readonly PublicKey[]; signers: readonly PublicKey[] },
): Html {
  if (good > 0)
    return html`<div class="note good">Signed by ${signers.length} of the ${keys.length} keys that were passed for this report. The signed digest is that of this bundle.</div>`
  if (keys.length > 0)
    return html`<div class="note bad">None of the ${keys.length} keys that were passed for this report signed this bundle.</div>`
  return html`<div class="note warn">The signatures were not checked: no key was passed for this report (<code>--public-key</code>).</div>`
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** Signatures, attestations and bills of materials of publishers that travel with the images. */
export function attestations({ lock }: ReportData): Html {
  const images = (lock.items['image'] ?? []) as {
    name: string
    referrers?: unknown
    referrerTags?: unknown
  }[]
  const rows = images.flatMap(({ name, referrers }) =>
    Array.isArray(referrers) ? [[name, referrers.length]] : [],
  )
  if (rows.length === 0)
    return html`<p>No image brings signatures or attestations of its publisher (<code>referrers: true</code> in the manifest carries them).</p>`
  return html`<p>${rows.length} of ${images.length} images bring signatures, attestations or bills of materials of their publishers.</p>
<div class="scroll">${table(['Image', 'Attached'], rows, { numbers: [1] })}</div>`
}

/** What a person puts their name to. */
export function signOff({ lock, digest, made, toolVersion }: ReportData): Html {
  return html`<p>I have reviewed the content of ${lock.name} ${lock.version} with the digest <code>${digest}</code>.</p>
<div class="sign"><div>Name</div><div>Date</div><div>Organisation, role</div><div>Signature</div></div>
<p class="mute">Report of ${localTime(made.toISOString())}, airgap ${toolVersion}. It describes the file as it was then; <code>airgap verify</code> checks every byte of it.</p>`
}
