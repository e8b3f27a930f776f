import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Measured, measure } from './measure.ts'
import { airgap, runBench } from './options.ts'
import { atMost, formatSeconds, informative } from './rows.ts'

/**
 * `scripts/bench scale`: locks, builds and verifies a tree of many small files. A step whose CPU time per file grows with their number is
 * not linear.
 *   --runs N    measurements of each number; the fastest counts (1)
 *   --only PART lock, build, verify (all)
 *   --max N     the largest number of files (50000)
 *   -o text|json
 */
const steps = ['lock', 'build', 'verify'] as const
/** bytes of a file */
const fileSize = 200

await runBench({ max: 50_000, runs: 1 }, async bench => {
  const numbers = [100, 1000, 10_000, 50_000].filter(number => number <= bench.numbers.max)
  const measured = new Map<number, Record<(typeof steps)[number], number>>()
  for (const files of numbers) {
    const cpu = { lock: Infinity, build: Infinity, verify: Infinity }
    const tree = join(bench.work, 'tree')
    await makeTree(tree, files)
    const manifest = join(bench.work, 'bench.yaml')
    await writeFile(
      manifest,
      JSON.stringify({
        apiVersion: 'airgap/v1',
        name: 'bench',
        version: '1.0.0',
        trees: [{ name: 'deploy', from: tree }],
      }),
    )
    const bundle = join(bench.work, 'bundle.tar')
    const common = ['-f', manifest, '--cache', join(bench.work, 'cache')]
    const commands = {
      lock: ['lock', ...common],
      build: ['build', ...common, '--frozen', '--out', bundle],
      verify: ['verify', bundle],
    }
    for (const step of steps) {
      const all: Measured[] = []
      for (let i = 0; i < bench.numbers.runs; i++) {
        all.push(await measure([...airgap, ...commands[step]]))
        if (step === 'build' && i + 1 < bench.numbers.runs) await rm(bundle)
      }
      const fastest = all.toSorted((a, b) => a.cpuSeconds - b.cpuSeconds)[0]!
      cpu[step] = fastest.cpuSeconds
      if (!bench.wants(step)) continue
      bench.table.add({
        what: `${step} of ${files} files; CPU s`,
        ours: formatSeconds(fastest.seconds),
        peer: '–',
        value: fastest.cpuSeconds,
        cpu: [fastest.cpuSeconds, undefined],
        memory: [Math.max(...all.map(one => one.memory)), undefined],
        ...informative,
      })
    }
    await rm(bundle)
    measured.set(files, cpu)
    await rm(tree, { recursive: true })
  }
  const most = numbers.at(-1)!
  for (const step of steps.filter(bench.wants)) {
    const perFile = (files: number) => (measured.get(files)![step] / files) * 1000
    const between = (less: number, more: number) =>
      ((measured.get(more)![step] - measured.get(less)![step]) / (more - less)) * 1000
    const rows = [
      {
        what: `${step}: CPU ms per file of ${most} and of 1000 files`,
        more: perFile(most),
        less: perFile(1000),
      },
    ]
    // without what every run costs, however few the files are
    if (most > 10_000) {
      const [more, less] = [between(10_000, most), between(1000, 10_000)]
      rows.push({ what: `${step}: CPU ms per file over 10000, and over 1000`, more, less })
    }
    for (const { what, more, less } of rows) {
      const value = more / less
      bench.table.add({ what, ours: more.toFixed(3), peer: less.toFixed(3), value, ...atMost(1.5, value) })
    }
  }
})

async function makeTree(root: string, files: number): Promise<void> {
  for (let at = 0; at < files; at += 100) {
    const folder = join(root, String(Math.floor(at / 100)))
    await mkdir(folder, { recursive: true })
    const names = Array.from({ length: Math.min(100, files - at) }, (_, i) => `file-${at + i}.txt`)
    await Promise.all(
      names.map(name => writeFile(join(folder, name), `${name}\n`.repeat(fileSize).slice(0, fileSize))),
    )
  }
}
