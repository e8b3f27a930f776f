import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AirgapError } from '../../../src/core/errors.ts'
import { clausesOf, clausesOfContrary, type NormalForm } from '../../../src/kinds/rpm/normal-form.ts'
import { parseRich, type RichDependency } from '../../../src/kinds/rpm/rich.ts'

describe('boolean dependencies', () => {
  it('are read with versions, nested, with parentheses in names', () => {
    expect(parseRich('(libc.so.6()(64bit) >= 1:2-3 if (perl(Carp) or b) else c)')).toEqual({
      type: 'if',
      left: {
        type: 'simple',
        relation: { name: 'libc.so.6()(64bit)', flags: 'GE', epoch: '1', version: '2', release: '3' },
      },
      condition: {
        type: 'or',
        left: { type: 'simple', relation: { name: 'perl(Carp)' } },
        right: { type: 'simple', relation: { name: 'b' } },
      },
      otherwise: { type: 'simple', relation: { name: 'c' } },
    })
  })

  it.each([
    '(',
    '(a',
    '(a or)',
    '(a or b and c)',
    '(a else b)',
    '(a) b',
    '(a >=)',
    '()',
    '(a without b without c)',
  ])('refuses %s', text => {
    expect(() => parseRich(text)).toThrow(AirgapError)
  })

  it('fault 50: refuses nesting that is there to exhaust the stack, and conditions that multiply', () => {
    expect(() => parseRich(`${'('.repeat(1_000)}a${')'.repeat(1_000)}`)).toThrow('nested more than')
    expect(() => parseRich(`(${Array.from({ length: 9_000 }, () => 'a').join(' or ')})`)).toThrow('too long')
    const pairs = Array.from({ length: 14 }, (_, i) => `(a${i} and b${i})`).join(' or ')
    let next = 1
    const ids = new Map<string, number>()
    const providers = ({ name }: { name: string }) => {
      if (!ids.has(name)) ids.set(name, next++)
      return [ids.get(name)!]
    }
    expect(() => clausesOf(parseRich(`(${pairs})`), providers)).toThrow('too many cases')
  })

  it.each(['if', 'unless'])('fault 111: looks at each name of nested `%s … else` a few times', operator => {
    const depth = 30
    let nested = 'a'
    for (let i = 0; i < depth; i++) nested = `(b${i} ${operator} ${nested} else c${i})`
    const queried = new Map<string, number>()
    const nothing = ({ name }: { name: string }) => {
      queried.set(name, (queried.get(name) ?? 0) + 1)
      return []
    }
    for (const clauses of [clausesOf, clausesOfContrary]) clauses(parseRich(nested), nothing)
    expect(queried.size).toBe(2 * depth + 1)
    expect(Math.max(...queried.values())).toBeLessThanOrEqual(4)
  })

  it('fault 50: answers any text with a dependency or UPSTREAM_INVALID, at once', () => {
    const words = fc.constantFrom(
      '(',
      ')',
      'a',
      'b',
      ' ',
      'or',
      'and',
      'if',
      'else',
      'unless',
      'with',
      'without',
      '>=',
      '1',
    )
    fc.assert(
      fc.property(fc.array(words, { maxLength: 60 }), parts => {
        try {
          parseRich(`(${parts.join(' ')}`)
        } catch (error) {
          expect(error).toBeInstanceOf(AirgapError)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('mean as clauses what they mean as written, on every machine', () => {
    const simple = fc.nat(4).map((i): RichDependency => ({ type: 'simple', relation: { name: `p${i}` } }))
    const { dependency } = fc.letrec<{ dependency: RichDependency }>(tie => {
      const side = tie('dependency')
      const chained = fc
        .record({ type: fc.constantFrom('and' as const, 'or' as const), left: side, right: side })
        .map(
          ({ type, left, right }): RichDependency =>
            type === 'and' ? { type, left, right } : { type, left, right },
        )
      const conditional = fc
        .record({
          type: fc.constantFrom('if' as const, 'unless' as const),
          left: side,
          condition: side,
          otherwise: fc.option(side, { nil: undefined }),
        })
        .map(({ type, left, condition, otherwise }): RichDependency => {
          const parts = { left, condition, ...(otherwise ? { otherwise } : {}) }
          return type === 'if' ? { type, ...parts } : { type, ...parts }
        })
      return { dependency: fc.oneof({ maxDepth: 3, depthSize: 'small' }, simple, chained, conditional) }
    })
    // p0 has no provider, p1 two
    const providersOf = new Map([
      ['p0', []],
      ['p1', [1, 2]],
      ['p2', [3]],
      ['p3', [2, 3]],
      ['p4', [4]],
    ])
    const providers = ({ name }: { name: string }) => providersOf.get(name) ?? []
    const holds = (one: RichDependency, there: Set<number>): boolean => {
      switch (one.type) {
        case 'and':
          return holds(one.left, there) && holds(one.right, there)
        case 'or':
          return holds(one.left, there) || holds(one.right, there)
        case 'if':
          return holds(one.condition, there)
            ? holds(one.left, there)
            : one.otherwise
              ? holds(one.otherwise, there)
              : true
        case 'unless':
          return holds(one.condition, there)
            ? one.otherwise !== undefined && holds(one.otherwise, there)
            : holds(one.left, there)
        case 'simple':
          return providers(one.relation).some(id => there.has(id))
        default:
          throw new Error(one.type)
      }
    }
    const formHolds = (form: NormalForm, there: Set<number>) =>
      typeof form === 'boolean'
        ? form
        : form.every(block =>
            block.some(literal => (literal > 0 ? there.has(literal) : !there.has(-literal))),
          )
    fc.assert(
      fc.property(dependency, one => {
        for (let bits = 0; bits < 16; bits++) {
          const there = new Set([1, 2, 3, 4].filter(id => (bits & (1 << (id - 1))) !== 0))
          expect(formHolds(clausesOf(one, providers), there)).toBe(holds(one, there))
          expect(formHolds(clausesOfContrary(one, providers), there)).toBe(!holds(one, there))
        }
      }),
      { numRuns: 400 },
    )
  })
})
