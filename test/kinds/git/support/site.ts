import { Readable } from 'node:stream'
import { onTestFinished } from 'vitest'
import { MemoryStore } from '../../../../src/content/memory-store.ts'
import { canonicalJson } from '../../../../src/core/canonical-json.ts'
import { digestOf } from '../../../../src/core/digest.ts'
import { assembleGit } from '../../../../src/kinds/git/assemble.ts'
import type { LockedGit } from '../../../../src/kinds/git/locked.ts'
import type { SiteContent } from '../../../../src/site/content.ts'
import type { SiteKey } from '../../../../src/site/site-key.ts'
import { type ServedSite, serveSite } from '../../../site/support/served-site.ts'
import type { TestContext } from '../../support/context.ts'

/** A bundle with these repositories, in memory. */
export async function bundleOf(items: LockedGit[], { cache }: TestContext): Promise<SiteContent> {
  const artifacts = assembleGit(items)
  const store = new MemoryStore()
  for (const { inline, blobs } of artifacts) {
    for (const { descriptor, bytes } of inline) await store.push(descriptor, Readable.from([bytes]))
    for (const { descriptor } of blobs) await store.push(descriptor, await cache.open(descriptor))
  }
  const roots = artifacts.map(({ root }) => root)
  return Object.assign(store, { roots: () => roots, indexDigest: digestOf(canonicalJson(roots)) })
}

/** A site on loopback, until the test ends. */
export async function serveContents(contents: SiteContent[], key: SiteKey): Promise<ServedSite> {
  const site = await serveSite(contents, key)
  onTestFinished(() => site[Symbol.asyncDispose]())
  return site
}
