import { isRecord, parseDefinition, type RenderedObject } from '../documents.ts'
import { groupOf } from './gates.ts'

/** Deeper schemas are recursive ones. */
export const maxDepth = 12

/** The schema of `spec` in a CustomResourceDefinition, for one of its versions. */
export interface SpecSchema {
  version: string
  schema: Record<string, unknown>
}

export type Definitions = (object: RenderedObject) => readonly SpecSchema[]

/**
 * Returns a function that returns the schemas of a custom resource: those of the definition in `world`, none where it is not here or
 * says nothing. Definitions are megabytes of YAML: only those of resources that are in use are parsed, once.
 */
export function definitionsOf(world: readonly RenderedObject[]): Definitions {
  const known = new Map<string, SpecSchema[]>()
  return object => {
    const group = groupOf(object)
    const key = `${group}/${object.kind}`
    const found = known.get(key) ?? (group.includes('.') ? schemasOf(object, { group, world }) : [])
    known.set(key, found)
    return found
  }
}

function schemasOf(
  { kind }: RenderedObject,
  { group, world }: { group: string; world: readonly RenderedObject[] },
): SpecSchema[] {
  const spec = world
    .filter(({ definition }) => definition?.includes(group) && definition.includes(kind))
    .map(({ definition }) => specOf(definition!))
    .find(one => one['group'] === group && isRecord(one['names']) && one['names']['kind'] === kind)
  const versions = isRecord(spec) && Array.isArray(spec['versions']) ? spec['versions'] : []
  return versions.flatMap(version => {
    const schema = specSchema(version)
    if (!isRecord(schema?.['properties']) || !isRecord(version)) return []
    return [{ version: String(version['name']), schema }]
  })
}

function specSchema(version: unknown): Record<string, unknown> | undefined {
  const schema =
    isRecord(version) && isRecord(version['schema']) ? version['schema']['openAPIV3Schema'] : undefined
  const properties = isRecord(schema) && isRecord(schema['properties']) ? schema['properties'] : {}
  return isRecord(properties['spec']) ? properties['spec'] : undefined
}

function specOf(definition: string): Record<string, unknown> {
  const value = parseDefinition(definition)
  return isRecord(value) && isRecord(value['spec']) ? value['spec'] : {}
}

/**
 * Returns a custom resource as the API server stores it: with the default values of its schema
 * (kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions, "Defaulting"). Operators read images from
 * there that no manifest shows.
 */
export function withDefaults(object: RenderedObject, definitions: Definitions): RenderedObject {
  const { apiVersion, spec } = object.value
  const version = typeof apiVersion === 'string' ? apiVersion.split('/')[1] : undefined
  const found = definitions(object).find(one => one.version === version)
  if (found === undefined || !isRecord(spec)) return object
  return { ...object, value: { ...object.value, spec: defaulted(spec, found.schema, 0) } }
}

function defaulted(value: unknown, schema: unknown, depth: number): unknown {
  if (!isRecord(schema) || depth > maxDepth) return value
  const { properties, items, additionalProperties } = schema
  if (Array.isArray(value)) return value.map(item => defaulted(item, items, depth + 1))
  if (!isRecord(value)) return value
  const result: Record<string, unknown> = {}
  for (const [key, inner] of Object.entries(value)) {
    const own = isRecord(properties) ? properties[key] : undefined
    result[key] = defaulted(inner, own ?? additionalProperties, depth + 1)
  }
  for (const [key, inner] of Object.entries(isRecord(properties) ? properties : {})) {
    const isMissing =
      value[key] === undefined || (value[key] === null && isRecord(inner) && inner['nullable'] !== true)
    if (isMissing && isRecord(inner) && inner['default'] !== undefined)
      result[key] = defaulted(inner['default'], inner, depth + 1)
  }
  return result
}
