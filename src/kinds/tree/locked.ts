import { z } from 'zod'
import { digestSchema, sizeSchema } from '../../lock/schema.ts'
import { lockedSecretsSchema } from '../declared-secrets.ts'

export const lockedTreeSchema = z.strictObject({
  name: z.string(),
  /** relative to the folder of the manifest */
  from: z.string(),
  files: z.array(
    z.union([
      z.strictObject({
        path: z.string(),
        mode: z.enum(['100644', '100755']),
        digest: digestSchema,
        size: sizeSchema,
      }),
      /** a symbolic link */
      z.strictObject({ path: z.string(), target: z.string() }),
    ]),
  ),
  /** files that look like secrets, declared in the manifest; absent: none */
  secrets: lockedSecretsSchema.optional(),
})
export type LockedTree = z.infer<typeof lockedTreeSchema>
