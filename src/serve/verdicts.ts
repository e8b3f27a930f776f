import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'

/**
 * What is known of the content: that it was read whole and is right, or that it is damaged. A verdict is about one state of the file that
 * the content is in (`ContentFile.state`): content of a file that was written to since is unknown again.
 *
 * A sender takes the state from the handle that it reads itself, before and after each read. Another process may give the verdict, on a
 * handle of its own: equal states name the same file (device and inode) with the same times.
 */
export interface Verdicts {
  /**
   * Returns whether the whole content was found to be right in this state. Throws the damage that was found in this state lately
   * (DIGEST_MISMATCH, SIZE_MISMATCH, BUNDLE_CORRUPT): then nothing of the content may be sent. Called once for each answer.
   */
  known(content: Descriptor, state: string): boolean | Promise<boolean>
  /**
   * Resolves once the whole content was read in this state and is right; reads it if nobody has. One read serves all who wait for the same
   * content, and ends when the last of them leaves by its signal. Throws the damage (DIGEST_MISMATCH, SIZE_MISMATCH, BUNDLE_CORRUPT), IO
   * where it cannot be read or the file was written to in the meantime, and the reason of `signal`.
   */
  verified(content: Descriptor, options: { state: string; signal: AbortSignal }): Promise<void>
  /** Remembers what a sender has found itself; an error that is no damage (an unplugged medium may be back at once) is ignored. */
  noteDamage(content: Descriptor, found: { state: string; error: unknown }): void
}

/** The error of an answer that was in flight while somebody wrote to the file. */
export function writtenTo({ digest }: Descriptor): AirgapError {
  return new AirgapError('IO', 'the bundle was written to while it was served', {
    item: digest,
    likely: 'another program copies a bundle to this path, or changes this one',
    next: 'make sure that nothing else writes there, then run `offline-deploy verify` on the bundle; the client may try again',
  })
}
