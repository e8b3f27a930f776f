import { z } from 'zod'
import { nameField, platformField, sha256Field, textField, versionField } from '../document/fields.ts'
import { entrySchemas } from '../kinds/index.ts'

/** The stack manifest as a person writes it (YAML). Strict: an unknown key is a mistake. Paths are relative to the manifest. */

/** Releases that the site runs: rendered to find every image that they use. */
const deploymentSchema = z.strictObject({
  /** a helmfile */
  helmfile: textField,
  environments: z.array(nameField).min(1),
  /** values files that replace what only a site knows (passwords, addresses), so that everything renders */
  values: z.array(textField).default([]),
})

/** A finding of `airgap images` that is known and intended. */
const excuseSchema = z.strictObject({
  /** an image, or a URL */
  name: textField,
  reason: textField,
})

const sourceSchema = z.strictObject({
  /** a registry host, host/repository prefix or URL prefix */
  from: textField,
  /** places tried in order; `http://` where a registry speaks plain HTTP */
  to: z.array(textField).min(1),
})

/** What is carried: a list for each kind. */
const content = { ...entrySchemas, excuses: z.array(excuseSchema).default([]) }

export const manifestSchema = z.strictObject({
  apiVersion: z.literal('airgap/v1'),
  name: nameField,
  version: versionField,
  platforms: z.array(platformField).min(1).default(['linux/amd64']),
  sources: z.array(sourceSchema).default([]),
  ...content,
  /** what is also carried on request: `airgap lock --with NAME` */
  variants: z
    .record(
      nameField,
      z.strictObject({ description: textField, platforms: z.array(platformField).default([]), ...content }),
    )
    .default({}),
  deployments: z.array(deploymentSchema).default([]),
  /** component → version, where no image, chart or wheel has it: for the rules of compatibility.yaml */
  versions: z.record(nameField, textField).default({}),
  /** a file of compatibility rules */
  compatibility: textField.optional(),
  /** repository path on the site → upstream host that answers there, where two upstreams collide */
  collisions: z.record(textField, textField).default({}),
  /** content whose publisher gives no checksum */
  firstUse: z.enum(['allow', 'refuse']).default('allow'),
})
export type ManifestDocument = z.infer<typeof manifestSchema>

/** A file of mirrors, separate from the manifest: the bundle does not depend on it. */
export const overlaySchema = z.strictObject({
  apiVersion: z.literal('airgap/v1').optional(),
  sources: z.array(sourceSchema),
})

/**
 * A layer for rehearsals: an upstream of one's own under the publishers' names. What is locked with it is marked, and no site
 * accepts it as the publishers' content.
 */
export const testLayerSchema = z.strictObject({
  apiVersion: z.literal('airgap/v1'),
  /** required, so that no other file is used as a test layer by mistake */
  testUpstream: z.literal(true),
  sources: z.array(sourceSchema).default([]),
  /** URL of a file → sha256 of the test upstream's file */
  checksums: z.record(z.string(), sha256Field).default({}),
})
