import { SaxesParser } from 'saxes'
import { AirgapError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import { withoutTrailing } from '../core/trim.ts'
import { leadsCloser } from './addresses.ts'
import type { HttpClient } from './contract.ts'
import { substituteVariables } from './url-variables.ts'

/** The mirrors of a yum repository, as a mirrorlist or a metalink names them. */
export interface MirrorList {
  /** base URLs without a slash at the end, the first to be tried first */
  bases: string[]
  /** digests of repomd.xml, one of which a mirror must have; empty where the list gives none that is strong */
  digests: { type: 'sha256' | 'sha512'; hex: string }[]
}

/** Where the list is, and the variables in the URLs that it contains. */
export interface MirrorListSource {
  url: string
  variables: Readonly<Record<string, string>>
}

const maxList = 4 << 20 /* bytes */
/** As many are tried. */
const maxMirrors = 16

/**
 * Fetches a list of mirrors: lines of URLs, or a metalink (RFC 5854's predecessor with MirrorManager's extensions, as librepo reads
 * it). Only http and https; a mirror must not be closer to this machine than the list (SSRF). Throws UPSTREAM_INVALID.
 */
export async function fetchMirrorList(
  { url, variables }: MirrorListSource,
  http: Pick<HttpClient, 'get'>,
): Promise<MirrorList> {
  const text = (await http.get(url, { maxBytes: maxList, tooLargeIs: 'UPSTREAM_INVALID' })).bytes.toString(
    'utf8',
  )
  const list = /^\uFEFF?\s*</.test(text) ? parseMetalink(text, url) : { bases: parseLines(text), digests: [] }
  const bases = list.bases
    .map(base => withoutTrailing(substituteVariables(base, { variables }).trim(), '/'))
    .filter(base => mayBeTried(base, url))
  if (bases.length === 0) throw invalid('it has no mirror that can be used', url)
  return { bases: [...new Set(bases)].slice(0, maxMirrors), digests: list.digests }
}

function mayBeTried(base: string, list: string): boolean {
  const mirror = URL.canParse(base) ? new URL(base) : undefined
  if (mirror === undefined || !/^https?:$/.test(mirror.protocol)) return false
  if (mirror.username !== '' || mirror.password !== '' || mirror.search !== '') return false
  return !leadsCloser(mirror, { from: new URL(list) })
}

function parseLines(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line.includes('://') && !line.startsWith('#'))
}

/** A document type, and with it every entity but XML's own, is refused (billion laughs). */
function parseMetalink(text: string, url: string): MirrorList {
  const mirrors: { url: string; preference: number }[] = []
  const digests: MirrorList['digests'] = []
  let inFile = false
  let attributes: Record<string, string> = {}
  let content = ''
  const parser = new SaxesParser({})
  parser.on('doctype', () => {
    throw invalid('it has a document type', url)
  })
  parser.on('error', error => {
    throw invalid(error.message.slice(0, 200), url)
  })
  parser.on('opentag', tag => {
    content = ''
    attributes = tag.attributes
    if (tag.name === 'file') inFile = attributes['name'] === 'repomd.xml'
  })
  parser.on('text', part => {
    content += part
  })
  parser.on('closetag', ({ name }) => {
    const written = content.trim()
    content = ''
    if (name === 'file') inFile = false
    if (!inFile) return
    const type = attributes['type']
    if (name === 'hash' && (type === 'sha256' || type === 'sha512'))
      digests.push({ type, hex: written.toLowerCase() })
    if (name === 'url' && written.endsWith(suffix))
      mirrors.push({
        url: written.slice(0, -suffix.length),
        preference: Number(attributes['preference'] ?? 0) || 0,
      })
  })
  parser.write(text).close()
  return {
    bases: mirrors.sort((a, b) => b.preference - a.preference).map(mirror => mirror.url),
    digests,
  }
}

const suffix = '/repodata/repomd.xml'

function invalid(why: string, url: string): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the list of mirrors is invalid: ${why}`, {
    item: redactUrl(url),
    likely: 'the address is that of another page, or the service does not know this release or architecture',
    next: 'open the address in a browser; or name one mirror with `baseurl:` instead',
  })
}

/** Reads each list once. */
export class MirrorLists {
  readonly #http: Pick<HttpClient, 'get'>
  readonly #read = new Map<string, Promise<MirrorList>>()

  constructor(http: Pick<HttpClient, 'get'>) {
    this.#http = http
  }

  of(source: MirrorListSource): Promise<MirrorList> {
    const key = JSON.stringify(source)
    let list = this.#read.get(key)
    if (list === undefined) this.#read.set(key, (list = fetchMirrorList(source, this.#http)))
    return list
  }
}
