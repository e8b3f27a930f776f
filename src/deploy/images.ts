import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { acquireProcessLock } from '../core/process-lock.ts'
import { type PushedImage, parseImageName, pushedImages } from '../overlay/images.ts'
import { type OpenOverlay, openOverlay } from '../overlay/overlay.ts'
import type { PrunePolicy } from '../overlay/prune.ts'
import type { Removed, RemovedImages } from '../overlay/remove-images.ts'
import { requestControl } from '../serve/control-socket.ts'
import type { SiteState } from '../site/state.ts'
import type { DeployContext } from './context.ts'
import { openBundles } from './open-bundles.ts'
import { serversPaths } from './service-record.ts'
import { existingSite, findSite } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

/** What was pushed to the site's registry. */
export interface ListedImages {
  site: string
  images: PushedImage[]
  /** names of repositories whose files cannot be read */
  unreadable: string[]
}

export interface ChangedImages extends Removed {
  site: string
  /** false with a dry run, or where nothing was to be removed */
  removed: boolean
}

/** What is removed; ages in ms. */
export type ImageChoice =
  | { references: readonly string[] }
  | (Pick<PrunePolicy, 'keep' | 'match'> & { olderThanMs?: number; untagged?: boolean })

export interface RemovalRun {
  /** content that was pushed or looked up so recently stays: a push may need it */
  graceMs: number
  dryRun: boolean
  confirm: (what: Removed) => Promise<void>
}

/** Throws FILE_NOT_FOUND where nothing is set up. */
export async function listImages(options: SiteOptions): Promise<ListedImages> {
  const { siteFolder, state } = await existingSite(options)
  return { site: siteFolder, ...(await pushedImages((await serversPaths(state.paths)).overlay)) }
}

/**
 * Removes pushed images, and content that nothing refers to any more, with the running servers or without. Never removes what a bundle holds.
 * Throws USAGE, NOT_FOUND, PERMISSION, BUSY, IO.
 */
export async function removePushed(
  options: SiteOptions,
  context: DeployContext,
  { choice, graceMs, dryRun, confirm }: RemovalRun & { choice: ImageChoice },
): Promise<ChangedImages> {
  const { siteFolder, state } = await existingSite(options)
  const now = context.now().getTime()
  const wanted = { chosen: chosenOf(choice, { now, graceMs }), before: now - graceMs }
  const ask = (how: Pick<RemovedImages, 'dryRun'>) => askOwner({ ...wanted, ...how }, { state, context })
  const preview = await ask({ dryRun: true })
  const { tags, manifests, content } = preview
  if (dryRun || tags.length + manifests.length + content.blobs === 0)
    return { site: siteFolder, removed: false, ...preview }
  await confirm(preview)
  return { site: siteFolder, removed: true, ...(await ask({ dryRun: false })) }
}

function chosenOf(
  choice: ImageChoice,
  { now, graceMs }: { now: number; graceMs: number },
): RemovedImages['chosen'] {
  if ('references' in choice) return { named: choice.references.map(parseImageName) }
  const { keep, match, olderThanMs, untagged } = choice
  const policy: PrunePolicy = {}
  if (keep !== undefined) policy.keep = keep
  if (match !== undefined) policy.match = match
  if (olderThanMs !== undefined) policy.before = now - olderThanMs
  // what was pushed a moment ago may get its tag or its index next
  if (untagged) policy.untaggedBefore = now - Math.max(graceMs, olderThanMs ?? 0)
  return { policy }
}

type Request = Omit<RemovedImages, 'isHeld'>

/** The process that owns the overlay: the running servers, else this one. */
async function askOwner(
  request: Request,
  { state, context }: { state: SiteState; context: DeployContext },
): Promise<Removed> {
  const paths = await serversPaths(state.paths)
  const answer = await requestControl(paths.control, { what: 'images', value: request }, context.signal)
  if (answer !== undefined) return answer.value as Removed
  if (!existsSync(paths.overlay)) return await withoutOverlay(request)
  await using _lock = await acquireProcessLock(paths.serveLock, `${state.folder}: the servers of this site`)
  await refuseOtherUser(paths.overlay)
  const isHeld = await heldByBundles(state, context)
  const overlay = await openOverlay(paths.overlay, { now: () => context.now().getTime() })
  try {
    return await overlay.removeImages({ ...request, isHeld })
  } finally {
    await overlay.close()
  }
}

/** Answers the requests of these commands in the process of the servers. */
export function imageRequests(
  overlay: Pick<OpenOverlay, 'removeImages'>,
  blobs: () => Iterable<{ digest: Digest }>,
): (request: unknown) => Promise<Removed> {
  return async request => {
    const held = new Set<Digest>()
    for (const { digest } of blobs()) held.add(digest)
    return await overlay.removeImages({ ...(request as Request), isHeld: digest => held.has(digest) })
  }
}

/** Nothing was pushed yet. */
async function withoutOverlay({ chosen }: Request): Promise<Removed> {
  const [first] = 'named' in chosen ? chosen.named : []
  if (first !== undefined)
    throw new AirgapError('NOT_FOUND', 'nothing was pushed to this site yet', {
      item: first.text,
      likely: 'a bundle holds it: that can be removed with its bundle only',
      next: 'run `offline-deploy images list`',
    })
  return { tags: [], manifests: [], content: { blobs: 0, bytes: 0, recent: { blobs: 0, bytes: 0 } } }
}

/** Files that root wrote could not be read by the servers later. */
async function refuseOtherUser(folder: string): Promise<void> {
  const { uid } = await stat(folder)
  if (process.getuid?.() === uid) return
  throw new AirgapError(
    'PERMISSION',
    'the pushed images belong to another user, and the servers do not run',
    {
      item: `${folder}: user ${uid}`,
      next: `start the servers, or run the same command as that user: sudo -u '#${uid}' offline-deploy images …`,
    },
  )
}

/** What is attached to content of a bundle stays; where a bundle cannot be read, all that is attached to something. */
async function heldByBundles(state: SiteState, { now }: DeployContext): Promise<(digest: Digest) => boolean> {
  const { saved } = await findSite({ site: state.folder })
  if (saved === undefined) return () => true
  try {
    await using opened = await openBundles(saved.bundles, {
      siteFolder: state.folder,
      expect: [],
      unknown: 'opened',
      now: now(),
    })
    const held = new Set(opened.bundles.flatMap(({ store }) => store.blobs().map(({ digest }) => digest)))
    return digest => held.has(digest)
  } catch {
    return () => true
  }
}
