import type { TreeEntries } from '../content/tree.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { encodePath } from '../core/safe-path.ts'
import type { SiteMount } from '../kinds/mount.ts'
import type { NamedRoot } from './images.ts'

/** A request that clients of the site will send, and what the answer has to be. */
export interface SampleRequest {
  url: string
  headers?: Record<string, string>
  /** undefined: any answer with status 200 */
  expected?: Descriptor
}

/**
 * One manifest as containerd requests it through a mirror; of an image, or of anything else that the registry has. `registryUrl` has no
 * slash at the end.
 */
export function registryRequests(named: readonly NamedRoot[], registryUrl: string): SampleRequest[] {
  const tagged = named.filter(({ reference }) => reference?.tag !== undefined)
  const found = tagged.find(({ kind }) => kind === 'image') ?? tagged[0]
  if (found?.reference === undefined) return []
  const { host, repository, tag } = found.reference
  return [
    {
      url: `${registryUrl}/v2/${repository}/manifests/${tag}?ns=${encodeURIComponent(host)}`,
      headers: { accept: found.root.mediaType },
      expected: found.root,
    },
  ]
}

/** Of each folder that is served: the smallest file, a document that the site generates, and a service. */
export function httpRequests(mounts: readonly SiteMount[], httpServer: string): SampleRequest[] {
  return mounts
    .filter(({ prefix }) => prefix !== '/')
    .flatMap(({ prefix, entries, generated, pages, services }) => {
      const urlOf = (path: string) => `${httpServer}${encodePath(`${prefix}/${path}`)}`
      const smallest = smallestFile(entries ?? new Map(), generated)
      const [document] = generated?.keys() ?? []
      const [page] = pages?.keys() ?? []
      const service = [...(services ?? [])].find(([, { sample }]) => sample !== undefined)
      return [
        ...(smallest === undefined ? [] : [{ url: urlOf(smallest.path), expected: smallest.descriptor }]),
        ...(document === undefined ? [] : [{ url: urlOf(document) }]),
        ...(page === undefined ? [] : [{ url: `${urlOf(page)}/` }]),
        ...(service === undefined ? [] : [{ url: `${urlOf(service[0])}?${service[1].sample}` }]),
      ]
    })
}

function smallestFile(
  entries: TreeEntries,
  generated: SiteMount['generated'],
): { path: string; descriptor: Descriptor } | undefined {
  let smallest: { path: string; descriptor: Descriptor } | undefined
  for (const [path, { descriptor, mode }] of entries) {
    if (mode === '120000' || generated?.has(path)) continue
    if (smallest === undefined || descriptor.size < smallest.descriptor.size) smallest = { path, descriptor }
  }
  return smallest
}
