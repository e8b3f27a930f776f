import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { redactText } from '../../core/redact.ts'
import { type FileHash, fileHash, isStrong } from './file-hash.ts'
import { type Marker, normalizeExtra, parseMarker } from './marker.ts'
import { parseSpecifiers, type Specifier } from './specifier.ts'

/** PEP 508: a project, its extras, versions and marker. */
export interface Requirement {
  /** normalised (PEP 503) */
  project: string
  extras: string[]
  specifiers: Specifier[]
  marker?: Marker
  /** from `--hash`, the strong ones; empty: any */
  hashes: FileHash[]
  /** the file itself, with its fragment (`name @ https://…`) */
  url?: string
  /** as written */
  text: string
}

/** PEP 503 */
export function normalizeProject(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-')
}

const head = /^\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?\s*(.*)/s

/**
 * One requirement, with `--hash=sha256:…` after it as in a requirements file. `code` says whose mistake it would be. Only a person may require
 * a file by its URL: the metadata of a package would send the site's pip to an address outside.
 */
export function parseRequirement(
  text: string,
  { item, code = 'UPSTREAM_INVALID' }: { item: string; code?: 'UPSTREAM_INVALID' | 'MANIFEST_INVALID' },
): Requirement {
  const fail: Fail = (what, next) =>
    new AirgapError(code, what, {
      item: `${item}: ${redactText(text).slice(0, 300)}`,
      likely: code === 'MANIFEST_INVALID' ? 'a typing mistake' : 'a package made with old or broken tools',
      next: code === 'MANIFEST_INVALID' ? next : 'choose another version of the package, with a constraint',
    })
  const [written = '', ...options] = text.split(/(?<!\s)\s+(?=--)/)
  const match = head.exec(written)
  if (match === null) throw fail('invalid requirement', 'write it as project==1.2.3')
  const [, name, extras = '', rest = ''] = match
  const { versions, url, marker } = partsOf(rest)
  if (url !== undefined && code !== 'MANIFEST_INVALID')
    throw fail('a requirement by URL', 'write the project and its version')
  const specifiers = parseSpecifiers(versions)
  if (specifiers === undefined) throw fail('invalid version specifiers', 'write them as >=1.2,<2')
  return {
    project: normalizeProject(name!),
    extras: extras
      .split(',')
      .map(extra => normalizeExtra(extra.trim()))
      .filter(Boolean),
    specifiers,
    hashes: listedHashes(options, fail),
    text: written.trim(),
    ...defined({ url, marker: marker === undefined ? undefined : markerOf(marker, { item, fail }) }),
  }
}

function markerOf(text: string, { item, fail }: { item: string; fail: Fail }): Marker {
  try {
    return parseMarker(text, item)
  } catch {
    throw fail('a requirement has an invalid marker', 'write it as ; python_version < "3.12"')
  }
}

type Fail = (what: string, next: string) => AirgapError

/** What follows the name and its extras. The marker of a URL follows white space, as a URL may contain a semicolon (PEP 508). */
function partsOf(rest: string): { versions: string; url?: string; marker?: string } {
  if (rest.startsWith('@')) {
    const [, url = '', marker] = /^@\s*(\S*)(?:\s+;?\s*(.*))?/s.exec(rest) ?? []
    return { versions: '', url, ...defined({ marker: marker || undefined }) }
  }
  const semicolon = rest.indexOf(';')
  const versions = (semicolon < 0 ? rest : rest.slice(0, semicolon)).trim().replace(/^\((.*)\)$/s, '$1')
  return semicolon < 0 ? { versions } : { versions, marker: rest.slice(semicolon + 1) }
}

/**
 * The strong hashes of `--hash` options. Weaker ones beside them are passed over: pip refuses them, and a file that is forged to match
 * an MD5 must not pass.
 */
function listedHashes(options: readonly string[], fail: Fail): FileHash[] {
  const hashes = options.map(option => {
    const [, algorithm, hex] = /^--hash[= ](\w+):([0-9a-fA-F]+)$/.exec(option.trim()) ?? []
    if (algorithm === undefined || hex === undefined)
      throw fail('an unknown option after a requirement', 'remove it; only --hash=sha256:… is supported')
    const hash = fileHash(algorithm, hex)
    if (hash === undefined)
      throw fail('a hash that is invalid', 'write --hash=sha256: and 64 hex digits, or sha384 or sha512')
    return hash
  })
  const strong = hashes.filter(isStrong)
  if (hashes.length > 0 && strong.length === 0)
    throw fail('a requirement has weak hashes only', 'write --hash=sha256: and 64 hex digits')
  return strong
}
