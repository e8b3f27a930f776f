import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { normalizeExtra } from './marker.ts'
import { normalizeProject, parseRequirement, type Requirement } from './requirement.ts'

/** Core metadata (METADATA, PKG-INFO), as far as resolving needs it. */
export interface CoreMetadata {
  /** normalised */
  project: string
  version: string
  requires: Requirement[]
  /** `Requires-Python`, as written */
  requiresPython?: string
  /** normalised */
  extras: string[]
  /** `Metadata-Version`, and the fields that may change when a source distribution is built */
  metadataVersion: string
  dynamic: string[]
}

const maxRequirements = 10_000

/** Header fields of an e-mail (core metadata specification); the body is the description. */
export function parseMetadata(text: string, item: string): CoreMetadata {
  const fields = new Map<string, string[]>()
  const head = text.split(/\r?\n\r?\n/, 1)[0]!
  for (const line of head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const name = line.slice(0, colon).trim().toLowerCase()
    const values = fields.get(name) ?? []
    values.push(line.slice(colon + 1).trim())
    fields.set(name, values)
  }
  const [name, version] = [fields.get('name')?.[0], fields.get('version')?.[0]]
  const requires = fields.get('requires-dist') ?? []
  if (!name || !version || requires.length > maxRequirements) {
    throw new AirgapError('UPSTREAM_INVALID', 'the metadata of a package cannot be read', {
      item,
      likely: 'a package made with broken tools',
      next: 'choose another version of the package, with a constraint',
    })
  }
  return {
    project: normalizeProject(name),
    version,
    requires: requires.map(written => parseRequirement(written, { item })),
    extras: (fields.get('provides-extra') ?? []).map(normalizeExtra),
    ...defined({ requiresPython: fields.get('requires-python')?.[0] || undefined }),
    metadataVersion: fields.get('metadata-version')?.[0] ?? '',
    dynamic: (fields.get('dynamic') ?? []).map(field => field.toLowerCase()),
  }
}
