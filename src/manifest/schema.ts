import { z } from 'zod'

/** The stack manifest as a person writes it (YAML). Strict: an unknown key is a mistake. Paths are relative to the manifest. */

const text = z.string().min(1).max(2048)
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits')
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be lower-case letters, digits, dot, dash or underscore')
const version = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.+~_-]{0,62}$/, 'must be a version such as 1.2.0')
const platform = z
  .string()
  .regex(/^[a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9]+)?$/, 'must be os/architecture, for example linux/amd64')

export const imageEntrySchema = z.union([
  text,
  z.strictObject({ list: text }),
  z.strictObject({
    /** the name it is deployed under */
    ref: text,
    /** host/repository[:tag] it is fetched from, where that is another place */
    from: text.optional(),
    platforms: z.array(platform).min(1).optional(),
    /** also carry what refers to it: signatures, SBOMs */
    referrers: z.boolean().optional(),
    foreignLayers: z.enum(['refuse', 'fetch']).optional(),
  }),
])

export const chartEntrySchema = z.strictObject({
  name,
  /** https://… with an index.yaml, or oci://host/path */
  repo: z.string().regex(/^(https?|oci):\/\//, 'must begin with https://, http:// or oci://'),
  version,
  sha256: sha256.optional(),
})

export const fileEntrySchema = z.strictObject({
  url: z.string().regex(/^https?:\/\//, 'must begin with https:// or http://'),
  sha256: sha256.optional(),
  /** path under /files; default: host and path of the URL */
  path: text.optional(),
  executable: z.boolean().optional(),
})

export const debEntrySchema = z.strictObject({
  /** folder under /debs, one per OS release */
  name,
  archive: z.string().regex(/^https?:\/\//, 'must begin with https:// or http://'),
  suite: text,
  components: z.array(text).min(1).default(['main']),
  architectures: z.array(name).min(1).default(['amd64']),
  /** OpenPGP public keys (armored or binary) that may sign the suite */
  keys: z.array(text).min(1),
  /** package names; `pkg=version` asks for one version */
  packages: z.array(text).default([]),
  /** files with one package a line */
  lists: z.array(text).default([]),
  recommends: z.boolean().default(false),
})

export const treeEntrySchema = z.strictObject({
  name,
  /** the folder to lay down as it is */
  from: text,
  /** paths or `*` patterns left out */
  exclude: z.array(text).default([]),
})

export const sourceEntrySchema = z.strictObject({
  /** a registry host, host/repository prefix or URL prefix */
  from: text,
  /** places tried in order; `http://` where a registry speaks plain HTTP */
  to: z.array(text).min(1),
})

export const manifestSchema = z.strictObject({
  apiVersion: z.literal('airgap/v1'),
  name,
  version,
  platforms: z.array(platform).min(1).default(['linux/amd64']),
  sources: z.array(sourceEntrySchema).default([]),
  images: z.array(imageEntrySchema).default([]),
  charts: z.array(chartEntrySchema).default([]),
  files: z.array(fileEntrySchema).default([]),
  debs: z.array(debEntrySchema).default([]),
  trees: z.array(treeEntrySchema).default([]),
  /** repository path on the site → upstream host that answers there, where two upstreams collide */
  collisions: z.record(text, text).default({}),
  /** what the publisher gives neither size nor checksum for */
  firstUse: z.enum(['allow', 'refuse']).default('allow'),
})
/** A file of mirrors, kept apart from the manifest: what a build is made of does not depend on it. */
export const overlaySchema = z.strictObject({
  apiVersion: z.literal('airgap/v1').optional(),
  sources: z.array(sourceEntrySchema),
})
export type ManifestDocument = z.infer<typeof manifestSchema>
