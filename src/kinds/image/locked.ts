import { z } from 'zod'
import { isTag, parseReference } from '../../core/reference.ts'
import { leftOutSchema } from '../../lock/left-out.ts'
import { digestSchema, sizeSchema } from '../../lock/schema.ts'
import { signedBysSchema } from '../../oci-signatures/signed-by.ts'

const blobSchema = z.strictObject({
  mediaType: z.string(),
  digest: digestSchema,
  size: sizeSchema,
  /** where a foreign layer is fetched from */
  urls: z.array(z.url({ protocol: /^https?$/ })).optional(),
})

const lockedImage = z.strictObject({
  /** the reference it is deployed under, with tag or digest */
  name: z.string().refine(isReference, 'not an image reference'),
  /** host/repository it is fetched from */
  from: z.string().refine(from => isReference(`${from}:x`), 'no host/repository'),
  digest: digestSchema,
  /** os/architecture of the carried images; empty where the publisher declares none */
  platforms: z.array(z.string()),
  /** the root first, then the carried children and referrers; raw bytes, never re-encoded */
  manifests: z.array(blobSchema.omit({ urls: true })).min(1),
  /** configs and layers */
  blobs: z.array(blobSchema),
  /** roots among `manifests` that refer to this image: signatures, SBOMs */
  referrers: z.array(digestSchema).optional(),
  /** tag → the referrer that is found by it instead of its subject: cosign 2's `sha256-HEX.sig` */
  referrerTags: z.record(z.string().refine(isTag, 'not a tag'), digestSchema).optional(),
  /** whose signatures the manifest required: checked when it was locked; sorted */
  signedBy: signedBysSchema.optional(),
  leftOut: leftOutSchema.optional(),
})
export type LockedImage = z.infer<typeof lockedImage>

export const lockedImageSchema = lockedImage
  .refine(
    ({ manifests, digest, referrers = [] }) =>
      [digest, ...referrers].every(root => manifests.some(manifest => manifest.digest === root)),
    { path: ['manifests'], message: 'the manifest of the image or of a referrer is not among them' },
  )
  .refine(
    ({ referrers = [], referrerTags = {} }) =>
      Object.values(referrerTags).every(digest => referrers.includes(digest)),
    { path: ['referrerTags'], message: 'a tag refers to what is not a referrer' },
  )

function isReference(text: string): boolean {
  try {
    parseReference(text)
    return true
  } catch {
    return false
  }
}
