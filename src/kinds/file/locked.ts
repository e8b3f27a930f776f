import { z } from 'zod'
import { digestSchema, sizeSchema } from '../../lock/schema.ts'

export const lockedFileSchema = z.strictObject({
  /** path under /files */
  name: z.string(),
  url: z.url({ protocol: /^https?$/ }),
  digest: digestSchema,
  size: sizeSchema,
  executable: z.boolean(),
  /** the manifest has no checksum: trusted on first use, while locking */
  firstUse: z.literal(true).optional(),
})
export type LockedFile = z.infer<typeof lockedFileSchema>
