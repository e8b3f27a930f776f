import type { TreeRequest } from './entry.ts'
import type { LockedTree } from './locked.ts'
import { walkFolder } from './walk.ts'

/** Reads the folder as it is now. */
export async function resolveTree(request: TreeRequest): Promise<LockedTree> {
  return { name: request.name, from: request.from, files: await walkFolder(request) }
}
