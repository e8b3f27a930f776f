import { isImageText, isVersioned } from '../references/image-text.ts'
import { valuesAt } from './gates.ts'
import { defaultOf, minorOf, programOf } from './program.ts'
import type { OperatorRules } from './rule.ts'
import type { Settings } from './settings.ts'

interface Surroundings {
  /** the resource, with the element that the rule is about as `each` */
  view: Record<string, unknown>
  rules: OperatorRules
  settings: Settings
}

/**
 * Fills in a template of rule.ts. Returns undefined if a value is nowhere, or if the result is not an image; an empty text if the
 * operator starts nothing.
 */
export function filled(template: string, surroundings: Surroundings): string | undefined {
  const text = expanded(template, surroundings)
  if (text === undefined || text === '') return text
  // a base image with a tag of its own is used as it is: `a/b:1:2`; so is a version that is a whole image
  const image = text
    .replace(/^[^:@]*:(?!\d+\/)([^:@/]+\/.*)$/, '$1')
    .replace(/(:[^/:@]*):[^/:@]*$/, '$1')
    .replace(/\/{2,}/g, '/')
  return isImageText(image) && isVersioned(image) ? image : undefined
}

function expanded(template: string, surroundings: Surroundings): string | undefined {
  let isWhole = true
  const text = template.replace(/\{([^{}]*)\}/g, (_, choices: string) => {
    for (const choice of choices.split('|')) {
      const value = placeholder(choice, surroundings)
      if (value !== undefined) return value
    }
    isWhole = false
    return ''
  })
  return isWhole ? text : undefined
}

/** Of a placeholder; `default:x-[spec.version]` contains another. */
function placeholder(choice: string, surroundings: Surroundings): string | undefined {
  const { view, rules, settings } = surroundings
  let isWhole = true
  const name = choice.replace(/\[([^[\]]*)\]/g, (_, inner: string) => {
    const [, path = '', separator] = /^((?:\w+:)?[^:]*)(?::(.*))?$/.exec(inner) ?? []
    const value = placeholder(path, surroundings)?.replaceAll('.', separator ?? '.')
    isWhole &&= value !== undefined
    return value ?? ''
  })
  if (!isWhole) return undefined
  const setting = /^(?:flag:-*(?!-)|env:|setting:)(.+)$/.exec(name)?.[1]
  if (setting !== undefined) return settings.values.get(setting) || undefined
  if (name.startsWith('default:')) {
    const { defaults, knownTo } = rules
    const program = programOf(rules, settings)
    const value = defaultOf(defaults?.[name.slice('default:'.length)], { program, knownTo })
    return value === undefined ? undefined : expanded(value, surroundings)
  }
  if (name === 'program' || name.startsWith('program.')) {
    const program = programOf(rules, settings)
    if (program === undefined) return undefined
    return name === 'program' ? program.image : program[name.slice('program.'.length) as keyof typeof program]
  }
  if (name.startsWith('minor:')) return minorOf(name.slice('minor:'.length), settings)
  const [, kind, path] = /^in:(\w+):(.+)$/.exec(name) ?? []
  if (kind === undefined && !/^(?:spec|each|metadata)\b/.test(name)) return name
  const [value] =
    kind === undefined
      ? valuesAt(view, name)
      : settings.world.filter(one => one.kind === kind).flatMap(one => valuesAt(one.value, path!))
  if (value === '' || (typeof value !== 'string' && typeof value !== 'number')) return undefined
  return String(value)
}
