import { describe, expect, it } from 'vitest'
import { randomOf } from '../../../scripts/lib/upstreams/seeded-random.ts'
import { both, ourOutcome, universeOf } from './support/both.ts'
import { missing } from './support/programs.ts'
import { randomWorld, type World, type WorldShape } from './support/random-world.ts'

const lacking = missing('apt-get')

/** Far denser than any archive: every choice, refusal and retreat of apt's comes up within a few worlds. */
const shapes: [string, WorldShape][] = [
  ['alternatives, Provides and Recommends', { packages: 25 }],
  ['Conflicts and Breaks', { packages: 25, conflicts: true }],
  ['several suites with pins', { packages: 25, suites: true }],
  ['two architectures', { packages: 25, foreign: true }],
  ['a base system', { packages: 25, base: true }],
]

describe.skipIf(lacking.length > 0)(
  `made-up archives and apt (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    it.each(shapes)(
      '%s',
      async (_, shape) => {
        let installed = 0
        for (let seed = 1; seed <= 4; seed++) {
          const world = randomWorld(randomOf(seed), shape)
          const machine = {
            ...world,
            installed: shape.base ? baseOf(world) : [],
            foreign: shape.foreign ? ['i386'] : [],
          }
          await using sides = await both(machine)
          for (const names of world.requests) {
            for (const recommends of [false, true]) {
              const theirs = await sides.apts({ names, recommends })
              const told = `seed ${seed}: ${names.join(' ')}${recommends ? ' with Recommends' : ''}`
              expect(sides.ours({ names, recommends }), told).toEqual(theirs)
              if (theirs !== 'refused') installed += theirs.length
            }
          }
        }
        expect(installed).toBeGreaterThan(40)
      },
      30_000,
    )
  },
)

/** A machine whose packages have all that they need: the largest closure among what the world would have installed. */
function baseOf(world: World) {
  const { packages } = world.suites.stable!
  const universe = universeOf({ suites: { stable: { packages } } })
  let largest: string[] = []
  for (const { name } of world.installed) {
    const outcome = ourOutcome(universe, { names: [name], recommends: false, at: 'test' })
    if (outcome !== 'refused' && outcome.length > largest.length) largest = outcome
  }
  return packages.filter(one => largest.includes(`${one.name}_${one.version}_${one.architecture}`))
}
