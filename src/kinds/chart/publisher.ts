import { z } from 'zod'
import { type Component, namedLicense, namedSupplier } from '../component.ts'

/** What Chart.yaml may say of its publisher; the annotation is Artifact Hub's. */
const publisherSchema = z.object({
  maintainers: z.array(z.object({ name: z.string().optional().catch(undefined) })).catch([]),
  annotations: z
    .object({ 'artifacthub.io/license': z.string().optional().catch(undefined) })
    .catch({ 'artifacthub.io/license': undefined }),
})

/** Maintainer and licence of a chart, for the bill of materials. */
export function publisherOf(metadata: unknown): Pick<Component, 'supplier' | 'licenses'> {
  const { data } = publisherSchema.safeParse(metadata)
  return {
    ...namedSupplier(data?.maintainers[0]?.name),
    ...namedLicense(data?.annotations['artifacthub.io/license']),
  }
}
