import { z } from 'zod'
import { leftOutSchema } from '../../lock/left-out.ts'
import { digestSchema, sizeSchema } from '../../lock/schema.ts'
import { signedBysSchema } from '../../oci-signatures/signed-by.ts'

const descriptorSchema = z.strictObject({ mediaType: z.string(), digest: digestSchema, size: sizeSchema })

export const lockedChartSchema = z.strictObject({
  /** NAME-VERSION, as helm names the archive */
  name: z.string(),
  chart: z.string(),
  version: z.string(),
  origin: z.discriminatedUnion('type', [
    /** of a classic repository: the archive's URL; the OCI manifest is ours */
    z.strictObject({ type: z.literal('http'), url: z.url({ protocol: /^https?$/ }) }),
    /** host/repository, and the publisher's own manifest */
    z.strictObject({
      type: z.literal('oci'),
      repository: z.string(),
      manifest: descriptorSchema,
      config: descriptorSchema,
    }),
  ]),
  /** Chart.yaml as JSON: the config blob of a chart */
  metadata: z.record(z.string(), z.json()),
  /** the archive, then provenance where there is one */
  layers: z.array(descriptorSchema).min(1),
  /** the manifest has its checksum */
  pinned: z.literal(true).optional(),
  /** the publisher's config does not have name and version, from which the site makes its index */
  foreignConfig: z.literal(true).optional(),
  /** its repository has no digest: trusted on first use */
  firstUse: z.literal(true).optional(),
  /** whose signatures the manifest required: checked when it was locked; sorted */
  signedBy: signedBysSchema.optional(),
  leftOut: leftOutSchema.optional(),
})
export type LockedChart = z.infer<typeof lockedChartSchema>
