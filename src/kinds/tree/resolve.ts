import { posix } from 'node:path'
import { defined } from '../../core/defined.ts'
import { declaredSecrets, type FoundSecret } from '../declared-secrets.ts'
import type { ResolveContext } from '../kind.ts'
import { secretIn } from '../secret-files.ts'
import type { TreeRequest } from './entry.ts'
import type { LockedTree } from './locked.ts'
import { walkFolder } from './walk.ts'

/** Reads the folder as it is now. Throws MANIFEST_INVALID for files that look like secrets and are not declared. */
export async function resolveTree(request: TreeRequest, context: ResolveContext): Promise<LockedTree> {
  const { name, from } = request
  const found: FoundSecret[] = []
  const files = await walkFolder(request, (path, start) => {
    const what = secretIn(path, start)
    if (what !== undefined) found.push({ path, what })
  })
  const secrets = declaredSecrets(found, {
    declared: request.secrets,
    subject: 'tree',
    item: `tree ${name} (${request.at})`,
    shown: path => posix.join(from, path),
    remedy: 'leave them out with `exclude:`, encrypt them (sops, ansible-vault)',
  })
  for (const { path, what, reason } of secrets)
    context.progress.note(`tree ${name} carries ${path}: ${what} (declared: ${reason})`)
  return { name, from, files, ...defined({ secrets: secrets.length > 0 ? secrets : undefined }) }
}
