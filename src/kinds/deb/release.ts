import type { Descriptor } from '../../core/descriptor.ts'
import { digestFromHex } from '../../core/digest.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import { withoutTrailing } from '../../core/trim.ts'
import { readPublicKeys, type VerifiedText, verifyClearSigned, verifyDetached } from '../../openpgp/verify.ts'
import type { ResolveContext } from '../kind.ts'
import type { DebSource } from './entry.ts'
import { flatFolder, isFlat } from './flat.ts'
import { parseReleaseDate } from './release-date.ts'
import { checkNotOlder } from './seen.ts'

/** One suite to read, and the place in the manifest. */
export type SuiteRequest = DebSource & { at: string }

/** A verified Release file (Debian repository format, "Release files"). */
export interface Release {
  /** fields that apt's preferences match; see `preferenceFields` */
  fields: Record<string, string>
  components: string[]
  architectures: string[]
  /** fingerprint of the key that signed it */
  signedBy: string
  byHash: boolean
  /** `Architecture: all` packages are listed only in `binary-all` */
  separateAll: boolean
  /** path under dists/SUITE → its digest and size */
  files: Map<string, Descriptor>
}

const maxReleaseSize = 32 * 1024 * 1024 /* bytes */

/** apt allows 10 s (Acquire::Max-FutureTime); clocks of build hosts are less exact. */
const allowedSkewMs = 5 * 60 * 1000

/** Fetches `InRelease`, or `Release` with `Release.gpg`, and checks its signature, suite and dates. */
export async function fetchRelease(request: SuiteRequest, context: ResolveContext): Promise<Release> {
  const base = suiteUrl(request)
  const { text, fingerprint } = await fetchSigned(base, request, context)
  const fields = parseFields(text, base)
  checkSuite(fields, { request, item: base }, context)
  const date = checkDates(fields, base, context)
  const release = { ...toRelease(fields, base), signedBy: fingerprint }
  await checkNotOlder({ base, date, fields: release.fields }, context)
  return release
}

/** sources.list(5): a suite that ends with a slash is a folder of a flat repository, `./` the archive itself. */
export function suiteUrl({ archive, suite }: Pick<DebSource, 'archive' | 'suite'>): string {
  const base = withoutTrailing(archive, '/')
  if (!isFlat(suite)) return `${base}/dists/${suite}`
  return [base, flatFolder(suite)].filter(Boolean).join('/')
}

/** Object stores answer 403 for a file that does not exist. */
const absent = ['NOT_FOUND_UPSTREAM', 'UNAUTHORIZED'] as const

async function fetchSigned(
  base: string,
  request: SuiteRequest,
  { http, now }: ResolveContext,
): Promise<VerifiedText> {
  const keys = await readPublicKeys(request.keys)
  const options = { maxBytes: maxReleaseSize, tooLargeIs: 'UPSTREAM_INVALID' } as const
  let inRelease: Buffer
  try {
    inRelease = (await http.get(`${base}/InRelease`, options)).bytes
  } catch (error) {
    if (!isErrorCode(error, ...absent)) throw error
    return await fetchDetached(error)
  }
  return await verifyClearSigned(inRelease, { keys, now: now(), item: `${base}/InRelease` })

  async function fetchDetached(withoutInRelease: AirgapError): Promise<VerifiedText> {
    let signed: { bytes: Buffer }
    try {
      signed = await http.get(`${base}/Release`, options)
    } catch (error) {
      // a server that denies both requires a login, or has no such suite
      throw isErrorCode(error, 'UNAUTHORIZED') ? withoutInRelease : error
    }
    let signature: Buffer
    try {
      signature = (await http.get(`${base}/Release.gpg`, options)).bytes
    } catch (error) {
      if (!isErrorCode(error, ...absent)) throw error
      throw new AirgapError(
        'SIGNATURE_INVALID',
        'the suite is not signed: it has neither InRelease nor Release.gpg',
        {
          item: base,
          likely: 'the signature was stripped, or the archive never had one',
          next: 'use an archive that signs its suites: nothing unsigned goes into a bundle',
          cause: error,
        },
      )
    }
    return await verifyDetached(signed.bytes, signature, { keys, now: now(), item: `${base}/Release` })
  }
}

type Fields = Map<string, string[]>

/** deb822 with one stanza: field (lower case) → its lines, the first being the text after the colon. */
function parseFields(text: string, item: string): Fields {
  const fields: Fields = new Map()
  let current: string[] | undefined
  for (const line of text.split('\n')) {
    if (line.trim() === '') {
      // apt reads the first stanza
      if (current) break
      continue
    }
    if (line.startsWith(' ') || line.startsWith('\t')) {
      if (!current) throw malformed('a continuation line without a field', item)
      current.push(line.trim())
      continue
    }
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    if (colon <= 0) throw malformed(`not a field: ${JSON.stringify(line.slice(0, 80))}`, item)
    if (fields.has(name)) throw malformed(`the field ${name} occurs twice`, item)
    current = [line.slice(colon + 1).trim()]
    fields.set(name, current)
  }
  return fields
}

/**
 * metaIndex::CheckDist: the suite, or what stands before its last slash, is the Suite or the Codename. A Release file with other
 * names is accepted with a warning, as by apt, unless the manifest declares the name (fault 33).
 */
function checkSuite(
  fields: Fields,
  { request, item }: { request: SuiteRequest; item: string },
  { progress }: ResolveContext,
): void {
  const { suite, suiteName } = request
  // a flat repository need not have a suite name; it is addressed by its folder
  if (isFlat(suite) && suiteName === undefined) return
  const names = ['suite', 'codename'].map(name => fields.get(name)?.[0] ?? '').filter(name => name !== '')
  const accepted = suiteName === undefined ? [suite, suite.replace(/\/[^/]*$/, '')] : [suiteName]
  if (names.some(name => accepted.includes(name))) return
  const is = names.length === 0 ? 'names no suite' : `is for ${[...new Set(names)].join(', ')}`
  if (suiteName === undefined) {
    const expect =
      names[0] === undefined ? '' : `; to require that name, set suiteName: ${names[0]} for this source`
    progress.note(`${item}: the Release file ${is}, not ${suite}. apt accepts that with a warning${expect}`)
    return
  }
  throw new AirgapError('UPSTREAM_INVALID', `the Release file ${is}, not ${suiteName}`, {
    item,
    likely: "a misconfigured mirror, or another suite's signed file served in place of this one",
    next: 'check archive:, suites: and suiteName: in the manifest; suiteName: is the Suite or the Codename in the Release file',
  })
}

/** Returns the date; apt takes a missing or unreadable one for the oldest (debReleaseIndex::Load). */
function checkDates(fields: Fields, item: string, { now, progress }: ResolveContext): Date {
  const written = fields.get('date')?.[0]
  const date = parseReleaseDate(written ?? '') ?? new Date(0)
  if (date.getTime() === 0) {
    const what =
      written === undefined ? 'has no Date' : `has a Date that apt cannot read (${written.slice(0, 60)})`
    progress.note(`${item}: the Release file ${what}: an older one served later would not be noticed`)
  }
  if (date.getTime() > now().getTime() + allowedSkewMs) {
    throw new AirgapError(
      'UPSTREAM_INVALID',
      `the Release file is dated ${date.toISOString()}, in the future`,
      {
        item,
        likely: `the clock of this host is wrong (it shows ${now().toISOString()})`,
        next: 'set the clock (timedatectl) and run the command again',
      },
    )
  }
  const until = fields.get('valid-until')?.[0]
  if (until === undefined || until === '') return date
  const limit = parseReleaseDate(until)
  if (limit === undefined) throw malformed(`Valid-Until is not a date in UTC: ${until.slice(0, 60)}`, item)
  if (limit.getTime() < now().getTime()) {
    throw new AirgapError('UPSTREAM_INVALID', `the Release file expired on ${limit.toISOString()}`, {
      item,
      likely:
        'a mirror that is no longer updated, an attacker who withholds updates, or a wrong clock on this host',
      next: 'use another mirror (sources: in the manifest), or set the clock',
    })
  }
  return date
}

function toRelease(fields: Fields, item: string): Omit<Release, 'signedBy'> {
  const words = (name: string) => (fields.get(name) ?? []).join(' ').split(/\s+/).filter(Boolean)
  const architectures = words('architectures')
  return {
    fields: preferencesOf(fields),
    components: words('components'),
    architectures,
    byHash: fields.get('acquire-by-hash')?.[0]?.toLowerCase() === 'yes',
    separateAll:
      // without the field, apt takes every architecture for supported
      (architectures.length === 0 || architectures.includes('all')) &&
      !words('no-support-for-architecture-all').includes('Packages'),
    files: parseSums(fields, item),
  }
}

/** apt_preferences(5): fields that pins match or that lower a suite's priority. The site's Release repeats them. */
const preferenceFields = [
  'Origin',
  'Label',
  'Suite',
  'Codename',
  'Version',
  'NotAutomatic',
  'ButAutomaticUpgrades',
] as const

function preferencesOf(fields: Fields): Record<string, string> {
  return Object.fromEntries(
    preferenceFields.flatMap(name => {
      const value = fields.get(name.toLowerCase())?.[0]
      return value ? [[name, value]] : []
    }),
  )
}

/** Only SHA-256 counts: MD5 and SHA-1 are broken (fault 34), and bundles address content by SHA-256. */
function parseSums(fields: Fields, item: string): Map<string, Descriptor> {
  const lines = fields.get('sha256')
  if (!lines) {
    const given = ['md5sum', 'sha1', 'sha512'].filter(name => fields.has(name))
    throw new AirgapError(
      'UPSTREAM_INVALID',
      `the Release file has no SHA256 sums (only ${given.join(', ') || 'none'})`,
      {
        item,
        likely: 'an archive made with very old tools, or a signed file from long ago',
        next: 'use an archive whose Release file has SHA256 sums',
      },
    )
  }
  const listed = new Map<string, Descriptor>()
  for (const line of lines) {
    if (line === '') continue
    const match = /^([0-9a-fA-F]{64})\s+([0-9]{1,15})\s+(\S+)$/.exec(line)
    if (!match) throw malformed(`not a checksum line: ${JSON.stringify(line.slice(0, 120))}`, item)
    const [, hex, size, path] = match
    const descriptor = { mediaType: mediaTypes.octets, digest: digestFromHex(hex!), size: Number(size) }
    const earlier = listed.get(path!)
    if (earlier && (earlier.digest !== descriptor.digest || earlier.size !== descriptor.size)) {
      throw malformed(`two different checksums for ${path}`, item)
    }
    listed.set(path!, descriptor)
  }
  return pathsOf(listed)
}

/**
 * The entries by the paths that apt looks up. It looks up `x`, never `./x`, so that is only another name where there is no `x`. It never
 * looks up an unsafe path (fault 38): such an entry is ignored, and does not take its suite down with it.
 */
function pathsOf(listed: ReadonlyMap<string, Descriptor>): Map<string, Descriptor> {
  const files = new Map<string, Descriptor>()
  for (const [path, descriptor] of listed) {
    const name = path.replace(/^(?:\.\/+)+/, '')
    if (isSafe(name) && (name === path || !listed.has(name))) files.set(name, descriptor)
  }
  return files
}

function isSafe(path: string): boolean {
  try {
    safeRelativePath(path)
    return true
  } catch {
    return false
  }
}

function malformed(why: string, item: string): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the Release file is malformed: ${why}`, {
    item,
    likely: 'an archive made with broken tools',
    next: 'report it to the maintainers of the archive, or use another mirror',
  })
}
