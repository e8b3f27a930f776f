import { AirgapError } from '../../core/errors.ts'
import { redactText } from '../../core/redact.ts'
import { type Marker, normalizeExtra, parseMarker } from './marker.ts'
import { parseSpecifiers, type Specifier } from './specifier.ts'

/** PEP 508: a project, its extras, versions and marker. */
export interface Requirement {
  /** normalised (PEP 503) */
  project: string
  extras: string[]
  specifiers: Specifier[]
  marker?: Marker
  /** hex digests from `--hash`; empty: any */
  hashes: string[]
  /** as written */
  text: string
}

/** PEP 503 */
export function normalizeProject(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-')
}

const head = /^\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?\s*(.*)$/s

/** One requirement, with `--hash=sha256:…` after it as in a requirements file. `code` says whose mistake it would be. */
export function parseRequirement(
  text: string,
  { item, code = 'UPSTREAM_INVALID' }: { item: string; code?: 'UPSTREAM_INVALID' | 'MANIFEST_INVALID' },
): Requirement {
  const fail = (what: string, next: string) =>
    new AirgapError(code, what, {
      item: `${item}: ${redactText(text).slice(0, 300)}`,
      likely: code === 'MANIFEST_INVALID' ? 'a typing mistake' : 'a package made with old or broken tools',
      next: code === 'MANIFEST_INVALID' ? next : 'choose another version of the package, with a constraint',
    })
  const [written = '', ...options] = text.split(/(?<!\s)\s+(?=--)/)
  const hashes = options.map(option => {
    const [, kind, hex] = /^--hash[= ](\w+):([0-9a-fA-F]+)$/.exec(option.trim()) ?? []
    if (kind === undefined || hex === undefined)
      throw fail('an unknown option after a requirement', 'remove it; only --hash=sha256:… is supported')
    if (kind !== 'sha256' || hex.length !== 64)
      throw fail('a hash that is not SHA-256', 'write --hash=sha256: and 64 hex digits')
    return hex.toLowerCase()
  })
  const match = head.exec(written)
  if (match === null) throw fail('invalid requirement', 'write it as project==1.2.3')
  const [, name, extras = '', rest = ''] = match
  if (rest.startsWith('@'))
    throw fail('a requirement by URL', 'write the project and its version, or carry the file under `files:`')
  const semicolon = rest.indexOf(';')
  const versions = (semicolon < 0 ? rest : rest.slice(0, semicolon)).trim().replace(/^\((.*)\)$/s, '$1')
  const specifiers = parseSpecifiers(versions)
  if (specifiers === undefined) throw fail('invalid version specifiers', 'write them as >=1.2,<2')
  return {
    project: normalizeProject(name!),
    extras: extras
      .split(',')
      .map(extra => normalizeExtra(extra.trim()))
      .filter(Boolean),
    specifiers,
    hashes,
    text: written.trim(),
    ...(semicolon < 0 ? {} : { marker: parseMarker(rest.slice(semicolon + 1), item) }),
  }
}
