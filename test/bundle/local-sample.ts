import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { treeArtifacts } from '../../src/content/tree.ts'
import { type Digest, digestOf } from '../../src/core/digest.ts'
import { mediaTypes } from '../../src/core/media-types.ts'
import { noise, type Sample } from './samples.ts'

const MiB = 1 << 20

/** Large files and many small ones: enough that threads copy them. */
const sizes = [5 * MiB + 3, MiB, 700_001, ...Array.from({ length: 297 }, (_, i) => 100 + i)]

/** A bundle of 300 files, which are the same each time; `write` puts them into the folder. */
export async function localSample(
  folder: string,
  { write = false }: { write?: boolean } = {},
): Promise<{ sample: Sample; paths: Map<Digest, string> }> {
  if (write) await mkdir(folder, { recursive: true })
  const contents: Sample['contents'] = new Map()
  const paths = new Map<Digest, string>()
  const files = []
  for (const [i, size] of sizes.entries()) {
    const path = `file-${i}`
    const body = noise(size, i + 1)
    const descriptor = { mediaType: mediaTypes.octets, digest: digestOf(body), size }
    if (write) await writeFile(join(folder, path), body)
    contents.set(descriptor.digest, body)
    paths.set(descriptor.digest, path)
    const origin = { sources: [{ type: 'path' as const, path }] }
    files.push({ path, mode: '100644' as const, descriptor, origin })
  }
  return { sample: { artifacts: treeArtifacts({ name: 'files', kind: 'file', files }), contents }, paths }
}
