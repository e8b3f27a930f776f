import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { requirePrograms } from '../run.ts'
import { makeRandomImage } from '../upstreams/random-image.ts'
import { type BuildPeer, buildPeers } from './build-peers.ts'
import { type Measured, measure, median } from './measure.ts'
import { airgap, type Bench, MiB, runBench } from './options.ts'
import { atMost, type BenchRow, formatMegabytes, formatSeconds, informative } from './rows.ts'
import { startRegistry } from './servers.ts'

const layerSize = 128 * MiB
const layersPerImage = 4

/**
 * `scripts/bench build`: builds a bundle of random images from a local docker-registry, again with `--reuse`, and verifies it.
 *   --runs N     pairs of measurements (3)
 *   --only PART  build, reuse, verify (all)
 *   --size GiB   of all images (2)
 *   -o text|json
 * The peers copy the same images into one tar; none of them calls fsync, as our build does.
 */
await runBench({ size: 2 }, async bench => {
  requirePrograms(['docker-registry', 'skopeo', 'openssl', 'taskset'], '--with-peers')
  await using resources = new AsyncDisposableStack()
  const { work } = bench
  const registry = await startRegistry(join(work, 'registry'))
  resources.defer(() => registry.stop())
  const host = registry.url.replace('http://', '')
  const images = await pushImages(work, { host, gib: bench.numbers.size })
  const manifest = join(work, 'bench.yaml')
  const from = images.map(name => `docker.io/${name}`)
  await writeFile(
    manifest,
    JSON.stringify({
      apiVersion: 'airgap/v1',
      name: 'bench',
      version: '1.0.0',
      sources: [{ from: 'docker.io', to: [registry.url] }],
      images: from,
    }),
  )
  const common = ['-f', manifest, '--cache', join(work, 'cache')]
  await measure([...airgap, 'lock', ...common])
  const bundle = join(work, 'out', 'bundle.tar')
  const run: Run = { bench, images: images.map(name => `${host}/${name}`), common, bundle }
  await benchBuild(run, buildPeers(bench.table))
  if (bench.wants('reuse')) await benchReuse(run)
  if (bench.wants('verify')) await benchVerify(run)
})

interface Run {
  bench: Bench<'size'>
  /** references that the peers copy */
  images: string[]
  /** options of `airgap` */
  common: string[]
  bundle: string
}

async function pushImages(work: string, options: { host: string; gib: number }): Promise<string[]> {
  const count = Math.max(1, Math.round((options.gib * 1024 * MiB) / (layerSize * layersPerImage)))
  const names = Array.from({ length: count }, (_, i) => `bench/image-${i}:1`)
  for (const name of names) {
    const layout = join(work, 'layout')
    await makeRandomImage(layout, { layers: layersPerImage, layerSize })
    const target = `docker://${options.host}/${name}`
    await measure(['skopeo', 'copy', '-q', '--dest-tls-verify=false', `oci:${layout}:1`, target])
    await rm(layout, { recursive: true })
  }
  return names
}

async function benchBuild(run: Run, peers: BuildPeer[]): Promise<void> {
  const { bench, bundle, common } = run
  const folder = join(bench.work, 'out')
  const ours: Measured[] = []
  const theirs = peers.map((): Measured[] => [])
  let disk = 0
  for (let i = 0; i < (bench.wants('build') ? bench.runs : 1); i++) {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder)
    const poll = setInterval(() => {
      void onDisk(folder).then(bytes => {
        disk = Math.max(disk, bytes)
      })
    }, 50)
    ours.push(await measure([...airgap, 'build', ...common, '--frozen', '--out', bundle]))
    clearInterval(poll)
    if (!bench.wants('build')) return
    const programs = await unpackPrograms(run)
    for (const [at, peer] of peers.entries()) {
      const place = join(bench.work, 'peer')
      const file = join(bench.work, 'peer.tar')
      await mkdir(place)
      theirs[at]!.push(
        await measure(['sh', '-c', peer.script, 'sh', place, file, ...run.images], {
          env: { PROGRAMS: programs },
        }),
      )
      await rm(place, { recursive: true })
      await rm(file)
    }
  }
  const { size } = await stat(bundle)
  const what = `build of ${formatMegabytes(size)}, with fsync`
  const rows = peers.map((peer, at) => compared(what, { ours, peer: theirs[at]!, against: peer.name }))
  for (const row of rows) bench.table.add({ ...row, ...informative })
  const best = rows.toSorted((a, b) => b.value - a.value)[0]
  if (best) bench.table.add({ ...best, what: 'the same, against the best peer', ...atMost(0.8, best.value) })
  const used = disk / size
  bench.table.add({
    what: 'build, peak disk usage against the size of the bundle',
    ours: formatMegabytes(disk),
    peer: formatMegabytes(size),
    value: used,
    ...atMost(1.05, used),
  })
  bench.table.add(memoryRow('build, memory', { all: ours, limit: 200e6 }))
}

/** Returns the folder of what a bundle carries beside its images, so that the peers pack the same bytes. */
async function unpackPrograms({ bench, bundle }: Run): Promise<string> {
  await measure(['tar', '-xf', bundle, '-C', bench.work, 'offline-deploy'])
  return join(bench.work, 'offline-deploy')
}

/** A rebuild without changes: everything comes from the earlier bundle. */
async function benchReuse({ bench, bundle, common }: Run): Promise<void> {
  const second = join(bench.work, 'second.tar')
  const ours: Measured[] = []
  const copied: Measured[] = []
  for (let i = 0; i < bench.runs; i++) {
    copied.push(
      await measure(['sh', '-c', 'cp --reflink=never "$1" "$2" && sync "$2"', 'sh', bundle, second]),
    )
    await rm(second)
    // an unreachable registry proves that the network is not used
    const unreachable = ['--remap', 'docker.io=http://127.0.0.1:1']
    const built = ['build', ...common, '--frozen', '--reuse', bundle, ...unreachable, '--out', second]
    ours.push(await measure([...airgap, ...built]))
    await measure(['cmp', bundle, second])
    await rm(second)
  }
  const row = compared('build --reuse, without network', { ours, peer: copied, against: 'cp + sync' })
  bench.table.add({ ...row, ...atMost(1.3, row.value) })
}

async function benchVerify({ bench, bundle }: Run): Promise<void> {
  const ours: Measured[] = []
  const oneCore: Measured[] = []
  const peer: Measured[] = []
  const onOne = ['taskset', '-c', '0']
  for (let i = 0; i < bench.runs; i++) {
    ours.push(await measure([...airgap, 'verify', bundle]))
    peer.push(await measure(['openssl', 'dgst', '-sha256', bundle]))
    oneCore.push(await measure([...onOne, ...airgap, 'verify', bundle]))
  }
  const row = compared('verify, all cores', { ours, peer, against: 'openssl dgst' })
  bench.table.add({ ...row, ...atMost(0.6, row.value) })
  const alone = compared('verify, one core', { ours: oneCore, peer, against: 'openssl dgst' })
  bench.table.add({ ...alone, ...informative })
  bench.table.add(memoryRow('verify, memory', { all: ours, limit: 150e6 }))
}

function compared(
  what: string,
  { ours, peer, against }: { ours: Measured[]; peer: Measured[]; against: string },
): Omit<BenchRow, 'goal' | 'good'> {
  const middle = (all: Measured[], figure: 'seconds' | 'cpuSeconds') => median(all.map(one => one[figure]))
  const peak = (all: Measured[]) => Math.max(...all.map(one => one.memory))
  return {
    what,
    ours: formatSeconds(middle(ours, 'seconds')),
    peer: formatSeconds(middle(peer, 'seconds')),
    against,
    value: median(ours.map((one, i) => one.seconds / peer[i]!.seconds)),
    cpu: [middle(ours, 'cpuSeconds'), middle(peer, 'cpuSeconds')],
    memory: [peak(ours), peak(peer)],
  }
}

function memoryRow(what: string, { all, limit }: { all: Measured[]; limit: number }): BenchRow {
  const peak = Math.max(...all.map(one => one.memory))
  const value = peak / limit
  return { what, ours: formatMegabytes(peak), peer: formatMegabytes(limit), value, ...atMost(1, value) }
}

/** Returns the bytes that a folder occupies on the disk (blocks, not lengths). */
async function onDisk(folder: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(folder).catch(() => [])) {
    const found = await stat(join(folder, name)).catch(() => undefined)
    if (found) bytes += found.blocks * 512
  }
  return bytes
}
