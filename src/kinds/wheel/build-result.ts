import { defined } from '../../core/defined.ts'
import type { Candidate } from './candidates.ts'
import { type Criteria, hashListsOf, type Pin, projectOf } from './criteria.ts'
import type { Requirement } from './requirement.ts'

/** A distribution of the closure, and why it is in it. */
export interface Chosen {
  candidate: Candidate
  requested: boolean
  /** project that pulled it in */
  because?: string
  /** the manifest lists its hash */
  isHashed: boolean
}

/** One step of the search (resolvelib's State). */
export interface State {
  /** in the order in which they were pinned */
  pins: Map<string, Pin>
  criteria: Criteria
}

/** The pins that are reachable from the manifest's requirements (resolvelib's _build_result). */
export function buildResult(
  { pins, criteria }: State,
  constraints: ReadonlyMap<string, readonly Requirement[]>,
): Chosen[] {
  const reached = new Set<string>()
  const from = new Map<string | undefined, string[]>()
  for (const [name, { information }] of criteria)
    for (const { parent } of information) from.set(parent, [...(from.get(parent) ?? []), name])
  const queue = [...(from.get(undefined) ?? [])]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (reached.has(name)) continue
    reached.add(name)
    queue.push(...(from.get(name) ?? []))
  }
  const chosen = new Map<string, Chosen>()
  for (const [name, { candidate }] of pins) {
    if (!reached.has(name)) continue
    const information = criteria.get(name)!.information
    const { project } = projectOf(name)
    const before = chosen.get(project)
    const requested = before?.requested === true || information.some(one => one.parent === undefined)
    const parents = information.flatMap(({ parent }) =>
      parent !== undefined && reached.has(parent) ? [projectOf(parent).project] : [],
    )
    const because = before?.because ?? parents.find(parent => parent !== project)
    const isHashed =
      before?.isHashed === true || hashListsOf(information, constraints.get(project) ?? []).length > 0
    chosen.set(project, defined({ candidate, requested, because, isHashed }))
  }
  return [...chosen.values()].map(one =>
    defined({ ...one, because: one.requested ? undefined : one.because }),
  )
}
