import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { digestSchema } from '../lock/schema.ts'
import { pathsOf } from '../site/state.ts'

/** `digest` is the one of index.json: it covers everything in the bundle, name and version included. */
const identitySchema = z.strictObject({
  name: z.string(),
  version: z.string(),
  digest: digestSchema,
  /** fingerprints of the site's keys that signed it, sorted; absent where it was trusted in another way */
  signedBy: z.array(z.string()).optional(),
})
export type BundleIdentity = z.infer<typeof identitySchema>

const recordSchema = z.strictObject({ bundles: z.array(identitySchema) })

/** The bundles that a site was ever set up with, or those it has installed: `paths.bundles` and `paths.installed` of its state. */
export async function readBundleRecord(path: string): Promise<BundleIdentity[]> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(path, 'utf8'))).bundles
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    if (!(error instanceof SyntaxError) && !(error instanceof z.ZodError)) throw fromSystemError(error, path)
    throw new AirgapError('JOURNAL_INVALID', 'the record of the site’s bundles cannot be read', {
      item: path,
      likely: 'it was edited, or written by a newer offline-deploy',
      next: 'delete it, and pass --expect DIGEST with the next command: the site no longer knows its bundles then',
      cause: error,
    })
  }
}

/** Enough for every version that a site ever has. */
const maxRecorded = 100

/**
 * Adds bundles that a site is set up with from now on. Those it was set up with before stay known: they were trusted, too. Not so
 * another build of the same version: the operator has replaced it by name (--expect), and a medium with the discarded build must be refused.
 */
export async function addToBundleRecord(path: string, bundles: readonly BundleIdentity[]): Promise<void> {
  const before = await readBundleRecord(path)
  const recorded = bundles.map(one => ({ ...signersIn(before, one), ...one }))
  const others = before.filter(
    one => !bundles.some(added => added.digest === one.digest || isSameVersion(added, one)),
  )
  await writeBundleRecord(path, [...others, ...recorded].slice(-maxRecorded))
}

/** Its signature files may be gone when it is installed again: it was signed all the same. */
function signersIn(
  before: readonly BundleIdentity[],
  { digest }: BundleIdentity,
): Pick<BundleIdentity, 'signedBy'> {
  return defined({ signedBy: before.find(one => one.digest === digest)?.signedBy })
}

function isSameVersion(one: BundleIdentity, other: BundleIdentity): boolean {
  return one.name === other.name && one.version === other.version
}

export async function writeBundleRecord(path: string, bundles: readonly BundleIdentity[]): Promise<void> {
  await writeAtomically(path, `${canonicalJson({ bundles }, 2)}\n`, 0o600)
}

/** Every bundle that the site knows; of an installed one that was rebuilt since, only the new build. Throws JOURNAL_INVALID. */
export async function knownBundles(siteFolder: string): Promise<BundleIdentity[]> {
  const paths = pathsOf(siteFolder)
  const bundles = await readBundleRecord(paths.bundles)
  const installed = await readBundleRecord(paths.installed)
  return [...bundles, ...installed.filter(one => !bundles.some(known => isSameVersion(known, one)))]
}
