import { parseArgs } from 'node:util'
import { randomOf } from '../upstreams/seeded-random.ts'
import { debianPairs, differencesFromDpkg, differencesFromRpm, rpmPairs } from './compare-versions.ts'

/** `scripts/agreement-versions [--count N] [--seed N]`: orders random pairs of versions as dpkg does and as rpm does. */
const { values: options } = parseArgs({
  options: { count: { type: 'string', default: '100000' }, seed: { type: 'string', default: '20240613' } },
})
const random = randomOf(Number(options.seed))
const count = Number(options.count)

let different = 0
for (const [peer, pairs, check] of [
  ['rpm', rpmPairs, differencesFromRpm],
  ['dpkg', debianPairs, differencesFromDpkg],
] as const) {
  const ordered = pairs(count, random)
  const differences = await check(ordered)
  const equal = ordered.filter(([, , ours]) => ours === 0).length
  console.log(`${peer}: ${count} pairs (${equal} of them equal), ${differences.length} ordered differently`)
  for (const line of differences.slice(0, 20)) console.log(`  ${line}`)
  different += differences.length
}
process.exitCode = different > 0 ? 1 : 0
