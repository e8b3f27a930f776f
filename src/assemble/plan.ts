import type { Layout } from '../bundle/layout.ts'
import type { Source } from '../content/artifact.ts'
import type { ReadableStore } from '../content/store.ts'
import { compareText } from '../core/canonical-json.ts'

export interface SourcePlan {
  source: string
  blobs: number
  bytes: number
}

export interface BuildPlan {
  /** of the whole tar, bytes */
  size: number
  blobs: number
  /** already on this host: in the cache or an earlier bundle */
  near: { blobs: number; bytes: number }
  fetch: { blobs: number; bytes: number }
  /** what would be fetched, by host or folder, largest first */
  sources: SourcePlan[]
}

/** Returns what a build would fetch. `near` are the stores tried before the network. Writes nothing. */
export async function planBuild(layout: Layout, near: ReadableStore[]): Promise<BuildPlan> {
  const plan: BuildPlan = {
    size: layout.size,
    blobs: 0,
    near: { blobs: 0, bytes: 0 },
    fetch: { blobs: 0, bytes: 0 },
    sources: [],
  }
  const sources = new Map<string, SourcePlan>()
  for (const entry of layout.entries) {
    if (entry.type !== 'file' || entry.digest === undefined || entry.bytes !== undefined) continue
    plan.blobs++
    const descriptor = { mediaType: '', digest: entry.digest, size: entry.size }
    const here = (await Promise.all(near.map(store => store.exists(descriptor)))).some(Boolean)
    const part = here ? plan.near : plan.fetch
    part.blobs++
    part.bytes += entry.size
    if (here) continue
    const source = sourceName(entry.sources ?? [])
    const row = sources.get(source) ?? { source, blobs: 0, bytes: 0 }
    row.blobs++
    row.bytes += entry.size
    sources.set(source, row)
  }
  plan.sources = [...sources.values()].sort((a, b) => b.bytes - a.bytes || compareText(a.source, b.source))
  return plan
}

/** Returns the source that `fetchSlots` would use: local content first, then the first source on the network. */
function sourceName(sources: Source[]): string {
  const source = sources.find(({ type }) => type === 'path' || type === 'tool') ?? sources[0]
  switch (source?.type) {
    case 'registry':
    case 'created':
      return source.name.split('/')[0]!
    case 'url':
      return new URL(source.url).host
    case 'mirrors':
      return new URL(source.list).host
    case 'path':
      return 'local files'
    default:
      return 'this tool'
  }
}
