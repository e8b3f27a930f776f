import type { BundleStore } from '../../bundle/reader.ts'
import { readAll } from '../../content/read.ts'
import { findTree } from '../../content/shards.ts'
import { readTree } from '../../content/tree.ts'
import { AirgapError } from '../../core/errors.ts'
import { parseLock } from '../../lock/lock.ts'
import type { Lock } from '../../lock/schema.ts'

/** The lock that a bundle was built from. Throws BUNDLE_CORRUPT. */
export async function lockInside(bundle: BundleStore, path: string): Promise<Lock> {
  const roots = findTree(bundle.roots(), 'lock')?.roots ?? []
  const file = (await readTree(bundle, roots)).get('lock.json')
  if (!file) {
    throw new AirgapError('BUNDLE_CORRUPT', 'the bundle has no lock inside', {
      item: path,
      next: 'build it again',
    })
  }
  const text = await readAll(bundle, file.descriptor, 512 * 1024 * 1024 /* bytes */)
  return parseLock(text.toString('utf8'), path)
}
