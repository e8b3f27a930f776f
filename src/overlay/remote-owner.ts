import { AirgapError } from '../core/errors.ts'
import type { OverlayOwner } from './owner.ts'

/** What a serving process asks its supervisor: a call of the owner, and that its leases are ended when it ends. */
export const overlayMessages = { call: 'overlay', attend: 'overlay-attend' } as const

interface Call {
  name: keyof OverlayOwner
  argument: unknown
}

const calls: Record<keyof OverlayOwner, true> = {
  names: true,
  has: true,
  manifest: true,
  blob: true,
  tags: true,
  referrers: true,
  beginUpload: true,
  upload: true,
  leaseUpload: true,
  reserveUpload: true,
  releaseUpload: true,
  commitUpload: true,
  cancelUpload: true,
  releaseAll: true,
  mount: true,
  linkBundleBlob: true,
  putManifest: true,
  deleteTag: true,
  deleteManifest: true,
  deleteBlob: true,
}

/** Asks the supervisor; the answer is JSON. */
type Ask = (what: string, value: unknown) => Promise<unknown>

/** The owner in another process. */
export function remoteOwner(ask: Ask): OverlayOwner {
  const names = Object.keys(calls) as (keyof OverlayOwner)[]
  const proxies = names.map(name => [
    name,
    (argument: unknown) => ask(overlayMessages.call, { name, argument } satisfies Call),
  ])
  return Object.fromEntries(proxies) as OverlayOwner
}

/** Lets the owner know when this process ends, however it ends. */
export function attend(ask: Ask, holder: string): void {
  ask(overlayMessages.attend, holder).catch(() => {})
}

/** Answers the questions of a serving process; undefined for others. */
export function answerOverlay(
  owner: OverlayOwner,
  { what, value, signal }: { what: string; value: unknown; signal: AbortSignal },
): Promise<unknown> | undefined {
  if (what === overlayMessages.attend) return untilEnded(owner, { holder: String(value), signal })
  if (what !== overlayMessages.call) return undefined
  const { name, argument } = value as Call
  if (!Object.hasOwn(calls, name))
    throw new AirgapError('INTERNAL', 'the overlay has no such call', { item: String(name) })
  return (owner[name] as (argument: unknown) => Promise<unknown>)(argument)
}

/** The question is aborted when the process that asks has ended. */
async function untilEnded(
  owner: OverlayOwner,
  { holder, signal }: { holder: string; signal: AbortSignal },
): Promise<void> {
  if (!signal.aborted)
    await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
  await owner.releaseAll({ holder })
}
