import type { Artifact } from '../content/artifact.ts'
import { AirgapError } from '../core/errors.ts'
import type { LockItem } from '../lock/schema.ts'
import type { StackManifest } from '../manifest/stack.ts'
import { chartKind } from './chart/index.ts'
import { debKind } from './deb/index.ts'
import { fileKind } from './file/index.ts'
import { imageKind } from './image/index.ts'
import type { ItemSummary, Kind, ResolveContext } from './kind.ts'
import { rpmKind } from './rpm/index.ts'
import { treeKind } from './tree/index.ts'
import { wheelKind } from './wheel/index.ts'

/** The one list of kinds, in the order in which they are resolved and shown. */
export const kinds: AnyKind[] = [
  erase(imageKind),
  erase(chartKind),
  erase(fileKind),
  erase(debKind),
  erase(rpmKind),
  erase(wheelKind),
  erase(treeKind),
]

/** A kind with its own types closed over: what the use cases see. */
export interface AnyKind {
  readonly name: string
  jobs(manifest: StackManifest): { at: string; resolve(context: ResolveContext): Promise<LockItem> }[]
  assemble(items: unknown[]): Artifact[]
  describe(items: unknown[]): ItemSummary[]
}

function erase<Request extends { at: string }, Locked extends LockItem>(
  kind: Kind<Request, Locked>,
): AnyKind {
  const parse = (items: unknown[]): Locked[] =>
    items.map(item => {
      const parsed = kind.schema.safeParse(item)
      if (parsed.success) return parsed.data
      const issue = parsed.error.issues[0]
      throw new AirgapError(
        'LOCK_INVALID',
        `the lock has a malformed ${kind.name}: ${issue?.path.join('.')}: ${issue?.message}`,
        {
          item: typeof item === 'object' && item && 'name' in item ? String(item.name) : kind.name,
          next: 'make the lock anew with `airgap lock`',
        },
      )
    })
  return {
    name: kind.name,
    jobs: manifest =>
      kind
        .requests(manifest)
        .map(request => ({ at: request.at, resolve: context => kind.resolve(request, context) })),
    assemble: items => kind.assemble(parse(items)),
    describe: items => parse(items).flatMap(kind.describe),
  }
}
