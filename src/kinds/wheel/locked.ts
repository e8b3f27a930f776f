import { z } from 'zod'
import { leftOutSchema } from '../../lock/left-out.ts'
import { sizeSchema } from '../../lock/schema.ts'

const word = z.string().min(1).max(1024)

const lockedDistributionSchema = z.strictObject({
  /** normalised (PEP 503) */
  project: word,
  version: word,
  filename: word,
  url: word,
  /** bytes */
  size: sizeSchema,
  /** hex */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  requiresPython: z.string().optional(),
  /** reason, possibly empty; only where a requirement pins this version (PEP 592) */
  yanked: z.string().optional(),
  /** requested by the manifest */
  requested: z.literal(true).optional(),
  /** project that pulled it in */
  because: word.optional(),
  /** `cp311-manylinux_2_28_x86_64`: the Pythons and platforms for which it was chosen */
  targets: z.array(word).min(1),
  /** core metadata (METADATA) verbatim; absent for a source distribution */
  metadata: z.string().optional(),
  /** no index has its digest: trusted on first use, while locking */
  firstUse: z.literal(true).optional(),
  /** a requirement has its hash */
  pinned: z.literal(true).optional(),
})
export type LockedDistribution = z.infer<typeof lockedDistributionSchema>

/** The closure of one entry's requirements. Sorted by project, version, filename. */
export const lockedWheelsSchema = z.strictObject({
  name: word,
  distributions: z.array(lockedDistributionSchema),
  leftOut: leftOutSchema.optional(),
})
export type LockedWheels = z.infer<typeof lockedWheelsSchema>
