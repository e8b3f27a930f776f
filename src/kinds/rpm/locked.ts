import { z } from 'zod'
import { leftOutSchema } from '../../lock/left-out.ts'
import { sizeSchema } from '../../lock/schema.ts'
import { textLinesSchema } from '../../lock/text-lines.ts'

const word = z.string().min(1).max(1024)

const lockedRpmSchema = z.strictObject({
  name: word,
  /** `0` where the package has none */
  epoch: word,
  version: word,
  release: word,
  /** as written in the package: `x86_64`, `noarch` */
  architecture: word,
  /** id of its repository */
  repository: word,
  /** path under the repository's folder, on the site and, unless `href` is present, upstream */
  location: word,
  /** where upstream has it: a complete URL (`xml:base`), or encoded and relative to the repository (`../x.rpm`) */
  href: z.string().min(1).max(8192).optional(),
  /** bytes */
  size: sizeSchema,
  /** hex */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** requested by the manifest */
  requested: z.literal(true).optional(),
  /** name of the package that pulled it in */
  because: word.optional(),
  /** fingerprint of the key that signed the package's header; absent where only the list is signed */
  signedBy: word.optional(),
  /** `<package …>…</package>` of upstream's primary.xml and filelists.xml, verbatim but for a location that the site has elsewhere */
  primary: textLinesSchema,
  filelists: textLinesSchema,
})
export type LockedRpm = z.infer<typeof lockedRpmSchema>

const lockedRepositorySchema = z.strictObject({
  id: word,
  /** one of the three; a list of mirrors is what the lock names: mirrors differ from place to place and from day to day */
  baseurl: word.optional(),
  mirrorlist: word.optional(),
  metalink: word.optional(),
  /** what may be in the URLs of a list of mirrors: `basearch` */
  variables: z.record(z.string(), z.string()).optional(),
  /** public keys of its publisher, armored: the site's machines verify packages with them */
  keys: z.array(textLinesSchema).min(1),
  /** repomd.xml was not signed by its publisher */
  unsignedMetadata: z.literal(true).optional(),
  /** packages are not signed by their publisher: the signed repomd.xml vouches for them */
  unsignedPackages: z.literal(true).optional(),
  /** with `unsignedPackages`: fingerprint of the key that signed repomd.xml */
  signedBy: word.optional(),
  priority: z.number().int(),
  moduleHotfixes: z.literal(true).optional(),
  /** documents of modules.yaml, verbatim: the carried streams, and the defaults of their modules */
  modules: z.array(textLinesSchema),
  /** `<group>` and `<environment>` elements of comps.xml, verbatim: the requested ones */
  groups: z.array(textLinesSchema),
})
export type LockedRepository = z.infer<typeof lockedRepositorySchema>

/** The repositories of one OS release with the closure of the requested packages. Sorted by name, version, architecture. */
export const lockedRpmsSchema = z.strictObject({
  name: word,
  architectures: z.array(word).min(1),
  /** `name:stream`, as the site's machines have to enable them */
  streams: z.array(word),
  repositories: z.array(lockedRepositorySchema).min(1),
  packages: z.array(lockedRpmSchema),
  leftOut: leftOutSchema.optional(),
})
export type LockedRpms = z.infer<typeof lockedRpmsSchema>
