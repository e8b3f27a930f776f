import { randomBytes } from 'node:crypto'
import { rm, stat, writeFile } from 'node:fs/promises'
import { errnoOf, isErrorCode } from '../core/errors.ts'
import type { OverlayFolder } from './overlay-folder.ts'

/** Space that is kept for removing: that writes an index or a line first, and on a full disk nothing could be removed otherwise. */
export interface Reserve {
  /** Runs the work, and again with the space of the reserve where the disk is full. */
  withSpace<T>(work: () => Promise<T>): Promise<T>
}

/** of an index with 4,000 tags */
const reserveSize = 1 << 20 /* bytes */

/** Makes the reserve where there is none, if there is space. */
export async function openReserve({ reserve }: Pick<OverlayFolder, 'reserve'>): Promise<Reserve> {
  /** no other run may take the space back before the work has ended */
  let users = 0

  async function fill(): Promise<void> {
    const found = await stat(reserve).catch(() => undefined)
    if (found?.size === reserveSize) return
    // not zeros, which some file systems do not store
    await writeFile(reserve, randomBytes(reserveSize), { mode: 0o600 }).catch(() =>
      rm(reserve, { force: true }).catch(() => {}),
    )
  }

  await fill()
  return {
    async withSpace(work) {
      try {
        return await work()
      } catch (error) {
        if (errnoOf(error) !== 'ENOSPC' && errnoOf(error) !== 'EDQUOT' && !isErrorCode(error, 'NO_SPACE'))
          throw error
        users++
        await rm(reserve, { force: true })
        try {
          return await work()
        } finally {
          users--
          if (users === 0) await fill()
        }
      }
    },
  }
}
