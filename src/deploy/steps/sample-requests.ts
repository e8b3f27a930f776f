import { type Tree, treesOf } from '../../content/shards.ts'
import { readTree } from '../../content/tree.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import type { SampleRequest } from '../../install/steps/check.ts'
import { namedRoots } from '../../site/images.ts'
import { isServed } from '../../site/site-view.ts'
import type { OpenBundle } from '../open-bundles.ts'
import type { ServerAddresses } from '../site-values.ts'

/**
 * What the step `check` requests: a manifest as containerd requests it, the smallest of the files, and the smallest package of each
 * repository. Lists of packages are not requested: of several bundles they are merged while they are served.
 */
export async function sampleRequests(
  bundles: readonly OpenBundle[],
  { registry, httpServer }: ServerAddresses,
): Promise<SampleRequest[]> {
  const requests: SampleRequest[] = []
  const roots = bundles.flatMap(bundle => bundle.store.roots())
  const image = namedRoots(roots).find(
    ({ reference, kind }) => reference?.tag !== undefined && kind === 'image',
  )
  if (image?.reference !== undefined) {
    const { host, repository, tag } = image.reference
    const headers = { accept: image.root.mediaType }
    const url = `http://${registry}/v2/${repository}/manifests/${tag}?ns=${encodeURIComponent(host)}`
    requests.push({ url, headers, expected: image.root })
  }
  for (const { store } of bundles) {
    for (const tree of treesOf(store.roots())) {
      if (!isServed(tree.name)) continue
      const smallest = await smallestFile(store, tree)
      if (smallest === undefined) continue
      const path = smallest.path.split('/').map(encodeURIComponent).join('/')
      requests.push({ url: `${httpServer}/${tree.name}/${path}`, expected: smallest.descriptor })
    }
  }
  return requests
}

async function smallestFile(
  store: OpenBundle['store'],
  { name, roots }: Tree,
): Promise<{ path: string; descriptor: Descriptor } | undefined> {
  let smallest: { path: string; descriptor: Descriptor } | undefined
  for (const [path, { descriptor, mode }] of await readTree(store, roots)) {
    if (mode === '120000' || (name !== 'files' && !/\.(?:deb|rpm|whl)$/.test(path))) continue
    if (smallest === undefined || descriptor.size < smallest.descriptor.size) smallest = { path, descriptor }
  }
  return smallest
}
