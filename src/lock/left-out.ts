import { z } from 'zod'

/** Content that belongs to an item and is not carried, although the item is complete without it: a referrer, an alternative. */
export interface LeftOut {
  /** as upstream names it: a reference, a package with its version, a path */
  name: string
  /** a clause without a full stop: `its layers have sha512 digests` */
  reason: string
}

/** For an item's schema, optional: absent where nothing was left out, so that the lock keeps its digest. */
export const leftOutSchema = z
  .array(z.strictObject({ name: z.string(), reason: z.string() }))
  .min(1) satisfies z.ZodType<LeftOut[]>

/** All that a lock leaves out, with the item that it belongs to, in the lock's order. */
export function leftOutOf(lock: {
  items: Record<string, { name: string; leftOut?: unknown }[]>
}): (LeftOut & { kind: string; item: string })[] {
  return Object.entries(lock.items).flatMap(([kind, items]) =>
    items.flatMap(item => {
      const parsed = leftOutSchema.safeParse(item.leftOut)
      return parsed.success ? parsed.data.map(one => ({ kind, item: item.name, ...one })) : []
    }),
  )
}
