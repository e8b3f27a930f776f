import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AirgapError } from '../../../src/core/errors.ts'
import { has, requirePrograms } from '../run.ts'
import { both, type Compared, compare, cpuOf, memoryOf, middle, ratioOf, throughput } from './compare.ts'
import { cpuPerGiB, type Loaded, load, settled } from './load.ts'
import { median } from './measure.ts'
import { type Bench, GiB, MiB, runBench } from './options.ts'
import { pushes } from './push.ts'
import {
  atLeast,
  atMost,
  type BenchRow,
  formatMegabytes,
  formatMilliseconds,
  formatSeconds,
  informative,
} from './rows.ts'
import { buildBundle, imageNames, packages, pushImages } from './serve-content.ts'
import { type Server, startNginx, startOurs, startRegistry, startZot } from './servers.ts'

/**
 * `scripts/bench serve`: the program of a real bundle, compared with docker-registry, zot and nginx over the same content.
 *   --runs N      pairs of measurements (3)
 *   --only PART   downloads, tls, manifests, first-byte, many, slow, packages, push (all)
 *   --size MiB    the blob of `downloads` (512)
 *   --seconds N   the length of `manifests` and `slow` (5)
 *   -o text|json
 * Both programs run in the same run, in turn; each first serves everything once, so that the page cache and what each of them remembers
 * is warm.
 */
await runBench({ size: 512, seconds: 5 }, async bench => {
  requirePrograms(
    ['bench-load', 'docker-registry', 'skopeo', 'gpg', 'apt-ftparchive'],
    '--with-clients --with-peers',
  )
  await using resources = new AsyncDisposableStack()
  const started = (server: Server) => {
    resources.defer(() => server.stop())
    return server
  }
  const { work, table } = bench
  const registry = started(await startRegistry(join(work, 'registry')))
  const peers = [registry]
  if (has('zot')) peers.push(started(await startZot(join(work, 'zot'))))
  else table.leaveOut('zot')
  await pushImages(work, { to: peers, largeSize: bench.numbers.size * MiB })
  const archive = await buildBundle(work, registry)

  if (bench.wants('first-byte')) await firstByte(bench)
  const ours = started(await startOurs(work, { fresh: true }))
  const large = await layerOf(registry, 'bench/large')
  const huge = await layerOf(registry, 'bench/huge')
  for (const server of [ours, ...peers]) {
    await load(server, [server.url + large, server.url + huge])
    await settled(server.pid)
  }
  const run: Run = { bench, ours, peers, large, huge, archive }
  if (bench.wants('downloads')) for (const clients of [1, 4, 16, 48]) await downloads(run, clients)
  if (bench.wants('tls')) await encrypted(run)
  if (bench.wants('manifests')) await manifests(run)
  if (bench.wants('packages')) await packageDownloads(run)
  if (bench.wants('slow')) await slow(run)
  if (bench.wants('many')) await many(run)
  if (bench.wants('push')) await pushes(run)
})

interface Run {
  bench: Bench<'size' | 'seconds'>
  ours: Server
  peers: readonly Server[]
  /** paths of blobs */
  large: string
  huge: string
  /** path of the archive of packages */
  archive: string
}

async function downloads(run: Run, clients: number): Promise<void> {
  const { bench, large } = run
  const all = await compare(run, {
    times: bench.runs,
    table: bench.table,
    args: server => ['-clients', String(clients), server.url + large],
  })
  const what = `full GET of ${bench.numbers.size} MiB, ${clients} clients`
  for (const compared of all) {
    const ratio = ratioOf(compared, loaded => loaded.seconds)
    bench.table.add({
      what: `${what}: time; CPU s/GiB`,
      ours: throughput(middle(compared.ours)),
      peer: throughput(middle(compared.peer)),
      against: compared.against,
      value: ratio,
      cpu: cpuOf(compared),
      memory: memoryOf(compared),
      ...([1, 16].includes(clients) ? atMost(1, ratio) : informative),
    })
    if (compared.against !== 'docker-registry') continue
    const cpu = ratioOf(compared, cpuPerGiB)
    const [ours, peer] = cpuOf(compared)
    bench.table.add({
      what: `${what}: CPU s/GiB`,
      ours: ours.toFixed(2),
      peer: peer.toFixed(2),
      against: compared.against,
      value: cpu,
      ...atMost(1.2, cpu),
    })
  }
  const first = all[0]
  if (!first) return
  if (clients > 1) bench.table.add(fairness(what, first))
  const { ours, peer } = first
  const client = [...ours, ...peer].map(loaded => loaded.cpuSeconds / (loaded.bytes / GiB))
  process.stderr.write(`      bench-load itself: ${median(client).toFixed(2)} CPU s/GiB\n`)
}

/** The same server with TLS: a goal is at least 0.7 of the speed without. */
async function encrypted({ bench, ours, large }: Run): Promise<void> {
  const server = { ...(await startOurs(bench.work, { tls: true })), name: 'with TLS' }
  try {
    // crypto/x509 of bench-load reads its roots from there
    process.env['SSL_CERT_FILE'] = server.caFile
    await load(server, [server.url + large])
    await settled(server.pid)
    for (const clients of [1, 4, 16]) {
      const all = await compare(
        { ours: server, peers: [{ ...ours, name: 'without TLS' }] },
        {
          times: bench.runs,
          table: bench.table,
          args: ({ url }) => ['-clients', String(clients), url + large],
        },
      )
      for (const compared of all) {
        const speed = ratioOf(compared, loaded => loaded.bytes / loaded.seconds)
        bench.table.add({
          what: `TLS: full GET of ${bench.numbers.size} MiB, ${clients} clients: speed; CPU s/GiB`,
          ours: throughput(middle(compared.ours)),
          peer: throughput(middle(compared.peer)),
          against: compared.against,
          value: speed,
          cpu: cpuOf(compared),
          memory: memoryOf(compared),
          ...atLeast(0.7, speed),
        })
      }
    }
  } finally {
    delete process.env['SSL_CERT_FILE']
    await server.stop()
  }
}

/** The slowest client against the fastest: all of them load the same bytes. */
function fairness(what: string, { ours, peer, against }: Compared): BenchRow {
  const share = (loaded: Loaded) => {
    const seconds = loaded.clients.map(client => client.seconds)
    return Math.min(...seconds) / Math.max(...seconds)
  }
  const [own, theirs] = [median(ours.map(share)), median(peer.map(share))]
  return {
    what: `${what}: speed of the slowest against the fastest`,
    ours: own.toFixed(2),
    peer: theirs.toFixed(2),
    against,
    value: own,
    ...atLeast(0.5, own),
  }
}

async function manifests(run: Run): Promise<void> {
  const { bench } = run
  const accept = 'Accept: application/vnd.oci.image.manifest.v1+json'
  const all = await compare(run, {
    times: bench.runs,
    table: bench.table,
    args: ({ url }) => [
      '-clients',
      '64',
      '-seconds',
      String(bench.numbers.seconds),
      '-spread',
      '-header',
      accept,
      ...imageNames.map(name => `${url}/v2/${name}/manifests/1`),
    ],
  })
  for (const compared of all) {
    const isGoal = compared.against === 'zot'
    const speed = (loaded: Loaded) => loaded.requests / loaded.seconds
    const rate = ratioOf(compared, speed)
    const [ourRate, peerRate] = both(compared, speed)
    const per10k = (loaded: Loaded) => (loaded.serverCpu / loaded.requests) * 10_000
    bench.table.add({
      what: 'manifests/s, 64 connections; CPU s for 10,000',
      ours: ourRate.toFixed(0),
      peer: peerRate.toFixed(0),
      against: compared.against,
      value: rate,
      cpu: both(compared, per10k),
      memory: memoryOf(compared),
      ...(isGoal ? atLeast(1, rate) : informative),
    })
    for (const at of ['p50', 'p99'] as const) {
      const latency = (loaded: Loaded) => loaded.wholeMs[at]
      const ratio = ratioOf(compared, latency)
      const [ours, peer] = both(compared, latency)
      bench.table.add({
        what: `manifests, 64 connections: ${at}`,
        ours: formatMilliseconds(ours),
        peer: formatMilliseconds(peer),
        against: compared.against,
        value: ratio,
        ...(isGoal && at === 'p99' ? atMost(1, ratio) : informative),
      })
    }
  }
}

/** On a server that has just started, and has no state from an earlier run. */
async function firstByte(bench: Run['bench']): Promise<void> {
  const ranges = {
    'a blob': undefined,
    'the first 64 MiB of a blob': 'bytes=0-67108863',
    'the last 64 MiB of a blob': 'bytes=-67108864',
  }
  for (const [what, range] of Object.entries(ranges)) {
    const times: Loaded[] = []
    for (let i = 0; i < bench.runs; i++) {
      const server = await startOurs(bench.work, { fresh: true })
      try {
        const path = await layerOf(server, 'bench/huge')
        times.push(await load(server, [...(range ? ['-header', `Range: ${range}`] : []), server.url + path]))
      } finally {
        await server.stop()
      }
    }
    const first = median(times.map(loaded => loaded.firstByteMs.max))
    bench.table.add({
      what: `first byte of ${what} of 1 GiB, never verified; whole answer in ${formatSeconds(middle(times).seconds)}`,
      ours: formatMilliseconds(first),
      peer: '50 ms',
      value: first / 50,
      ...atMost(1, first / 50),
    })
  }
}

/** 64 clients load 1 GiB each: what it takes in memory. */
async function many(run: Run): Promise<void> {
  const all = await compare(run, {
    times: 1,
    table: run.bench.table,
    args: server => ['-clients', '64', server.url + run.huge],
  })
  for (const compared of all) {
    const ratio = ratioOf(compared, loaded => loaded.seconds)
    run.bench.table.add({
      what: '64 clients, 1 GiB each: time; CPU s/GiB',
      ours: formatSeconds(compared.ours[0]!.seconds),
      peer: formatSeconds(compared.peer[0]!.seconds),
      against: compared.against,
      value: ratio,
      cpu: cpuOf(compared),
      memory: memoryOf(compared),
      ...informative,
    })
  }
  if (all.length > 0) run.bench.table.add(memoryRow('64 clients, 1 GiB each: memory', all))
}

/** 1,000 clients that read 64 KiB a second. */
async function slow(run: Run): Promise<void> {
  const seconds = String(run.bench.numbers.seconds)
  const all = await compare(run, {
    times: 1,
    table: run.bench.table,
    args: server => ['-clients', '1000', '-rate', '65536', '-seconds', seconds, server.url + run.huge],
  })
  if (all.length > 0) run.bench.table.add(memoryRow('1,000 slow clients: memory', all))
}

function memoryRow(what: string, all: Compared[]): BenchRow {
  const [ours] = memoryOf(all[0]!)
  const peers = all.map(compared => `${compared.against} ${formatMegabytes(memoryOf(compared)[1])}`)
  return {
    what: `${what} (${peers.join(', ')})`,
    ours: formatMegabytes(ours),
    peer: '400 MB',
    value: ours / 400e6,
    ...atMost(1, ours / 400e6),
  }
}

/** An index of packages and its packages, which nginx serves from files that were downloaded from us. */
async function packageDownloads(run: Run): Promise<void> {
  const { bench, ours } = run
  if (!has('nginx')) {
    bench.table.leaveOut('nginx')
    return
  }
  const root = join(bench.work, 'nginx')
  const paths = await copySite(ours, { root, archive: run.archive })
  const nginx = await startNginx(root, join(bench.work, 'nginx-state'))
  try {
    for (const clients of [1, 16]) {
      const all = await compare(
        { ours, peers: [nginx] },
        {
          times: bench.runs,
          table: bench.table,
          args: server => [
            '-clients',
            String(clients),
            '-requests',
            String(paths.length * 10),
            ...paths.map(path => (server === nginx ? server.url : server.files!) + path),
          ],
        },
      )
      const compared = all[0]
      if (!compared) continue
      const ratio = ratioOf(compared, loaded => loaded.seconds)
      bench.table.add({
        what: `apt index and ${packages} packages, 10 times, ${clients} clients: time; CPU s/GiB`,
        ours: formatSeconds(middle(compared.ours).seconds),
        peer: formatSeconds(middle(compared.peer).seconds),
        against: compared.against,
        value: ratio,
        cpu: cpuOf(compared),
        memory: memoryOf(compared),
        ...informative,
      })
    }
  } finally {
    await nginx.stop()
  }
}

/** Returns the paths that apt would request. */
async function copySite(
  { files }: Server,
  { root, archive }: { root: string; archive: string },
): Promise<string[]> {
  const download = async (path: string): Promise<Buffer> => {
    const answer = await fetch(files + path)
    const bytes = Buffer.from(await answer.arrayBuffer())
    if (!answer.ok) {
      throw new AirgapError('STEP_FAILED', `the site answered ${answer.status}`, {
        item: path,
        next: 'read its log: run the benchmark again with AIRGAP_BENCH_VERBOSE=1',
      })
    }
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), bytes)
    return bytes
  }
  const release = `${archive}/dists/bookworm/InRelease`
  await download(release)
  const index = `${archive}/dists/bookworm/main/binary-amd64/Packages`
  const listed = (await download(index)).toString()
  const pool = [...listed.matchAll(/^Filename: (.+)$/gm)].map(match => `${archive}/${match[1]}`)
  for (const path of pool) await download(path)
  return [release, index, ...pool]
}

/** Returns the path of the blob that is the first layer of an image. */
async function layerOf({ url }: Server, name: string): Promise<string> {
  const accept = 'application/vnd.oci.image.manifest.v1+json'
  const answer = await fetch(`${url}/v2/${name}/manifests/1`, { headers: { accept } })
  const manifest = (await answer.json()) as { layers: { digest: string }[] }
  return `/v2/${name}/blobs/${manifest.layers[0]!.digest}`
}
