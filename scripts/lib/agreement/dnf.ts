import { parseArgs } from 'node:util'
import { type Agreement, compareRandom } from './compare-with-dnf.ts'

/**
 * `scripts/agreement-dnf [--count N] [--rounds N] [--seed N] [--differences N]`: in each round, for each kind of repository,
 * resolves `--count` requests of one to three packages with dnf (its Python library) and with our closure.
 */
const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '50' },
    rounds: { type: 'string', default: '4' },
    seed: { type: 'string', default: '20240613' },
    differences: { type: 'string', default: '0' },
  },
})

/** `trouble`: with 0.3, there are more conflicts, obsoletes and conditions than in any distribution; 1 is a torture test. */
const kinds = [
  { what: 'alternatives, versions, files', names: 300, trouble: 0 },
  { what: 'with conditions, conflicts, obsoletes', names: 300, trouble: 0.3 },
  { what: 'the same, 1,000 names', names: 1000, trouble: 0.3 },
  { what: 'with weak dependencies', names: 300, trouble: 0.3, weak: true },
  { what: 'with two architectures', names: 300, trouble: 0.3, multilib: true },
  { what: 'with modules', names: 300, trouble: 0.3, modules: 10 },
  { what: 'everything', names: 500, trouble: 0.5, weak: true, multilib: true, modules: 10 },
  {
    what: 'torture test: everything, three times as much',
    names: 300,
    trouble: 1,
    weak: true,
    multilib: true,
    modules: 10,
  },
] as const

let compared = 0
let same = 0
for (const { what, ...kind } of kinds) {
  const all: Agreement = { compared: 0, same: 0, bothRefuse: 0, differences: [] }
  for (let round = 0; round < Number(options.rounds); round++) {
    const seed = Number(options.seed) + round
    const weak = 'weak' in kind
    const one = await compareRandom({
      seed,
      repositories: 2,
      requests: Number(options.count),
      ...kind,
      weak,
    })
    all.compared += one.compared
    all.same += one.same
    all.bothRefuse += one.bothRefuse
    all.differences.push(...one.differences)
  }
  compared += all.compared
  same += all.same
  console.log(
    `${what}: ${all.same} of ${all.compared} (${percent(all.same, all.compared)}), of them ${all.bothRefuse} refused by both`,
  )
  for (const { request, ours, dnfs } of all.differences.slice(0, Number(options.differences))) {
    console.log(
      `  ${request.join(' ')}\n    ours: ${JSON.stringify(ours)}\n    dnf:  ${JSON.stringify(dnfs)}`,
    )
  }
}
console.log(`total: ${same} of ${compared} (${percent(same, compared)})`)

function percent(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`
}
