import { z } from 'zod'
import { digestSchema, sizeSchema } from '../../lock/schema.ts'

const blobSchema = z.strictObject({
  mediaType: z.string(),
  digest: digestSchema,
  size: sizeSchema,
  /** a foreign layer is fetched from here */
  urls: z.array(z.string()).optional(),
})

export const lockedImageSchema = z.strictObject({
  /** the reference it is deployed under, with tag or digest */
  name: z.string(),
  /** host/repository it is fetched from */
  from: z.string(),
  digest: digestSchema,
  /** os/architecture of what is carried; empty where the publisher names none */
  platforms: z.array(z.string()),
  /** the root first, then the children carried and referrers; raw bytes, never printed again */
  manifests: z.array(blobSchema.omit({ urls: true })).min(1),
  /** configs and layers */
  blobs: z.array(blobSchema),
  /** roots among `manifests` that refer to this image: signatures, SBOMs */
  referrers: z.array(digestSchema).optional(),
})
export type LockedImage = z.infer<typeof lockedImageSchema>
