import { posix } from 'node:path'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import type { ResolveContext } from '../kind.ts'
import type { TreeRequest } from './entry.ts'
import type { LockedTree } from './locked.ts'
import { secretIn } from './secret-files.ts'
import { pathMatcher, walkFolder } from './walk.ts'

/** Reads the folder as it is now. Throws MANIFEST_INVALID for files that look like secrets and are not declared. */
export async function resolveTree(request: TreeRequest, context: ResolveContext): Promise<LockedTree> {
  const { name, from } = request
  const found: { path: string; what: string }[] = []
  const files = await walkFolder(request, (path, start) => {
    const what = secretIn(path, start)
    if (what !== undefined) found.push({ path, what })
  })
  const secrets = declared(request, found)
  for (const { path, what, reason } of secrets)
    context.progress.note(`tree ${name} carries ${path}: ${what} (declared: ${reason})`)
  return { name, from, files, ...defined({ secrets: secrets.length > 0 ? secrets : undefined }) }
}

const maxListed = 20

function declared(
  request: TreeRequest,
  found: readonly { path: string; what: string }[],
): NonNullable<LockedTree['secrets']> {
  const rules = (request.secrets ?? []).map(({ path, reason }) => ({ matches: pathMatcher(path), reason }))
  const order = new Map(found.map(file => [file, rules.find(({ matches }) => matches(file.path))]))
  const unknown = found.filter(file => order.get(file) === undefined)
  if (unknown.length > 0) throw refused(request, unknown)
  return found
    .map(file => ({ ...file, reason: order.get(file)?.reason ?? '' }))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
}

function refused(request: TreeRequest, files: readonly { path: string; what: string }[]): AirgapError {
  const lines = files
    .slice(0, maxListed)
    .map(({ path, what }) => `${posix.join(request.from, path)}: ${what}`)
  const more = files.length > maxListed ? [`  … and ${files.length - maxListed} more`] : []
  const count =
    files.length === 1 ? 'a file that looks like a secret' : `${files.length} files that look like secrets`
  return new AirgapError(
    'MANIFEST_INVALID',
    [`the tree has ${count}:`, ...lines.map(line => `  ${line}`), ...more],
    {
      item: `tree ${request.name} (${request.at})`,
      likely: 'the bundle would carry them, readable for everyone who has a copy of it',
      next: 'leave them out with `exclude:`, encrypt them (sops, ansible-vault), or declare them in this entry: `secrets: [{path: PATTERN, reason: TEXT}]`',
    },
  )
}
