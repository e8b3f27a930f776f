import { isRecord, type RenderedObject } from '../documents.ts'
import { concerns, valuesAt } from './gates.ts'
import type { OperatorRules } from './rule.ts'
import type { Settings } from './settings.ts'
import { filled } from './template.ts'

/**
 * Returns the images of the containers that admission webhooks add to the pods of this workload; undefined for one that the
 * rendering does not show.
 */
export function sidecarsOf(
  object: RenderedObject,
  {
    rules,
    world,
    settings,
  }: { rules: OperatorRules; world: readonly RenderedObject[]; settings: () => Settings },
): (string | undefined)[] {
  const found: (string | undefined)[] = []
  for (const { annotation, off = [], image, unlessNamedBy } of rules.sidecars ?? []) {
    const value = annotationOf(object, { annotation, world })
    if (value === undefined || value === 'false' || off.includes(value)) continue
    const isNamed =
      unlessNamedBy !== undefined &&
      world.some(
        one =>
          concerns(unlessNamedBy, one) && valuesAt(one.value, unlessNamedBy.path).some(text => text !== ''),
      )
    if (!isNamed) found.push(filled(image, { view: object.value, rules, settings: settings() }))
  }
  return found
}

const podTemplates = ['spec.template', 'spec.jobTemplate.spec.template']

function annotationOf(
  object: RenderedObject,
  { annotation, world }: { annotation: string; world: readonly RenderedObject[] },
): string | undefined {
  const templates =
    object.kind === 'Pod' ? [object.value] : podTemplates.flatMap(path => valuesAt(object.value, path))
  if (!templates.some(template => isRecord(template) && isRecord(template['spec']))) return undefined
  const path = `metadata.annotations["${annotation}"]`
  const namespaces = world.filter(
    ({ kind, name }) => kind === 'Namespace' && name === valuesAt(object.value, 'metadata.namespace')[0],
  )
  const [value] = [...templates, ...namespaces.map(one => one.value)].flatMap(one => valuesAt(one, path))
  return value === undefined ? undefined : String(value)
}
