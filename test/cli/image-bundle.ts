import { digestOf } from '../../src/core/digest.ts'
import { formatLock } from '../../src/lock/lock.ts'
import type { Lock } from '../../src/lock/schema.ts'
import { combine, imageOf, imageSample, inlineTree, sampleInfo, writeBundle } from '../bundle/samples.ts'

/** Writes a bundle with one image of these layers, and its lock; returns the lock. */
export async function imageBundle(
  path: string,
  { name, layers, more = {} }: { name: string; layers: Buffer[]; more?: Partial<Lock> },
): Promise<Lock> {
  const image = imageOf(name, layers)
  const { annotations: _, ...root } = image.root
  const lock: Lock = {
    lockVersion: 1,
    name: sampleInfo.name,
    version: sampleInfo.version,
    platforms: ['linux/amd64'],
    inputs: digestOf('inputs'),
    collisions: {},
    runtime: [],
    ...more,
    items: {
      image: [
        {
          name,
          from: name.replace(/:[^:/]*$/, ''),
          digest: root.digest,
          platforms: ['linux/amd64'],
          manifests: [root],
          blobs: image.blobs.map(([descriptor]) => descriptor),
        },
      ],
      ...more.items,
    },
  }
  await writeBundle(path, combine(imageSample(image), inlineTree('lock', { 'lock.json': formatLock(lock) })))
  return lock
}
