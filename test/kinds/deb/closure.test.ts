import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AirgapError } from '../../../src/core/errors.ts'
import { closureOf } from '../../../src/kinds/deb/closure.ts'
import { Universe } from '../../../src/kinds/deb/universe.ts'
import { listOf, type WorldPackage } from './support/world.ts'

type Fields = Omit<WorldPackage, 'name'>

/** `a 1.0` → fields */
function universe(packages: Record<string, Fields>): Universe {
  const list = listOf(
    Object.entries(packages).map(([text, fields]) => {
      const [name, version = '1'] = text.split(' ')
      return { name: name!, version, ...fields }
    }),
  )
  return new Universe([list], { architecture: 'amd64' })
}

function select(from: Universe, names: string, recommends = false): string[] {
  return closureOf(from, { names: names.split(' '), recommends, at: 'stack.yaml:7:5' })
    .map(({ candidate }) => `${candidate.name} ${candidate.version}`)
    .map(text => text.replace(/ 1$/, ''))
    .sort()
}

function failure(from: Universe, names: string): AirgapError {
  try {
    select(from, names)
  } catch (error) {
    if (error instanceof AirgapError) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('closure', () => {
  it('follows Depends and Pre-Depends, and nothing else', () => {
    const from = universe({
      a: { depends: 'b (>= 1), c', recommends: 'r', suggests: 's' },
      b: { preDepends: 'p' },
      ...{ c: {}, p: {}, r: {}, s: {}, unrelated: {}, base: { essential: true } },
    })
    expect(select(from, 'a')).toEqual(['a', 'b', 'c', 'p'])
  })

  it('takes Recommends by choice, and leaves out those that cannot be had', () => {
    const from = universe({
      a: { recommends: 'r, gone, broken, rival' },
      r: { recommends: 'rr' },
      rr: {},
      broken: { depends: 'x, gone' },
      x: {},
      rival: { conflicts: 'a' },
    })
    expect(select(from, 'a')).toEqual(['a'])
    expect(select(from, 'a', true)).toEqual(['a', 'r', 'rr'])
  })

  it('says who pulled a package in', () => {
    const selected = closureOf(universe({ a: { depends: 'b' }, b: {} }), {
      names: ['a'],
      recommends: false,
      at: '',
    })
    expect(selected.map(({ candidate, requested, because }) => [candidate.name, requested, because])).toEqual(
      [
        ['a', true, undefined],
        ['b', false, 'a'],
      ],
    )
  })

  it('fault 41: takes the first alternative that can be had, even if it is the third', () => {
    const from = universe({
      a: { depends: 'none | tooold (>= 2) | third | fourth' },
      tooold: {},
      third: {},
      fourth: {},
    })
    expect(select(from, 'a')).toEqual(['a', 'third'])
  })

  it('goes on to the next alternative when the first has a dependency that cannot be met', () => {
    const from = universe({ a: { depends: 'b | c' }, b: { depends: 'half, gone' }, half: {}, c: {} })
    expect(select(from, 'a')).toEqual(['a', 'c'])
  })

  it('takes a package requested by name rather than the first alternative', () => {
    const from = universe({ a: { depends: 'b | c' }, b: {}, c: {} })
    expect(select(from, 'a c')).toEqual(['a', 'c'])
    expect(select(from, 'c a')).toEqual(['a', 'c'])
  })

  it('fault 42: takes the package itself before those that provide it', () => {
    const from = universe({ a: { depends: 'm' }, m: {}, n: { provides: 'm', priority: 'required' } })
    expect(select(from, 'a')).toEqual(['a', 'm'])
  })

  it('fault 42: of many providers takes the essential, then the more important, then the one named last', () => {
    const providers = { p1: { provides: 'm' }, p2: { provides: 'm' }, p3: { provides: 'm' } }
    expect(select(universe({ a: { depends: 'm' }, ...providers }), 'a')).toEqual(['a', 'p3'])
    expect(select(universe({ b: { suggests: 'p3' }, a: { depends: 'm' }, ...providers }), 'a')).toEqual([
      'a',
      'p2',
    ])
    const important = { ...providers, p1: { provides: 'm', priority: 'important' } }
    expect(select(universe({ a: { depends: 'm' }, ...important }), 'a')).toEqual(['a', 'p1'])
    const essential = { ...important, p2: { provides: 'm', essential: true } }
    expect(select(universe({ a: { depends: 'm' }, ...essential }), 'a')).toEqual(['a', 'p2'])
  })

  it('fault 42: a versioned relation is met by a versioned Provides only', () => {
    const from = universe({
      a: { depends: 'm (>= 2)' },
      plain: { provides: 'm' },
      old: { provides: 'm (= 1)' },
      fresh: { provides: 'm (= 3)', priority: 'extra' },
    })
    expect(select(from, 'a')).toEqual(['a', 'fresh'])
    const none = universe({ a: { depends: 'm (>= 2)' }, plain: { provides: 'm' } })
    expect(failure(none, 'a').message).toContain('m (>= 2): provided by plain, but not in that version')
  })

  it('fault 43: loops end, also of Pre-Depends', () => {
    const from = universe({
      a: { depends: 'b' },
      b: { preDepends: 'c' },
      c: { preDepends: 'b', depends: 'a' },
    })
    expect(select(from, 'a')).toEqual(['a', 'b', 'c'])
    expect(select(universe({ a: { depends: 'a' } }), 'a')).toEqual(['a'])
  })

  it('fault 44: architecture qualifiers', () => {
    const from = universe({
      a: { depends: 'py:any, lib:amd64, here:native' },
      py: { multiArch: 'allowed' },
      lib: { multiArch: 'same' },
      here: { architecture: 'all', multiArch: 'foreign' },
    })
    expect(select(from, 'a')).toEqual(['a', 'here', 'lib', 'py'])
    expect(failure(universe({ a: { depends: 'py:any' }, py: {} }), 'a').code).toBe('UNRESOLVABLE')
    expect(failure(universe({ a: { depends: 'lib:i386' }, lib: {} }), 'a').code).toBe('UNRESOLVABLE')
  })

  it('takes the newest of several versions, unless one is requested', () => {
    const packages = { 'b 1.9': {}, 'b 1.10': {}, 'b 1.10~rc1': {}, a: { depends: 'b' } }
    expect(select(universe(packages), 'a')).toEqual(['a', 'b 1.10'])
    expect(select(universe(packages), 'a b=1.9')).toEqual(['a', 'b 1.9'])
    const from = universe({ ...packages, a: { depends: 'b (>= 1.10)' } })
    expect(failure(from, 'a b=1.9').message).toContain('b (>= 1.10): only 1.10, 1.10~rc1, 1.9 is available')
  })

  it('takes another choice where the first conflicts with what is needed', () => {
    const from = universe({
      a: { depends: 'mta | other-mta, c' },
      mta: { depends: 'x' },
      x: {},
      'other-mta': {},
      c: { conflicts: 'mta' },
    })
    expect(select(from, 'a')).toEqual(['a', 'c', 'other-mta'])
  })

  it('takes a choice back also for what is only recommended, but never what is needed', () => {
    const packages = {
      a: { depends: 'nogui | gui', recommends: 'desktop' },
      nogui: { conflicts: 'gui' },
      gui: { conflicts: 'nogui' },
      desktop: { depends: 'gui' },
    }
    expect(select(universe(packages), 'a', true)).toEqual(['a', 'desktop', 'gui'])
    expect(select(universe(packages), 'a')).toEqual(['a', 'nogui'])
    const needed = { ...packages, a: { depends: 'nogui', recommends: 'desktop' } }
    expect(select(universe(needed), 'a', true)).toEqual(['a', 'nogui'])
  })

  it('what is only recommended goes when a package that is available refuses it, as with apt', () => {
    const from = universe({
      a: { depends: 'luit', recommends: 'utils' },
      luit: { breaks: 'utils' },
      utils: {},
    })
    expect(select(from, 'a', true)).toEqual(['a', 'luit'])
    const choice = universe({
      a: { depends: 'luit | x', recommends: 'utils' },
      luit: { breaks: 'utils' },
      utils: {},
      x: {},
    })
    expect(select(choice, 'a', true)).toEqual(['a', 'luit'])
  })

  it('conflicts count in both directions, by version and through Provides', () => {
    expect(failure(universe({ a: { conflicts: 'b' }, b: {} }), 'a b').message).toContain(
      'conflicts with a 1 (requested)',
    )
    expect(failure(universe({ a: {}, b: { breaks: 'a (<< 2)' } }), 'a b').code).toBe('UNRESOLVABLE')
    expect(select(universe({ a: {}, b: { breaks: 'a (<< 1)' } }), 'a b')).toEqual(['a', 'b'])
    expect(failure(universe({ a: { conflicts: 'v' }, b: { provides: 'v' } }), 'a b').code).toBe(
      'UNRESOLVABLE',
    )
    // a package that provides what it conflicts with: only one such at a time (policy 7.6.2)
    const mta = { provides: 'mta', conflicts: 'mta' }
    expect(select(universe({ a: mta, b: mta }), 'a')).toEqual(['a'])
    expect(failure(universe({ a: mta, b: mta }), 'a b').likely).toContain('conflict with each other')
  })

  it('names unknown packages, all of them, with near names and providers', () => {
    const from = universe({ jq: {}, postfix: { provides: 'mail-transport-agent' }, curl: {} })
    const error = failure(from, 'jqq mail-transport-agent nothing-like-it curl')
    expect(error.message).toBe(
      'no such package for amd64: jqq (did you mean jq?); mail-transport-agent is a virtual package; name one of postfix; nothing-like-it',
    )
    expect([error.code, error.exitCode, error.item]).toEqual(['UNRESOLVABLE', 4, 'stack.yaml:7:5'])
    expect(error.likely && error.next).toBeTruthy()
  })

  it('tells the whole chain and what each alternative lacked', () => {
    const from = universe({
      a: { depends: 'b' },
      b: { depends: 'c | d (>= 2) | e' },
      d: {},
      e: { depends: 'f' },
      'f 0.5': { depends: 'gone (= 3)' },
    })
    const error = failure(from, 'a')
    expect(error.message.split('\n')).toEqual([
      'a 1 cannot be installed:',
      '  a needs b',
      '    b needs c | d (>= 2) | e',
      '      c: no such package',
      '      d (>= 2): only 1 is available',
      '      e needs f',
      '        f needs gone (= 3)',
      '          gone (= 3): no such package',
    ])
    expect(error.item).toBe('stack.yaml:7:5')
  })

  it('shows both ends of a long chain', () => {
    const packages: Record<string, Fields> = {}
    for (let i = 0; i < 200; i++) packages[`p${i}`] = { depends: `p${i + 1}` }
    const { message } = failure(universe(packages), 'p0')
    expect(message).toContain('p0 needs p1\n')
    expect(message).toMatch(/… 161 lines left out …/)
    expect(message).toMatch(/p199 needs p200\n +p200: no such package$/)
  })

  it('does not drown: a hostile web of 2,000 alternatives fails in time', () => {
    const packages: Record<string, Fields> = { a: { depends: 'n0' } }
    for (let i = 0; i < 60; i++) packages[`n${i}`] = { depends: `n${i + 1} | m${i + 1}` }
    for (let i = 1; i < 62; i++) packages[`m${i}`] = { depends: `n${i + 1} | m${i + 1}, gone` }
    const error = failure(universe(packages), 'a')
    expect(error.message.split('\n').length).toBeLessThan(50)
  })

  it('does not drown where conflicts leave no way either', () => {
    const packages: Record<string, Fields> = { a: { depends: 'n0' }, enemy: {} }
    for (let i = 0; i < 30; i++) {
      packages[`n${i}`] = { depends: `x${i}, n${i + 1} | m${i + 1}` }
      packages[`m${i}`] = { depends: `y${i}, n${i + 1} | m${i + 1}` }
      packages[`x${i}`] = {}
      packages[`y${i}`] = {}
    }
    packages.n30 = { conflicts: 'enemy' }
    packages.m30 = { conflicts: 'enemy' }
    const start = performance.now()
    expect(failure(universe(packages), 'enemy a').code).toBe('UNRESOLVABLE')
    expect(performance.now() - start).toBeLessThan(20_000)
  })

  it('a chain of 20,000 packages ends with an error, not with the stack', () => {
    const packages: Record<string, Fields> = {}
    for (let i = 0; i < 20_000; i++) packages[`p${i}`] = { depends: `p${i + 1}` }
    packages.p20000 = {}
    expect(failure(universe(packages), 'p0').message).toContain('longer than 600 packages')
  })

  it('a chain of 1,001 packages ends with an error on the main thread, too, whose stack is smaller than that of a test', () => {
    const child = join(import.meta.dirname, 'long-chain-child.ts')
    expect(execFileSync(process.execPath, [child, '1001'], { encoding: 'utf8' })).toMatch(/^UNRESOLVABLE /)
    expect(execFileSync(process.execPath, [child, '590'], { encoding: 'utf8' })).toBe('590\n')
  })
})
