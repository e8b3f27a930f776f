import type { Artifact } from '../../content/artifact.ts'
import { inlineFile, type TreeFile, treeArtifacts } from '../../content/tree.ts'
import { canonicalJson, compareText } from '../../core/canonical-json.ts'
import { defined } from '../../core/defined.ts'
import { digestFromHex, digestOf, hexOf } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { redactUrl } from '../../core/redact.ts'
import type { LockedDistribution, LockedWheels } from './locked.ts'

/**
 * One tree `pypi` for all entries: files by project, their metadata beside them (PEP 658), and index.json, from which the site
 * generates the pages of its index.
 */
export function assembleWheels(items: LockedWheels[]): Artifact[] {
  const distributions = distinct(items.flatMap(item => item.distributions))
  if (distributions.length === 0) return []
  const files = distributions.flatMap(filesOf)
  const index = { files: distributions.map(indexEntry) }
  files.push(inlineFile('index.json', Buffer.from(`${canonicalJson(index)}\n`)))
  return treeArtifacts({ name: 'pypi', kind: 'wheel', files })
}

/** By file name, which is what pip sees. */
function distinct(all: readonly LockedDistribution[]): LockedDistribution[] {
  const files = new Map<string, LockedDistribution>()
  for (const one of all) {
    const other = files.get(one.filename)
    if (other !== undefined && other.sha256 !== one.sha256) {
      throw new AirgapError('NAME_COLLISION', 'two different files have the same name', {
        item: `${one.filename}: ${redactUrl(other.url)} and ${redactUrl(one.url)}`,
        likely: 'two indexes have a project of the same name',
        next: 'use the same index for this project in all entries',
      })
    }
    files.set(one.filename, one)
  }
  return [...files.values()].sort((a, b) => compareText(a.filename, b.filename))
}

function filesOf({ project, filename, url, size, sha256, metadata }: LockedDistribution): TreeFile[] {
  const path = `${project}/${filename}`
  return [
    {
      path,
      mode: '100644',
      descriptor: { mediaType: mediaTypes.octets, digest: digestFromHex(sha256), size },
      origin: { sources: [{ type: 'url', url }] },
    },
    ...(metadata === undefined ? [] : [inlineFile(`${path}.metadata`, Buffer.from(metadata))]),
  ]
}

function indexEntry(one: LockedDistribution): Record<string, string | number> {
  const { project, version, filename, sha256, size, requiresPython, yanked, metadata } = one
  return {
    project,
    version,
    filename,
    sha256,
    size,
    ...defined({
      requiresPython,
      yanked,
      metadataSha256: metadata === undefined ? undefined : hexOf(digestOf(Buffer.from(metadata))),
    }),
  }
}
