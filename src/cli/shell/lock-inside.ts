import type { BundleStore } from '../../bundle/reader.ts'
import { readAll } from '../../content/read.ts'
import { readTree } from '../../content/tree.ts'
import { AirgapError } from '../../core/errors.ts'
import { annotationKeys } from '../../core/media-types.ts'
import { parseLock } from '../../lock/lock.ts'
import type { Lock } from '../../lock/schema.ts'

/** The lock that a bundle was built from. Throws BUNDLE_CORRUPT. */
export async function lockInside(bundle: BundleStore, path: string): Promise<Lock> {
  const root = bundle
    .roots()
    .filter(descriptor => descriptor.annotations?.[annotationKeys.refName] === 'lock')
  const file = (await readTree(bundle, root)).get('lock.json')
  if (!file) {
    throw new AirgapError('BUNDLE_CORRUPT', 'the bundle has no lock inside', {
      item: path,
      next: 'build it again',
    })
  }
  const text = await readAll(bundle, file.descriptor, 512 * 1024 * 1024 /* bytes */)
  return parseLock(text.toString('utf8'), path)
}
