import { z } from 'zod'
import { defined } from '../../core/defined.ts'
import type { LockedRepository } from './locked.ts'

/** Enough to create the packs of a repository again. */
export const recipeSchema = z.object({
  url: z.string(),
  commit: z.string(),
  tag: z.string().optional(),
  ref: z.string().optional(),
  history: z.enum(['shallow', 'full']),
})

export function recipeOf({ url, commit, tag, ref, history }: LockedRepository): Record<string, string> {
  return { url, commit, history, ...defined({ tag, ref }) }
}
