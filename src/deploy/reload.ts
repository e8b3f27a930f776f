import { isDeepStrictEqual } from 'node:util'
import { defined } from '../core/defined.ts'
import type { Digest } from '../core/digest.ts'
import { readSiteConfig } from '../site/config.ts'
import { pathsOf } from '../site/state.ts'
import { knownBundles } from './bundle-record.ts'
import type { OpenBundle } from './open-bundles.ts'
import type { Setup } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

/**
 * Returns the options as they are at a reload. The bundles are those of the configuration, which commands change, if the servers were started
 * with these or nothing was configured then; otherwise those that the operator named for the servers alone.
 */
export async function followConfiguration(
  options: SiteOptions,
  { config: { bundles }, siteFolder }: Setup,
): Promise<() => Promise<SiteOptions>> {
  const saved = async () => (await readSiteConfig(pathsOf(siteFolder).config))?.bundles
  const before = await saved()
  const follows = before === undefined || isDeepStrictEqual(before, bundles)
  const { bundle: _, ...others } = options
  return async () => {
    const isConfigured = follows && (await saved()) !== undefined
    return { ...others, site: siteFolder, ...defined({ bundle: isConfigured ? undefined : bundles }) }
  }
}

/** Nobody confirms anything at a reload: it opens what the site was set up with, or what is served already, and nothing else. */
export async function acceptedDigests(siteFolder: string, served: readonly OpenBundle[]): Promise<Digest[]> {
  const known = await knownBundles(siteFolder)
  return [...known, ...served.map(({ identity }) => identity)].map(({ digest }) => digest)
}

/** Runs the work once at a time. A call while it runs has it run once more, for all who call until then: it sees what they changed. */
export function oneAtATime<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  let next: Promise<T> | undefined
  async function run(): Promise<T> {
    running = work()
    try {
      return await running
    } finally {
      running = undefined
    }
  }
  async function after(before: Promise<T>): Promise<T> {
    await before.catch(() => {})
    next = undefined
    return await run()
  }
  return () => {
    if (running === undefined) return run()
    next ??= after(running)
    return next
  }
}
