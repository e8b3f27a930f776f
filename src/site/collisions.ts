import { z } from 'zod'
import { readAll } from '../content/read.ts'
import { findTree } from '../content/shards.ts'
import { readTree } from '../content/tree.ts'
import { AirgapError } from '../core/errors.ts'
import type { SiteContent } from './content.ts'
import type { Collisions } from './names.ts'

const maxLockSize = 512 << 20 /* bytes */
const collisionsSchema = z.looseObject({ collisions: z.record(z.string(), z.string()).default({}) })

/**
 * Returns which upstream wins a name, by the `collisions` of the stack manifest: the lock in every bundle has them. Throws
 * BUNDLE_CORRUPT.
 */
export async function collisionsOf(contents: readonly SiteContent[]): Promise<Collisions> {
  const collisions: Record<string, string> = Object.create(null)
  for (const content of contents) {
    const roots = findTree(content.roots(), 'lock')?.roots ?? []
    const lock = (await readTree(content, roots)).get('lock.json')
    if (lock === undefined) continue
    const text = (await readAll(content, lock.descriptor, maxLockSize)).toString('utf8')
    try {
      Object.assign(collisions, collisionsSchema.parse(JSON.parse(text)).collisions)
    } catch (error) {
      throw new AirgapError('BUNDLE_CORRUPT', 'the lock in the bundle is invalid', {
        item: lock.descriptor.digest,
        likely: 'a bundle made by another tool or version',
        next: 'serve it with the version that made it',
        cause: error,
      })
    }
  }
  return collisions
}
