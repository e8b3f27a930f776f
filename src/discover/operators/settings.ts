import { isRecord, type RenderedObject } from '../documents.ts'
import { flagsOf } from '../references/command-line.ts'
import { nestedDocuments } from '../references/nested.ts'

/** What the programs in an environment are told, among which the operators are. */
export interface Settings {
  /** names of flags (without dashes), environment variables, keys of ConfigMaps and annotations of pods, with their values */
  values: ReadonlyMap<string, string>
  /** images of containers */
  images: ReadonlySet<string>
  world: readonly RenderedObject[]
}

/** Returns all settings of the programs in an environment. */
export function settingsOf(world: readonly RenderedObject[]): Settings {
  const values = new Map<string, string>()
  const images = new Set<string>()
  const add = (name: string, value: unknown) => {
    if (typeof value === 'string' || typeof value === 'number') values.set(name, String(value))
  }
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      const words = value.filter(word => typeof word === 'string')
      for (const { name, value: text } of flagsOf(words.map(text => ({ text, place: '' })))) add(name, text)
      for (const item of value) visit(item)
    }
    if (!isRecord(value)) return
    const { name, image, annotations } = value
    if (isRecord(annotations)) for (const [key, text] of Object.entries(annotations)) add(key, text)
    if (typeof name === 'string' && 'value' in value) add(name, value['value'])
    if (typeof name === 'string' && typeof image === 'string') images.add(image)
    for (const inner of Object.values(value)) visit(inner)
  }
  for (const { kind, value } of world) {
    if (kind === 'ConfigMap' && isRecord(value['data'])) {
      for (const [key, text] of Object.entries(value['data'])) {
        add(key, text)
        for (const document of typeof text === 'string' ? nestedDocuments(text) : [])
          if (isRecord(document)) for (const [name, inner] of Object.entries(document)) add(name, inner)
      }
    } else if (isRecord(value['spec'])) visit(value['spec'])
    else if (isRecord(value['configuration']))
      for (const [name, inner] of Object.entries(value['configuration'])) add(name, inner)
  }
  return { values, images, world }
}
