import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import type { ProcessLink } from './process-link.ts'
import { type ErrorData, errorData, errorOf } from './process-messages.ts'
import type { Verdicts } from './verdicts.ts'

/** Content as it is named to the supervisor. */
export interface NamedContent {
  content: Pick<Descriptor, 'digest' | 'size' | 'mediaType'>
  state: string
}

/** Names of what a process asks the supervisor, and of what both tell each other. */
export const verdictMessages = { known: 'known', verified: 'verified', damage: 'damage' } as const

/** of a file; more are asked for again */
const maxRight = 100_000

/**
 * Verdicts of the supervisor, in a serving process. What is known to be right in the present state of its file is remembered, so that an
 * answer costs no message; damage that any process finds is forgotten here, too.
 */
export function remoteVerdicts(link: Pick<ProcessLink, 'ask' | 'tell' | 'onNotice'>): Verdicts {
  /** device and inode → what is right in a state */
  const files = new Map<string, { state: string; right: Set<Digest> }>()

  function rightIn(state: string): Set<Digest> {
    const file = state.slice(0, Math.max(0, state.indexOf(' ')))
    const found = files.get(file)
    if (found?.state === state) return found.right
    const right = new Set<Digest>()
    files.set(file, { state, right })
    return right
  }

  function forget({ digest }: { digest: Digest }): void {
    for (const { right } of files.values()) right.delete(digest)
  }

  link.onNotice((what, value) => {
    if (what === verdictMessages.damage) forget((value as NamedContent).content)
  })

  async function ask({ content, state }: NamedContent): Promise<boolean> {
    const right = rightIn(state)
    if (!(await link.ask(verdictMessages.known, { content, state }))) return false
    if (right.size >= maxRight) right.clear()
    right.add(content.digest)
    return true
  }

  return {
    known: (content, state) => rightIn(state).has(content.digest) || ask({ content: named(content), state }),
    // a verdict may hold only for those who wait now: `known` says so
    async verified(content, { state, signal }) {
      await link.ask(verdictMessages.verified, { content: named(content), state }, signal)
    },
    noteDamage(content, { state, error }) {
      forget(content)
      link.tell(verdictMessages.damage, { content: named(content), state, error: errorData(error) })
    },
  }
}

/** Answers the questions of `remoteVerdicts`; undefined for others. */
export function answerVerdicts(
  verdicts: Verdicts,
  { what, value, signal }: { what: string; value: unknown; signal: AbortSignal },
): Promise<boolean> | undefined {
  if (what === verdictMessages.known) return isKnown(verdicts, value as NamedContent)
  if (what === verdictMessages.verified) return isVerified(verdicts, { ...(value as NamedContent), signal })
  return undefined
}

async function isKnown(verdicts: Verdicts, { content, state }: NamedContent): Promise<boolean> {
  return await verdicts.known(content, state)
}

async function isVerified(
  verdicts: Verdicts,
  { content, state, signal }: NamedContent & { signal: AbortSignal },
): Promise<boolean> {
  await verdicts.verified(content, { state, signal })
  return true
}

/** Takes over damage that a process has found. */
export function noteRemoteDamage(verdicts: Verdicts, value: unknown): void {
  const { content, state, error } = value as NamedContent & { error: ErrorData }
  verdicts.noteDamage(content, { state, error: errorOf(error) })
}

function named({ digest, size, mediaType }: Descriptor): NamedContent['content'] {
  return { digest, size, mediaType }
}
