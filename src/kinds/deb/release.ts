import type { Descriptor } from '../../core/descriptor.ts'
import { digestFromHex } from '../../core/digest.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import { readPublicKeys, type VerifiedText, verifyClearSigned, verifyDetached } from '../../openpgp/verify.ts'
import type { ResolveContext } from '../kind.ts'
import type { DebSource } from './entry.ts'
import { flatFolder, isFlat } from './flat.ts'
import { checkNotOlder } from './seen.ts'

/** One suite to read, and the place in the manifest. */
export type SuiteRequest = DebSource & { at: string }

/** A verified Release file (Debian repository format, "Release files"). */
export interface Release {
  /** fields that apt's preferences match; see `preferenceFields` */
  fields: Record<string, string>
  components: string[]
  architectures: string[]
  date: Date
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
  checkSuite(fields, request, base)
  const date = checkDates(fields, context.now(), base)
  const release = { ...toRelease(fields, date, base), signedBy: fingerprint }
  await checkNotOlder({ base, date }, context)
  return release
}

/** sources.list(5): a suite that ends with a slash is a folder of a flat repository, `./` the archive itself. */
export function suiteUrl({ archive, suite }: Pick<DebSource, 'archive' | 'suite'>): string {
  const base = archive.replace(/\/+$/, '')
  if (!isFlat(suite)) return `${base}/dists/${suite}`
  return [base, flatFolder(suite)].filter(Boolean).join('/')
}

async function fetchSigned(
  base: string,
  request: SuiteRequest,
  { http, now }: ResolveContext,
): Promise<VerifiedText> {
  const keys = await readPublicKeys(request.keys)
  const options = { maxBytes: maxReleaseSize }
  let inRelease: Buffer
  try {
    inRelease = (await http.get(`${base}/InRelease`, options)).bytes
  } catch (error) {
    if (!isErrorCode(error, 'NOT_FOUND_UPSTREAM')) throw error
    return await fetchDetached()
  }
  return await verifyClearSigned(inRelease, { keys, now: now(), item: `${base}/InRelease` })

  async function fetchDetached(): Promise<VerifiedText> {
    const signed = await http.get(`${base}/Release`, options)
    let signature: Buffer
    try {
      signature = (await http.get(`${base}/Release.gpg`, options)).bytes
    } catch (error) {
      if (!isErrorCode(error, 'NOT_FOUND_UPSTREAM')) throw error
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
    if (line.trim() === '') continue
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

function checkSuite(fields: Fields, request: SuiteRequest, item: string): void {
  // a flat repository need not have a suite name; it is addressed by its folder
  if (isFlat(request.suite)) return
  const names = ['suite', 'codename'].map(name => fields.get(name)?.[0] ?? '').filter(name => name !== '')
  if (names.includes(request.suite)) return
  throw new AirgapError(
    'UPSTREAM_INVALID',
    `the Release file is for ${names.join(', ') || 'no suite'}, not ${request.suite}`,
    {
      item,
      likely: "a misconfigured mirror, or another suite's signed file served in place of this one",
      next: 'check archive: and suites: in the manifest; use the name under which the archive signs the suite',
    },
  )
}

function checkDates(fields: Fields, now: Date, item: string): Date {
  const date = parseDate(fields.get('date')?.[0], 'Date', item)
  if (date === undefined) throw malformed('the field Date is missing', item)
  if (date.getTime() > now.getTime() + allowedSkewMs) {
    throw new AirgapError(
      'UPSTREAM_INVALID',
      `the Release file is dated ${date.toISOString()}, in the future`,
      {
        item,
        likely: `the clock of this host is wrong (it shows ${now.toISOString()})`,
        next: 'set the clock (timedatectl) and run the command again',
      },
    )
  }
  const until = parseDate(fields.get('valid-until')?.[0], 'Valid-Until', item)
  if (until !== undefined && until.getTime() < now.getTime()) {
    throw new AirgapError('UPSTREAM_INVALID', `the Release file expired on ${until.toISOString()}`, {
      item,
      likely:
        'a mirror that is no longer updated, an attacker who withholds updates, or a wrong clock on this host',
      next: 'use another mirror (sources: in the manifest), or set the clock',
    })
  }
  return date
}

/** Debian repository format, "Date, Valid-Until": RFC 2822 in UTC. */
function parseDate(text: string | undefined, name: string, item: string): Date | undefined {
  if (text === undefined) return undefined
  const date = new Date(text)
  const isUtc = /(?:UTC|GMT|Z|[+-]0000)$/.test(text)
  if (!isUtc || Number.isNaN(date.getTime()))
    throw malformed(`${name} is not a date in UTC: ${text.slice(0, 60)}`, item)
  return date
}

function toRelease(fields: Fields, date: Date, item: string): Omit<Release, 'signedBy'> {
  const words = (name: string) => (fields.get(name) ?? []).join(' ').split(/\s+/).filter(Boolean)
  const architectures = words('architectures')
  return {
    fields: preferencesOf(fields),
    components: words('components'),
    architectures,
    date,
    byHash: fields.get('acquire-by-hash')?.[0]?.toLowerCase() === 'yes',
    separateAll:
      architectures.includes('all') && !words('no-support-for-architecture-all').includes('Packages'),
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
  const files = new Map<string, Descriptor>()
  for (const line of lines) {
    if (line === '') continue
    const match = /^([0-9a-fA-F]{64})\s+([0-9]{1,15})\s+(\S+)$/.exec(line)
    if (!match) throw malformed(`not a checksum line: ${JSON.stringify(line.slice(0, 120))}`, item)
    const [, hex, size, path] = match
    const descriptor = { mediaType: mediaTypes.octets, digest: digestFromHex(hex!), size: Number(size) }
    const earlier = files.get(path!)
    if (earlier && (earlier.digest !== descriptor.digest || earlier.size !== descriptor.size)) {
      throw malformed(`two different checksums for ${path}`, item)
    }
    files.set(safeRelativePath(path!.replace(/^\.\//, ''), 'UPSTREAM_INVALID'), descriptor)
  }
  return files
}

function malformed(why: string, item: string): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the Release file is malformed: ${why}`, {
    item,
    likely: 'an archive made with broken tools',
    next: 'report it to the maintainers of the archive, or use another mirror',
  })
}
