import { isRecord, type RenderedObject } from '../documents.ts'
import { isImageText, isVersioned } from '../references/image-text.ts'
import { concerns, groupOf, valueAt } from './gates.ts'
import { type Settings, settingsOf } from './settings.ts'
import { operators } from './table.ts'

export interface Composed {
  images: { text: string; path: string }[]
  /** the operator starts images that the rendering does not show */
  undecided: { reason: string }[]
}

/** Returns the images that the operator of this resource starts although no key names them. */
export function composedImages(object: RenderedObject, world: readonly RenderedObject[]): Composed {
  const composed: Composed = { images: [], undecided: [] }
  const has = (path: string) => {
    const value = valueAt(object, path)
    return value !== undefined && value !== null && value !== ''
  }
  let settings: Settings | undefined
  for (const { operator, composes = [], unseen = [] } of operators) {
    for (const rule of composes) {
      if (!concerns(rule, object) || (rule.unless ?? []).some(has)) continue
      if (rule.when !== undefined && !has(rule.when)) continue
      settings ??= settingsOf(world)
      const text = filled(rule.image, { object, settings })
      if (text !== undefined && isImageText(text)) composed.images.push({ text, path: 'spec' })
      else
        composed.undecided.push({
          reason: `${operator} chooses an image for it that the rendering does not show`,
        })
    }
    for (const rule of unseen) {
      if (!concerns(rule, object) || (rule.unless ?? []).some(has)) continue
      settings ??= settingsOf(world)
      const { knownBy } = rule
      if (knownBy !== undefined && [...settings.keys()].some(name => name.startsWith(knownBy))) continue
      composed.undecided.push({ reason: 'its operator starts images that the rendering does not show' })
    }
  }
  return composed
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

/** Fills in a template of rule.ts; undefined if a value is nowhere. */
function filled(
  template: string,
  { object, settings }: { object: RenderedObject; settings: Settings },
): string | undefined {
  let isWhole = true
  const text = template.replace(/\{([^}]*)\}/g, (_, choices: string) => {
    for (const choice of choices.split('|')) {
      const value = placeholder(choice)
      if (value !== undefined) return value
    }
    isWhole = false
    return ''
  })
  if (!isWhole) return undefined
  // a base image with a tag of its own is used as it is
  const [base = '', version] = splitLast(text)
  return version !== undefined && isVersioned(base) ? base : text

  function placeholder(choice: string): string | undefined {
    const setting = /^(?:flag:-*|env:|setting:)(.+)$/.exec(choice)?.[1]
    if (setting !== undefined) return settings.get(setting)
    if (!choice.startsWith('spec.')) return choice
    const value = valueAt(object, choice)
    return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
  }
}

function splitLast(text: string): [string, string?] {
  const colon = text.lastIndexOf(':')
  return colon > text.lastIndexOf('/') ? [text.slice(0, colon), text.slice(colon + 1)] : [text]
}
