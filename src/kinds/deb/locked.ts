import { z } from 'zod'
import { leftOutSchema } from '../../lock/left-out.ts'
import { sizeSchema } from '../../lock/schema.ts'

const word = z.string().min(1).max(1024)

const lockedDebSchema = z.strictObject({
  name: word,
  version: word,
  /** as the stanza says it: `amd64`, `all` */
  architecture: word,
  /** index into `sources` */
  source: z.number().int().nonnegative(),
  /** absent where the repository is flat */
  component: word.optional(),
  /** path under the archive, as upstream's `Filename` without a leading `./` */
  filename: word,
  /** bytes */
  size: sizeSchema,
  /** hex */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** the manifest requests it by name */
  requested: z.literal(true).optional(),
  /** name of the package that pulled it in */
  because: word.optional(),
  /** upstream's stanza word for word, one line per entry */
  stanza: z.array(z.string()),
})
export type LockedDeb = z.infer<typeof lockedDebSchema>

const lockedSourceSchema = z.strictObject({
  archive: word,
  /** a folder with a slash at its end where the repository is flat */
  suite: word,
  components: z.array(word),
  /** fields of upstream's Release that apt's preferences look at: `Origin`, `Suite`, `NotAutomatic`, … */
  release: z.record(z.string(), z.string()),
  /** fingerprint of the key that signed the suite; absent in locks of older versions */
  signedBy: word.optional(),
})
export type LockedSource = z.infer<typeof lockedSourceSchema>

/** The suites of one OS release with the closure of the requested packages. Packages are sorted by name, version, architecture. */
export const lockedDebsSchema = z.strictObject({
  name: word,
  architectures: z.array(word).min(1),
  foreignArchitectures: z.array(word).optional(),
  /** what the machines are taken to have, and how many packages of it the closure relies on */
  base: z.strictObject({ name: word, leftOut: z.number().int().nonnegative() }).optional(),
  sources: z.array(lockedSourceSchema).min(1),
  packages: z.array(lockedDebSchema),
  leftOut: leftOutSchema.optional(),
})
export type LockedDebs = z.infer<typeof lockedDebsSchema>
