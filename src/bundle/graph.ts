import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import { type ParsedManifest, parseManifest, successors } from '../content/successors.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { isForeignLayerType, isIndexType, isManifestType } from '../core/media-types.ts'

export interface GraphFindings {
  /** everything that the roots refer to and that is present, each digest once */
  reached: Map<Digest, Descriptor>
  /** images of other platforms, foreign layers and unreadable entries of indexes that were omitted on purpose */
  notCarried: number
  /** content that is referred to and missing, or present and unreadable */
  faults: { item: string; what: string }[]
}

/**
 * Follows index → manifest → config and layers from the roots (a Merkle tree: each parent names its children by digest). Children of an
 * index may be missing as long as one is present: platforms that were not requested.
 */
export async function walkGraph(store: ReadableStore, roots: readonly Descriptor[]): Promise<GraphFindings> {
  const findings: GraphFindings = { reached: new Map(), notCarried: 0, faults: [] }
  const waiting = [...roots].reverse()
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    const known = findings.reached.get(node.digest)
    if (known?.size === node.size && known.mediaType === node.mediaType) continue
    if (!(await store.exists(node))) {
      findings.faults.push({
        item: node.digest,
        what: `the content (${node.size} bytes) is not in the bundle`,
      })
      continue
    }
    findings.reached.set(node.digest, node)
    const manifest = await readDocument(store, node, findings)
    if (manifest === undefined) continue
    const children = successors(manifest)
    if (manifest.type === 'index') findings.notCarried += manifest.unreadable.length
    const present = await Promise.all(children.map(child => store.exists(child)))
    const mayLack = manifest.type === 'index' && present.includes(true)
    for (const [i, child] of children.entries()) {
      if (!present[i] && (mayLack || isForeignLayerType(child.mediaType))) findings.notCarried++
      else waiting.push(child)
    }
  }
  return findings
}

async function readDocument(
  store: ReadableStore,
  node: Descriptor,
  findings: GraphFindings,
): Promise<ParsedManifest | undefined> {
  const { mediaType, digest } = node
  if (!isIndexType(mediaType) && !isManifestType(mediaType)) return undefined
  try {
    return parseManifest(await readAll(store, node), { mediaType, item: digest, code: 'BUNDLE_CORRUPT' })
  } catch (error) {
    if (!(error instanceof AirgapError) || error.exitCode !== 6) throw error
    findings.faults.push({ item: digest, what: error.message })
    return undefined
  }
}
