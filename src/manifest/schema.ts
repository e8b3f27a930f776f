import { z } from 'zod'
import { nameField, platformField, sha256Field, textField, versionField } from '../document/fields.ts'
import { entrySchemas } from '../kinds/index.ts'

/** The stack manifest as it is written (YAML). Strict: an unknown key is a mistake. Paths are relative to the manifest. */

/** Releases that the site runs, rendered to find every image that they use. */
const deploymentSchema = z.strictObject({
  /** a helmfile */
  helmfile: textField,
  environments: z.array(nameField).min(1),
  /** values files with placeholders for what only a site knows (passwords, addresses), so that everything renders */
  values: z.array(textField).default([]),
  /** APIs of the site's cluster that neither Kubernetes nor these releases provide, as charts check for them */
  apiVersions: z
    .array(
      z
        .string()
        .regex(
          /^[a-z0-9.-]+\/v[0-9][a-z0-9]*(?:\/[A-Za-z0-9]+)?$/,
          'must be GROUP/VERSION or GROUP/VERSION/KIND',
        ),
    )
    .default([]),
})

/** A finding of `airgap images` that is expected. */
const excuseSchema = z.strictObject({
  /** an image, or a URL */
  name: textField,
  reason: textField,
})

const sourceSchema = z.strictObject({
  /** a registry host, host/repository prefix or URL prefix */
  from: textField,
  /** tried in order; `http://` for a registry that uses plain HTTP */
  to: z.array(textField).min(1),
})

/** Signatures that images of a source need, checked while locking. The longest prefix applies. */
const signatureSchema = z
  .strictObject({
    /** a registry host or host/repository prefix */
    from: z
      .string()
      .max(300)
      .regex(
        /^(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:))(?::[0-9]{1,5})?(?:\/[a-z0-9._-]+)*$/,
        'must be a registry host or HOST/REPOSITORY, without a tag',
      ),
    /** PEM files of public keys */
    cosign: z.array(textField).min(1).max(32).optional(),
    keyless: z
      .strictObject({
        /** trusted_root.json of the sigstore instance */
        trustedRoot: textField,
        identities: z
          .array(z.strictObject({ identity: textField, issuer: textField }))
          .min(1)
          .max(32),
      })
      .optional(),
    notation: z
      .strictObject({
        /** PEM files of authorities */
        certificates: z.array(textField).min(1).max(32),
        /** as in notation's trust policy: `x509.subject: …`, or `*` */
        trustedIdentities: z.array(textField).min(1).max(32),
      })
      .optional(),
  })
  .refine(
    ({ cosign, keyless, notation }) => (cosign ?? keyless ?? notation) !== undefined,
    'must name the signers: cosign, keyless or notation',
  )

/** What the bundle carries: a list for each kind. */
const content = { ...entrySchemas, excuses: z.array(excuseSchema).default([]) }

export const manifestSchema = z.strictObject({
  apiVersion: z.literal('airgap/v1'),
  name: nameField,
  version: versionField,
  platforms: z.array(platformField).min(1).default(['linux/amd64']),
  sources: z.array(sourceSchema).default([]),
  signatures: z.array(signatureSchema).default([]),
  ...content,
  /** additional content, carried with `airgap lock --with NAME` */
  variants: z
    .record(
      nameField,
      z.strictObject({ description: textField, platforms: z.array(platformField).default([]), ...content }),
    )
    .default({}),
  deployments: z.array(deploymentSchema).default([]),
  /** component → version, for components without an image, chart or wheel: used by the compatibility rules */
  versions: z.record(nameField, textField).default({}),
  /** file of compatibility rules */
  compatibility: textField.optional(),
  /** files for people on site, beside the program: `tar xf BUNDLE.tar offline-deploy` brings them */
  guides: z.array(textField).default([]),
  /** repository path on the site → the upstream host that is served there, if two upstreams collide */
  collisions: z.record(textField, textField).default({}),
  /** content whose publisher provides no checksum */
  firstUse: z.enum(['allow', 'refuse']).default('allow'),
})
export type ManifestDocument = z.infer<typeof manifestSchema>

/** A file of mirrors, separate from the manifest because the bundle does not depend on mirrors. */
export const overlaySchema = z.strictObject({
  apiVersion: z.literal('airgap/v1').optional(),
  sources: z.array(sourceSchema),
})

/**
 * A test layer for rehearsals: a test upstream under the publishers' names. The lock is marked, and no site accepts its
 * content as the publishers'.
 */
export const testLayerSchema = z.strictObject({
  apiVersion: z.literal('airgap/v1'),
  /** required, so that no other file is used as a test layer by mistake */
  testUpstream: z.literal(true),
  sources: z.array(sourceSchema).default([]),
  /** URL of a file → sha256 of the test upstream's file */
  checksums: z.record(z.string(), sha256Field).default({}),
})
