import { isRecord, type RenderedObject } from '../documents.ts'
import { flagsOf } from '../references/command-line.ts'
import { nestedDocuments } from '../references/nested.ts'

/** Names of flags (without dashes), environment variables and keys of ConfigMaps, with their values. */
export type Settings = ReadonlyMap<string, string>

/** Returns all settings of the programs in an environment, in which those of operators are. */
export function settingsOf(world: readonly RenderedObject[]): Settings {
  const settings = new Map<string, string>()
  const add = (name: string, value: unknown) => {
    if (typeof value === 'string' || typeof value === 'number') settings.set(name, String(value))
  }
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      const words = value.filter(word => typeof word === 'string')
      for (const { name, value: text } of flagsOf(words.map(text => ({ text, place: '' })))) add(name, text)
      for (const item of value) visit(item)
    }
    if (!isRecord(value)) return
    if (typeof value['name'] === 'string' && 'value' in value) add(value['name'], value['value'])
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
  return settings
}
