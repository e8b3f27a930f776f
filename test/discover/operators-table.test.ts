import { describe, expect, it } from 'vitest'
import { isOlder, numbersOf } from '../../src/discover/operators/program.ts'
import type { OperatorRules } from '../../src/discover/operators/rule.ts'
import { operators } from '../../src/discover/operators/table.ts'

const templatesOf = ({ composes = [], starts = [], sidecars = [], defaults = {} }: OperatorRules) => [
  ...[...composes, ...starts, ...sidecars].flatMap(({ image = '' }) => image),
  ...Object.values(defaults).flatMap(one => Object.values(one)),
]

describe.each(operators.map(rules => [rules.operator, rules] as const))('%s', (_, rules) => {
  const { defaults = {}, knownTo, program } = rules

  it('lists its defaults in the order of versions, up to the last one that is known', () => {
    for (const [name, values] of Object.entries(defaults)) {
      const versions = Object.keys(values)
      for (const [i, version] of versions.entries()) {
        const next = numbersOf(versions[i + 1] ?? knownTo ?? version)!
        expect(isOlder(next, numbersOf(version)!), `${name} ${version}`).toBe(false)
      }
    }
  })

  it('has every default and the program that its templates name', () => {
    for (const template of templatesOf(rules)) {
      // `default:mysql-[spec.version]` is one for each version
      for (const [, name = '', open] of template.matchAll(/default:([\w.-]+)(\[)?/g))
        if (open === undefined) expect(Object.keys(defaults)).toContain(name)
        else expect(Object.keys(defaults).some(one => one.startsWith(name))).toBe(true)
      if (/\bprogram\b|default:/.test(template)) expect(program, template).toBeDefined()
    }
  })
})
