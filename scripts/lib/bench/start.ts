import { join } from 'node:path'
import { home } from '../places.ts'
import { type Measured, measure, median } from './measure.ts'
import { airgap, runBench } from './options.ts'
import { atMost, formatMilliseconds, informative } from './rows.ts'

/**
 * `scripts/bench start`: how long the programs take until they do something, against Node.js that does nothing.
 *   --runs N     pairs of measurements (11)
 *   --only PART  of the command line
 *   -o text|json
 */
const offlineDeploy = ['node', join(home, 'dist', 'offline-deploy.mjs')]
const limitMs = 60
const commands = [
  { command: [...airgap, '--version'], goal: true },
  { command: [...offlineDeploy, '--version'], goal: true },
  { command: [...airgap, '--help'], goal: false },
  { command: [...offlineDeploy, '--help'], goal: false },
  { command: [...airgap, 'lock', '--help'], goal: false },
  { command: [...offlineDeploy, 'serve', '--help'], goal: false },
]

await runBench({ runs: 11 }, async bench => {
  for (const { command, goal } of commands) {
    const what = command.slice(1).join(' ').replace(`${home}/`, '')
    if (!bench.wants(what)) continue
    const ours: Measured[] = []
    const nothing: Measured[] = []
    for (let i = 0; i < bench.numbers.runs; i++) {
      ours.push(await measure(command))
      nothing.push(await measure(['node', '-e', '0']))
    }
    const ms = (all: Measured[]) => median(all.map(one => one.seconds * 1000))
    bench.table.add({
      what: `${what}${goal ? ` (goal: ${limitMs} ms)` : ''}`,
      ours: formatMilliseconds(ms(ours)),
      peer: formatMilliseconds(ms(nothing)),
      against: 'node -e 0',
      value: ms(ours) / ms(nothing),
      cpu: [median(ours.map(one => one.cpuSeconds)), median(nothing.map(one => one.cpuSeconds))],
      ...(goal ? { ...atMost(1, ms(ours) / limitMs), goal: `≤ ${limitMs} ms` } : informative),
    })
  }
})
