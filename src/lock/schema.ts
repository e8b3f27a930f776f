import { z } from 'zod'
import type { Digest } from '../core/digest.ts'
import type { LeftOut } from './left-out.ts'

/** The lockfile: the exact content of one bundle. Canonical JSON, reviewed in git. */

export const digestSchema = z.templateLiteral([
  'sha256:',
  z.string().regex(/^[0-9a-f]{64}$/),
]) satisfies z.ZodType<Digest>
export const sizeSchema = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)

/** The common part of every kind's items; the schema of the kind adds the rest. */
export interface LockItem {
  /** unique in its kind; items are sorted by it */
  name: string
  leftOut?: LeftOut[] | undefined
  [key: string]: unknown
}

/** A file of the tool itself that every bundle carries. */
export const runtimeFileSchema = z.strictObject({
  /** path in the tar, and name in the tool's installation */
  path: z.string(),
  mode: z.union([z.literal(0o644), z.literal(0o755)]),
  digest: digestSchema,
  size: sizeSchema,
  /** of the program; absent where it is unknown */
  version: z.string().min(1).max(100).optional(),
})
export type RuntimeFile = z.infer<typeof runtimeFileSchema>

const word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.+~_-]{0,62}$/, 'must be letters, digits and . + ~ _ -')

/** What one package entry takes from the machines of the site (`airgap lock --site`). */
const siteFactsSchema = z.strictObject({
  /** name of the entry: `ubuntu-22.04` */
  entry: word,
  /** releases of the kernels that run on them */
  kernels: z.array(word),
  /** packages that all of its machines have: not carried */
  base: z.array(z.strictObject({ name: z.string(), version: z.string(), architecture: z.string() })),
})
export type SiteFacts = z.infer<typeof siteFactsSchema>

export const lockSchema = z.strictObject({
  lockVersion: z.literal(1),
  /** name and version form the default file name of the bundle */
  name: word,
  version: word,
  platforms: z.array(z.string()),
  /** digest of what the manifest requests; if it differs, the lock is out of date */
  inputs: digestSchema,
  collisions: z.record(z.string(), z.string()),
  /** compatibility rules, and the versions for which they were checked: the site checks them again */
  compatibility: z
    .strictObject({ rules: z.looseObject({}), versions: z.record(z.string(), z.string()) })
    .optional(),
  /** made with a test's upstream: not the content of the publishers */
  testUpstream: z.literal(true).optional(),
  /** selected variants of the manifest; absent: none */
  variants: z.array(word).optional(),
  /** made for these machines; absent: for any */
  site: z.array(siteFactsSchema).optional(),
  runtime: z.array(runtimeFileSchema),
  /** kind → its items; each kind checks its own */
  items: z.record(z.string(), z.array(z.looseObject({ name: z.string() }))),
})
export type Lock = z.infer<typeof lockSchema>
