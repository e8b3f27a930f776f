import type { Digest } from '../../core/digest.ts'
import type { Step, StepContext } from '../step.ts'

/** A file as it was when it was last read whole; another one has to be read again. */
export interface BundleFile {
  path: string
  /** digest of its index.json, which vouches for all content */
  indexDigest: Digest
  /** bytes */
  size: number
  /** whole milliseconds since 1970 */
  mtimeMs: number
}

/** A bundle that is open: what is verified is the file that the steps read, not the one that its path leads to by now. */
export interface VerifiableBundle extends BundleFile {
  verify(context: StepContext): Promise<unknown>
}

/**
 * Reads every byte of the bundles. A good bundle is remembered by digest, size and time of change, so that a second `apply`
 * does not read it again; a flaw of the medium that comes later is met while serving, where each blob is verified as well.
 */
export function verifyStep({ bundles }: { bundles: readonly VerifiableBundle[] }): Step {
  return {
    id: 'verify',
    title: 'check every byte of the bundle',
    needs: [],
    inputs: bundles.map(({ indexDigest, size, mtimeMs }) => ({ indexDigest, size, mtimeMs })),
    describe: async () =>
      bundles.map(
        ({ path, size, indexDigest }) =>
          `read ${path} (${size} bytes, ${indexDigest}) once; skipped next time while size and time of change stay the same`,
      ),
    check: async () => 'done',
    async apply(context) {
      for (const { verify } of bundles) await verify(context)
    },
  }
}
