import { z } from 'zod'
import { digestSchema, sizeSchema } from '../../lock/schema.ts'
import { lockedSecretsSchema } from '../declared-secrets.ts'
import { isRefName } from './ref.ts'
import { relativeTo } from './url.ts'

const objectId = z.string().regex(/^[0-9a-f]{40}$/)
const fileSchema = z.strictObject({ digest: digestSchema, size: sizeSchema })

/** A pack (gitformat-pack(5)) that this tool wrote, and its index. */
const packSchema = z.strictObject({
  /** SHA-1 of its content: the file is pack-ID.pack */
  id: objectId,
  objects: z.number().int().positive().max(0xffff_ffff),
  ...fileSchema.shape,
  index: fileSchema,
})
export type LockedPack = z.infer<typeof packSchema>

/** A path under /git: no empty part, no `.` or `..`. */
const servedName = z
  .string()
  .max(1000)
  .refine(name => relativeTo([], name)?.join('/') === name && !/[\u0000-\u001f\u007f\\]/.test(name))

const repositoryFields = {
  name: servedName,
  url: z.string(),
  /** `refs/heads/main`, `refs/tags/v1`; absent where a commit was requested */
  ref: z
    .string()
    .refine(ref => /^refs\/(?:heads|tags)\//.test(ref) && isRefName(ref))
    .optional(),
  commit: objectId,
  /** of an annotated tag: the tag object */
  tag: objectId.optional(),
  history: z.enum(['shallow', 'full']),
  /** the commit has parents that are not carried */
  cut: z.literal(true).optional(),
  /** objects of the commit itself first; then those of its ancestors */
  packs: z.array(packSchema).min(1).max(2),
}

export const lockedGitSchema = z.strictObject({
  ...repositoryFields,
  /** files of the commit that are pointers of Git LFS: what they point to is not carried */
  lfsPointers: z.number().int().positive().optional(),
  /** sorted by path; those of submodules included */
  submodules: z.array(z.strictObject({ ...repositoryFields, path: z.string() })).optional(),
  /** files of the commit that look like secrets, declared in the manifest; absent: none */
  secrets: lockedSecretsSchema.optional(),
})
export type LockedGit = z.infer<typeof lockedGitSchema>
export type LockedRepository = Omit<LockedGit, 'submodules' | 'lfsPointers' | 'secrets'>
