import { isRecord, type RenderedObject } from '../documents.ts'
import { concerns, groupOf, holds, valuesAt } from './gates.ts'
import { programOf } from './program.ts'
import type { OperatorRules } from './rule.ts'
import { type Settings, settingsOf } from './settings.ts'
import { sidecarsOf } from './sidecars.ts'
import { operators } from './table.ts'
import { filled } from './template.ts'

export interface Composed {
  images: { text: string; path: string }[]
  /** the operator starts images that the rendering does not show */
  undecided: { reason: string }[]
}

/** Returns a function that returns the images which the operator of a resource starts although no key names them. */
export function composer(world: readonly RenderedObject[]): (object: RenderedObject) => Composed {
  let known: Settings | undefined
  return object => {
    const composed: Composed = { images: [], undecided: [] }
    const settings = () => {
      known ??= settingsOf(world)
      return known
    }
    const add = (text: string | undefined, rules: OperatorRules) => {
      if (text === undefined) composed.undecided.push({ reason: unknownImage(rules) })
      else if (text !== '') composed.images.push({ text, path: 'spec' })
    }
    for (const rules of operators) {
      for (const rule of rules.composes ?? []) {
        const { beside } = rule
        if (!concerns(rule, object)) continue
        if (beside !== undefined && !world.some(other => concerns(beside, other))) continue
        for (const each of elementsOf(object, rule.each)) {
          const view = { ...object.value, each }
          if (rule.unless?.some(condition => holds(condition, view))) continue
          if (![rule.when ?? []].flat().every(condition => holds(condition, view))) continue
          const text = filled(rule.image, { view, rules, settings: settings() })
          add(text, rules)
        }
      }
      if (rules.starts !== undefined && runs(rules, object))
        for (const { image, unlessText } of rules.starts)
          if (!isWritten(unlessText, world))
            add(image && filled(image, { view: object.value, rules, settings: settings() }), rules)
      for (const rule of rules.unseen ?? []) {
        if (!concerns(rule, object) || rule.unless?.some(condition => holds(condition, object.value)))
          continue
        const { knownBy, when } = rule
        if (when !== undefined && !holds(when, object.value)) continue
        if (knownBy !== undefined && [...settings().values.keys()].some(name => name.startsWith(knownBy)))
          continue
        composed.undecided.push({ reason: 'its operator starts images that the rendering does not show' })
      }
      for (const text of sidecarsOf(object, { rules, world, settings })) add(text, rules)
    }
    return composed
  }
}

function isWritten(text: string | undefined, world: readonly RenderedObject[]): boolean {
  return (
    text !== undefined &&
    world.some(
      ({ kind, value }) => kind === 'ConfigMap' && JSON.stringify(value['data'] ?? '').includes(text),
    )
  )
}

/** Whether this workload runs the operator. */
function runs(rules: OperatorRules, { value }: RenderedObject): boolean {
  const images = valuesAt(value, 'spec.template.spec.containers.*.image').filter(
    image => typeof image === 'string',
  )
  return programOf(rules, { values: new Map(), images: new Set(images), world: [] }) !== undefined
}

function elementsOf({ value }: RenderedObject, each: string | undefined): unknown[] {
  return each === undefined ? [undefined] : valuesAt(value, `${each}.*`)
}

function unknownImage({ operator, knownTo }: OperatorRules): string {
  const known = knownTo === undefined ? '' : ` (known are those of its versions up to ${knownTo})`
  return `${operator} chooses an image for it that the rendering does not show${known}`
}

/** Whether a rule of the table is about this resource. */
export function isKnownResource(object: RenderedObject): boolean {
  return operators.some(({ composes = [], unseen = [] }) =>
    [...composes, ...unseen].some(rule => concerns(rule, object)),
  )
}

/**
 * Whether a resource has a version of what its operator will start, but nothing says which image that is: `spec.version` of a
 * custom resource.
 */
export function hasVersionOnly(object: RenderedObject): boolean {
  const group = groupOf(object)
  if (
    !group.includes('.') ||
    /(?:^|\.)k8s\.io$/.test(group) ||
    /\.(?:toolkit\.fluxcd|cattle)\.io$/.test(group)
  )
    return false
  const { spec } = object.value
  if (!isRecord(spec)) return false
  return Object.entries(spec).some(
    ([key, value]) =>
      /^(?:version|[a-z]+Version)$/.test(key) &&
      !/^(?:api|schema|kubernetes|k8s|resource|min|max|tls|http|protocol)/i.test(key) &&
      typeof value === 'string' &&
      /^v?[0-9]+\.[0-9]/.test(value),
  )
}

/** Returns the placeholders of injected images, such as `auto`, with the text of the ConfigMap that has the real one. */
export function injectedImage(text: string): { knownBy: string } | undefined {
  for (const { injected = [] } of operators) {
    const found = injected.find(({ image }) => image === text)
    if (found !== undefined) return found
  }
  return undefined
}
