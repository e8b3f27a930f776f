import { compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import { type ChangedFact, changedFacts } from '../lock/facts.ts'
import type { Lock } from '../lock/schema.ts'
import { type DescribedItem, itemsWithFacts, packageSets } from './items.ts'

/** One item of a lock before or after a change. */
type ItemState = Omit<DescribedItem, 'locked' | 'kind' | 'group' | 'subject'>

/** An item that two locks do not have in common. */
export interface LockChange {
  kind: string
  /** what lists show it under: `images`, `debs/ubuntu-22.04` */
  group: string
  /** the item without its version: `docker.io/library/x`, `jq:amd64` */
  name: string
  change: 'added' | 'removed' | 'changed'
  /** absent for an added item */
  before?: ItemState
  /** absent for a removed item */
  after?: ItemState
  /** bytes after the change less bytes before it */
  sizeDifference: number
  /** the package that pulled it in; absent where the manifest requests it */
  requiredBy?: string
  /** the packages that a package pulled in, and how many of them the change leaves as they are */
  dependencies?: { changed: number; unchanged: number }
  /** what else the lock records differently, beyond content and version */
  facts?: ChangedFact[]
}

/** What the lock records about a group, or about the whole, and not about one item. */
export interface GroupChange {
  /** `debs/ubuntu-22.04`; absent for the whole: platforms, variants, compatibility rules */
  group?: string
  facts: ChangedFact[]
}

export interface LockDifference {
  /** group by group, in the order of the kinds; sorted by name */
  changes: LockChange[]
  settings: GroupChange[]
  /** number of items that both have, by group */
  unchanged: Record<string, number>
}

/** Compares two locks item by item. An item of another version is one change, not two. Throws LOCK_INVALID. */
export function differenceOf(before: Lock, after: Lock): LockDifference {
  const [old, fresh] = [statesOf(before), statesOf(after)]
  const changes: LockChange[] = []
  const unchanged: Record<string, number> = {}
  for (const group of new Set([...fresh.keys(), ...old.keys()])) {
    const pairs = pairsOf(old.get(group) ?? [], fresh.get(group) ?? [])
    const changed = pairs.flatMap(pair => changeOf(pair) ?? [])
    if (pairs.length > changed.length) unchanged[group] = pairs.length - changed.length
    changes.push(...changed.sort((a, b) => compareText(a.name, b.name)))
  }
  addReasons(changes, { before, after })
  return { changes, settings: settingsOf(before, after), unchanged }
}

type Pair = [DescribedItem | undefined, DescribedItem | undefined]

/** The program that a bundle carries has no kind, but people review it like any other item. */
function statesOf(lock: Lock): Map<string, DescribedItem[]> {
  const program = lock.runtime.map(
    ({ path, digest, size, mode }): DescribedItem => ({
      kind: 'runtime',
      name: path,
      group: 'offline-deploy',
      subject: path,
      digest,
      size,
      source: 'this installation of airgap',
      vouchedBy: 'this installation of airgap',
      locked: { mode },
    }),
  )
  return Map.groupBy([...itemsWithFacts(lock), ...program], item => `${item.kind} ${item.group}`)
}

/** Pairs items of the same name first, then the versions of the same subject. */
function pairsOf(before: readonly DescribedItem[], after: readonly DescribedItem[]): Pair[] {
  const byName = new Map(after.map(item => [item.name, item]))
  const same = before.flatMap((item): Pair[] => {
    const now = byName.get(item.name)
    return now === undefined ? [] : [[item, now]]
  })
  const paired = new Set(same.flatMap(([item]) => item!.name))
  const gone = Map.groupBy(
    before.filter(item => !paired.has(item.name)),
    subjectOf,
  )
  const come = Map.groupBy(
    after.filter(item => !paired.has(item.name)),
    subjectOf,
  )
  const rest = [...new Set([...gone.keys(), ...come.keys()])].flatMap((subject): Pair[] => {
    const [removed, added] = [gone.get(subject) ?? [], come.get(subject) ?? []]
    // of two kernels, one replaced and one new, nothing tells which is which
    if (removed.length === added.length) return removed.map((item, i) => [item, added[i]])
    return [
      ...removed.map((item): Pair => [item, undefined]),
      ...added.map((item): Pair => [undefined, item]),
    ]
  })
  return [...same, ...rest]
}

function subjectOf({ subject }: DescribedItem): string {
  return subject
}

function changeOf([before, after]: Pair): LockChange | undefined {
  const either = (after ?? before)!
  const facts = before && after ? otherFacts(before, after) : []
  if (before && after && before.digest === after.digest && before.name === after.name && facts.length === 0)
    return undefined
  return {
    kind: either.kind,
    group: either.group,
    // a path with two versions in it is clearer in full
    name: before && after ? either.subject : either.version === undefined ? either.name : either.subject,
    change: before === undefined ? 'added' : after === undefined ? 'removed' : 'changed',
    ...defined({ before: before && stateOf(before), after: after && stateOf(after) }),
    sizeDifference: (after?.size ?? 0) - (before?.size ?? 0),
    ...defined({ facts: facts.length > 0 ? facts : undefined }),
  }
}

function stateOf({ locked, kind, group, subject, ...state }: DescribedItem): ItemState {
  return state
}

/** Members of items that follow from content and version, or that `ItemState` shows. */
const shown = new Set(
  [
    'name version release epoch digest sha256 size manifests blobs layers packs metadata stanza primary filelists files',
    'filename location url source origin from platforms because firstUse signedBy commit tag ref index referrers',
  ].flatMap(words => words.split(' ')),
)

/** The files of a tree are its items for a reader, so they are listed; everything else that has content shows its digest. */
function otherFacts(before: DescribedItem, after: DescribedItem): ChangedFact[] {
  const changed = changedFacts(before.locked, after.locked)
  if (before.kind === 'tree') return changed.filter(({ path }) => !path.endsWith('.size'))
  if (before.digest === after.digest && before.name === after.name) return changed
  return changed.filter(({ path }) => !shown.has(/^\w+/.exec(path)?.[0] ?? ''))
}

/** Adds which package pulled in a changed one, and how much of its closure stays. */
function addReasons(changes: LockChange[], { before, after }: { before: Lock; after: Lock }): void {
  const changed = new Map(
    changes.map(change => [`${change.group}\0${(change.after ?? change.before)!.name}`, change]),
  )
  for (const lock of [before, after]) {
    for (const { items, packages } of packageSets(lock)) {
      const pulledIn = Map.groupBy(packages.keys(), i => packages[i]!.because)
      const changeAt = (i: number) => changed.get(`${items[i]!.group}\0${items[i]!.name}`)
      for (const [i, { because, name }] of packages.entries()) {
        const change = changeAt(i)
        if (change === undefined || (lock === before && change.after !== undefined)) continue
        if (because !== undefined) change.requiredBy = because
        const closure = closureOf(name, pulledIn, packages)
        if (closure.length === 0) continue
        const differing = closure.filter(at => changeAt(at) !== undefined).length
        change.dependencies = { changed: differing, unchanged: closure.length - differing }
      }
    }
  }
}

/** Positions of the packages that are there because of this one, directly or not. */
function closureOf(
  name: string,
  pulledIn: ReadonlyMap<string | undefined, readonly number[]>,
  packages: readonly { name: string }[],
): number[] {
  const found = new Set<number>()
  const names = [name]
  for (const one of names)
    for (const at of pulledIn.get(one) ?? []) {
      if (found.has(at) || packages[at]!.name === name) continue
      found.add(at)
      names.push(packages[at]!.name)
    }
  return [...found]
}

function settingsOf(before: Lock, after: Lock): GroupChange[] {
  const whole = ({ name, version, items, runtime, ...settings }: Lock) => settings
  const rows: GroupChange[] = [{ facts: changedFacts(whole(before), whole(after)) }]
  const [old, fresh] = [before, after].map(lock => new Map(packageSets(lock).map(set => [set.title, set])))
  for (const [group, set] of fresh!) {
    const earlier = old!.get(group)
    if (earlier !== undefined) rows.push({ group, facts: changedFacts(earlier.locked, set.locked) })
  }
  return rows.filter(({ facts }) => facts.length > 0)
}
