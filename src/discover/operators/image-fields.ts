import { isRecord, type RenderedObject } from '../documents.ts'
import { roleOf } from '../references/roles.ts'
import { type Definitions, maxDepth } from './definitions.ts'
import { groupOf } from './gates.ts'

/** Kubernetes' own groups, and those of controllers that deploy what others wrote. */
const otherGroups = /(?:^|\.)k8s\.io$|\.(?:toolkit\.fluxcd|cattle)\.io$|^(?:argoproj\.io|keda\.sh)$/

/**
 * Whether a custom resource could name images: its definition has keys for them, or, where that is not here or has
 * no schema, it has the settings of pods. If it names none, its operator uses defaults of its own, which the rendering does not show.
 */
export function canNameImages(object: RenderedObject, definitions: Definitions): boolean {
  const group = groupOf(object)
  if (!group.includes('.') || otherGroups.test(group)) return false
  const schemas = definitions(object)
  if (schemas.length === 0) return hasPodSettings(object.value['spec'], 0)
  return schemas.some(({ schema }) => hasImageKey(schema, 0))
}

/** What people set for the pods that an operator starts; not `resources`, which policies and queries also have. */
const podSettings =
  /^(?:replicas|replicaCount|nodeSelector|tolerations|volumeClaimTemplates?|storageSpec|podAntiAffinity)$/

function hasPodSettings(value: unknown, depth: number): boolean {
  if (!isRecord(value) || depth > 2) return false
  return Object.entries(value).some(
    ([key, inner]) => podSettings.test(key) || hasPodSettings(inner, depth + 1),
  )
}

/** Pod templates are written by people: their containers have an image, or none is meant. */
const podKeys = /^(?:containers|initContainers|ephemeralContainers|volumes)$/

function hasImageKey(schema: unknown, depth: number): boolean {
  if (!isRecord(schema) || depth > maxDepth) return false
  const { properties, items, additionalProperties } = schema
  if (hasImageKey(items, depth + 1) || hasImageKey(additionalProperties, depth + 1)) return true
  if (!isRecord(properties)) return false
  return Object.entries(properties).some(
    ([key, inner]) => !podKeys.test(key) && (roleOf(key)?.role === 'image' || hasImageKey(inner, depth + 1)),
  )
}

/**
 * Returns the keys for images that the definition of a custom resource has beside those that the resource sets: in its
 * `spec`, and in the parts that it sets.
 */
export function unsetImages(object: RenderedObject, definitions: Definitions): string[] {
  const { apiVersion, spec } = object.value
  const group = groupOf(object)
  if (!group.includes('.') || otherGroups.test(group)) return []
  const version = typeof apiVersion === 'string' ? apiVersion.split('/')[1] : undefined
  const found = definitions(object).find(one => one.version === version)
  return found === undefined ? [] : unset({ value: spec, schema: found.schema, path: '' })
}

function unset({ value, schema, path }: { value: unknown; schema: unknown; path: string }): string[] {
  const { properties } = isRecord(schema) ? schema : {}
  if (!isRecord(value) || !isRecord(properties) || path.split('.').length > maxDepth) return []
  return Object.entries(properties).flatMap(([key, inner]) => {
    const at = path === '' ? key : `${path}.${key}`
    if (podKeys.test(key)) return []
    if (value[key] !== undefined) return unset({ value: value[key], schema: inner, path: at })
    return roleOf(key)?.role === 'image' ? [at] : []
  })
}
