import type { Digest } from '../../core/digest.ts'
import type { Step, StepContext } from '../step.ts'

/** A file as it was when it was last read whole; a changed one has to be read again. */
export interface BundleFile {
  path: string
  /** digest of its index.json, from which all content can be verified */
  indexDigest: Digest
  /** bytes */
  size: number
  /** of its files when they were opened: size and times, but not device and inode (core/file-state.ts) */
  state: string
}

/** An open bundle: the file that is verified is the file that the steps read, whatever its path leads to later. */
export interface VerifiableBundle extends BundleFile {
  verify(context: StepContext): Promise<unknown>
}

/**
 * Reads every byte of the bundles. A good bundle is recorded by digest, size and times, so that the next `apply` does not
 * read it again; later damage of the medium is noticed while serving, where each blob is verified as well.
 */
export function verifyStep({ bundles }: { bundles: readonly VerifiableBundle[] }): Step {
  return {
    id: 'verify',
    title: 'Verify every byte of the bundle',
    needs: [],
    inputs: bundles.map(({ indexDigest, state }) => ({ indexDigest, state })),
    describe: async () =>
      bundles.map(
        ({ path, size, indexDigest }) =>
          `read ${path} (${size} bytes, ${indexDigest}); skipped next time if its size and times are the same`,
      ),
    check: async () => 'done',
    async apply(context) {
      for (const { verify } of bundles) await verify(context)
    },
  }
}
