import { X509Certificate } from 'node:crypto'
import { humanBytes } from '../../core/human-bytes.ts'
import { type Html, html } from '../../html/html.ts'
import type { ClientFile } from '../../kinds/client-file.ts'
import { httpServerOf } from '../address.ts'
import type { AboutBundle, AboutKey, AboutSite } from './about.ts'
import { type BrowseContext, listLinks } from './browse.ts'
import { type ClientSetup, clientSetups } from './client-setup.ts'
import { frame, searchForm, type View } from './frame.ts'
import { type Texts, texts } from './texts.ts'

export interface FrontContext extends BrowseContext {
  about: AboutSite
  clients: readonly ClientFile[]
}

/** Returns the start page. */
export async function frontPage({ view, context }: { view: View; context: FrontContext }): Promise<string> {
  const text = texts[view.lang]
  const { about, clients, catalogue } = context
  const lists = await catalogue.lists()
  const setups = clientSetups({ address: about.address, clients, lists })
  return frame(view, {
    title: text.siteTitle,
    header: html`<h1>${text.siteTitle}</h1>`,
    body: html`<p>${text.lead}</p>
${searchForm(view, text)}
<p id="found" role="status"></p>
<div id="results"></div>
<section aria-labelledby="bundles"><h2 id="bundles">${text.about.title}</h2>
${about.bundles.map(bundle => bundleFacts(bundle, text))}</section>
<section aria-labelledby="contents"><h2 id="contents">${text.contents.title}</h2>
${listLinks(lists, { view, text })}
<p><a href="/?page=1">${text.contents.folders}</a></p></section>
<section aria-labelledby="setup"><h2 id="setup">${text.setup.title}</h2>
${setups.length === 0 ? html`<p>${text.setup.none}</p>` : html`<p>${text.setup.lead}</p>${setups.map(setup => setupDetails(setup, text))}`}</section>
<section aria-labelledby="keys"><h2 id="keys">${text.keys.title}</h2>
${keySection({ ...about, clients }, text)}</section>`,
  })
}

function bundleFacts(bundle: AboutBundle, text: Texts): Html {
  const { about } = text
  const { name, version, digest, size, built, trust, signers, unconfirmed } = bundle
  return html`<h3>${name}</h3>
<dl><dt>${about.version}</dt><dd>${version}</dd>
<dt>${about.digest}</dt><dd><code>${digest}</code></dd>
<dt>${about.size}</dt><dd>${humanBytes(size)}</dd>
<dt>${about.built}</dt><dd>${built ?? about.notStated}</dd>
<dt>${about.signature}</dt><dd>${about.trust[trust]}${unconfirmed.length > 0 ? html`<br>${about.unconfirmed(unconfirmed.length)}` : ''}</dd>
${signers.map(key => html`<dt>${about.signedBy}</dt><dd>${keyFacts(key, text)}</dd>`)}</dl>`
}

function keyFacts({ name, fingerprint, words }: AboutKey, { about }: Texts): Html {
  return html`${name === undefined ? '' : html`<b>${name}</b><br>`}<code>${fingerprint}</code><br><span class="mute">${about.words}: ${words}</span>`
}

function setupDetails({ client, blocks }: ClientSetup, { setup }: Texts): Html {
  const name = setup.names[client]
  return html`<details id="${client}"><summary>${name}</summary><p>${setup.notes[client]}</p>
${blocks.map(({ step, release, commands }) => {
  const title = release === undefined ? setup.steps[step] : `${setup.steps[step]}: ${release}`
  return html`<h3>${title}</h3>${commandBlock(commands, { label: `${name}, ${title}`, id: [client, release ?? step].join('-') })}`
})}</details>\n`
}

/** `id` names the block for links; its text is what people copy. */
function commandBlock(commands: string, { label, id }: { label: string; id: string }): Html {
  return html`<div class="block"><pre id="${id}" tabindex="0" role="region" aria-label="${label}">${commands}</pre></div>`
}

/** As `openssl x509 -fingerprint -sha256` prints it; undefined for a site without a CA of its own. */
function caFingerprint(clients: readonly ClientFile[]): string | undefined {
  const file = clients.find(one => one.kind === 'site-ca')
  return file && new X509Certificate(file.text).fingerprint256
}

function keySection(
  { address, keyFingerprint, clients }: AboutSite & Pick<FrontContext, 'clients'>,
  { keys }: Texts,
): Html {
  const ca = caFingerprint(clients)
  const url = `${httpServerOf(address)}/site-key.asc`
  return html`<p>${keys.lead}</p>
${
  ca === undefined
    ? ''
    : html`<h3>${keys.ca}</h3>
<p>${keys.caUse} <a href="/clients/ca.crt">ca.crt</a></p>
<dl><dt>${keys.fingerprint}</dt><dd><code>${ca}</code></dd></dl>`
}
<h3>${keys.siteKey}</h3>
<p>${keys.siteKeyUse} <a href="/site-key.asc">site-key.asc</a></p>
<dl><dt>${keys.fingerprint}</dt><dd><code>${keyFingerprint.replace(/(.{4})(?=.)/g, '$1 ')}</code></dd></dl>
<h3>${keys.check}</h3>
${commandBlock(`curl -fsS ${url} | gpg --show-keys --with-fingerprint`, { label: keys.check, id: 'check-key' })}`
}
