import { fileOfState } from '../core/file-state.ts'
import type { OpenBundle, OpenBundles } from './open-bundles.ts'
import type { KeptVerdicts } from './site-verdicts.ts'

/** Bundles that stay open while any generation of the servers uses them. */
export interface HeldBundles {
  /**
   * Takes over bundles that were opened, and closes them once they are released. One that is held already, in the same file, is shared: what is
   * known of its content stays known.
   */
  hold(opened: Pick<OpenBundles, 'bundles'>): Promise<Holding>
}

export interface Holding {
  readonly bundles: readonly OpenBundle[]
  release(): Promise<void>
}

interface Held {
  bundle: OpenBundle
  /** device and inode */
  file: string
  holdings: number
  endVerdicts(): Promise<void>
}

export function holdBundles(verdicts: Pick<KeptVerdicts, 'add'>): HeldBundles {
  const all = new Set<Held>()

  async function holdOne(bundle: OpenBundle): Promise<Held> {
    try {
      const file = fileOfState(await bundle.store.state())
      const same = [...all].find(
        held => held.bundle.identity.digest === bundle.identity.digest && held.file === file,
      )
      if (same !== undefined) {
        same.holdings++
        await bundle.store.close()
        return same
      }
      const held = { bundle, file, holdings: 1, endVerdicts: await verdicts.add(bundle) }
      all.add(held)
      return held
    } catch (error) {
      await bundle.store.close()
      throw error
    }
  }

  async function release(held: Held): Promise<void> {
    held.holdings--
    if (held.holdings > 0) return
    all.delete(held)
    await held.endVerdicts()
    await held.bundle.store.close()
  }

  return {
    async hold(opened) {
      const holding: Held[] = []
      try {
        for (const bundle of opened.bundles) holding.push(await holdOne(bundle))
      } catch (error) {
        await Promise.all(holding.map(release))
        await Promise.all(opened.bundles.slice(holding.length + 1).map(({ store }) => store.close()))
        throw error
      }
      return {
        bundles: holding.map(({ bundle }) => bundle),
        async release() {
          await Promise.all(holding.splice(0).map(release))
        },
      }
    },
  }
}
