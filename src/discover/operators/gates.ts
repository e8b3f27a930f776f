import { isRecord, type RenderedObject } from '../documents.ts'
import type { Condition, ResourceRule } from './rule.ts'
import { operators } from './table.ts'

/** Whether a rule is about this resource. */
export function concerns({ kind, group }: ResourceRule, object: RenderedObject): boolean {
  return kind === object.kind && (group === undefined || group === groupOf(object))
}

/** Returns the API group of a resource; empty for the core group. */
export function groupOf({ value }: RenderedObject): string {
  const { apiVersion } = value
  return typeof apiVersion === 'string' && apiVersion.includes('/') ? apiVersion.split('/')[0]! : ''
}

/** Returns the value at a path such as `spec.driver.enabled`; with `*`, the first one. */
export function valueAt(object: RenderedObject, path: string): unknown {
  return valuesAt(object.value, path)[0]
}

/** Returns the values at a path of rule.ts; `*` in it is any element of a list or map. */
export function valuesAt(value: unknown, path: string): unknown[] {
  const keys = [...path.matchAll(/\["([^"]*)"\]|([^.["]+)/g)].map(([, quoted, key]) => quoted ?? key!)
  return keys.reduce<unknown[]>(
    (values, key) =>
      values.flatMap(at => {
        if (key === '*') return Array.isArray(at) ? at : isRecord(at) ? Object.values(at) : []
        return isRecord(at) && at[key] !== undefined ? [at[key]] : []
      }),
    [value],
  )
}

/** Whether a condition of rule.ts holds. */
export function holds(condition: Condition, value: unknown): boolean {
  const [, path = '', comparison, wanted = ''] = /^([^^=]*)(\^?=)(.*)$/.exec(condition) ?? ['', condition]
  return valuesAt(value, path).some(found => {
    if (comparison === undefined) return found !== null && found !== '' && found !== false
    return comparison === '=' ? String(found) === wanted : String(found).startsWith(wanted)
  })
}

/** Whether the operator appends the OS of each node to the tag of the part at `path`. */
export function isPerNode(object: RenderedObject, path: string): boolean {
  return operators.some(({ perNode = [] }) =>
    perNode.some(rule => concerns(rule, object) && rule.parts.includes(path)),
  )
}

/** Returns why the part at `path` of the object is not started, if the operator does not start it. */
export function closedGate(object: RenderedObject, path: string): string | undefined {
  for (const { gates = [] } of operators) {
    for (const rule of gates) {
      if (!concerns(rule, object) || !rule.parts.includes(path)) continue
      const { gate, open = true, reason } = rule
      if (gate === undefined) return reason ?? 'its operator does not start it'
      if ((valueAt(object, gate) === true) !== open) return `${gate} is ${open ? 'not true' : 'true'}`
    }
  }
  return undefined
}

/** Returns why this entry of a list of images is not started, if all resources of the environment choose others. */
export function notChosen(
  object: RenderedObject,
  { path, value, world }: { path: string; value: Record<string, unknown>; world: readonly RenderedObject[] },
): string | undefined {
  const list = /^(.+)\[\d+\]$/.exec(path)?.[1]
  if (list === undefined) return undefined
  for (const { choices = [] } of operators) {
    for (const rule of choices) {
      const isList = list === rule.list || list.endsWith(` ${rule.list}`)
      if (!isList || !concerns(rule, object) || value[rule.key] === undefined) continue
      const chosen = world
        .filter(one => concerns(rule.chosenBy, one))
        .flatMap(one => valuesAt(one.value, rule.chosenBy.path))
      if (chosen.length > 0 && !chosen.some(one => String(one) === String(value[rule.key])))
        return `no ${rule.chosenBy.kind} chooses it`
    }
  }
  return undefined
}

/** Whether an annotation or variable lists images of every version. */
export function isCatalogue(name: string): boolean {
  return operators.some(({ catalogues = [] }) => catalogues.some(pattern => pattern.test(name)))
}

/** Returns why the operator does not start the image in this variable, judged by the resources of the environment. */
export function closedVariable(variable: string, world: readonly RenderedObject[]): string | undefined {
  if (isCatalogue(variable)) return 'it lists the images of every version'
  for (const { variableGates = [] } of operators) {
    for (const rule of variableGates) {
      if (rule.variable !== variable) continue
      const resources = world.filter(object => concerns(rule, object))
      const isClosed = resources.length > 0 && resources.every(one => valueAt(one, rule.gate) === false)
      if (isClosed) return `${rule.gate} of ${rule.kind} is false`
    }
  }
  return undefined
}
