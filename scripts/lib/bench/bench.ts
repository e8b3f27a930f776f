import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { home } from '../places.ts'
import { makeRandomImage } from '../upstreams/random-image.ts'
import { measure as measureProgram, median, peakMemory } from './measure.ts'
import { BenchTable, formatMegabytes, formatSeconds } from './rows.ts'

/**
 * `scripts/bench [--size GiB] [--runs N]`: builds a bundle of random images from a local docker-registry and compares each figure with
 * a peer's in the same run. Prints a table of figures and goals; exits with 1 if a goal is missed.
 */

const args = process.argv.slice(2)
const option = (name: string, fallback: number) => {
  const at = args.indexOf(name)
  return at < 0 ? fallback : Number(args[at + 1])
}
const gib = option('--size', 2)
const runs = option('--runs', 3)
const MiB = 1 << 20
const airgap = join(home, 'dist', 'airgap.mjs')
const layerSize = 128 * MiB
const layersPerImage = 4
const images = Math.max(1, Math.round((gib * 1024) / ((layerSize / MiB) * layersPerImage)))

const children = new Set<ChildProcess>()

const measure: typeof measureProgram = (command, options = {}) =>
  measureProgram(command, {
    cwd: home,
    started: child => {
      children.add(child)
      child.once('close', () => children.delete(child))
    },
    ...options,
  })

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  await new Promise(done => server.close(done))
  return port
}

/** Bytes that a folder occupies on the disk (blocks, not lengths). */
async function onDisk(folder: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(folder).catch(() => [])) {
    const found = await stat(join(folder, name)).catch(() => undefined)
    if (found) bytes += found.blocks * 512
  }
  return bytes
}

const table = new BenchTable()
const report = table.add

async function main(): Promise<void> {
  const work = await mkdtemp(join(process.env['AIRGAP_BENCH_TMP'] ?? tmpdir(), 'airgap-bench-'))
  let registry: ChildProcess | undefined
  try {
    const port = await freePort()
    const config = join(work, 'registry.yml')
    await writeFile(
      config,
      `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${work}/registry}}\nhttp: {addr: 127.0.0.1:${port}}\n`,
    )
    registry = spawn('docker-registry', ['serve', config], { stdio: 'ignore' })
    children.add(registry)
    const names: string[] = []
    for (let i = 0; i < images; i++) {
      const layout = join(work, `image-${i}`)
      await makeRandomImage(layout, { layers: layersPerImage, layerSize })
      await measure([
        'skopeo',
        'copy',
        '-q',
        '--dest-tls-verify=false',
        `oci:${layout}:1`,
        `docker://127.0.0.1:${port}/bench/image-${i}:1`,
      ])
      await rm(layout, { recursive: true })
      names.push(`bench/image-${i}:1`)
    }
    const manifest = join(work, 'bench.yaml')
    await writeFile(
      manifest,
      `apiVersion: airgap/v1\nname: bench\nversion: 1.0.0\nsources:\n  - from: docker.io\n    to: ["http://127.0.0.1:${port}"]\nimages:\n${names.map(name => `  - docker.io/${name}\n`).join('')}`,
    )
    const common = ['-f', manifest, '--cache', join(work, 'cache')]
    await measure([airgap, 'lock', ...common])
    await benchBuild({ work, port, names, common })
    await benchReuse(work, common)
    await benchVerify(work)
    await benchServe(work)
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await rm(work, { recursive: true, force: true })
  }
}

async function benchBuild(bench: {
  work: string
  port: number
  names: string[]
  common: string[]
}): Promise<void> {
  const { work, port, names, common } = bench
  const out = join(work, 'out')
  const ours: number[] = []
  const peer: number[] = []
  let memory = 0
  let disk = 0
  for (let run = 0; run < runs; run++) {
    await rm(out, { recursive: true, force: true })
    await mkdir(out)
    const poll = setInterval(() => {
      void onDisk(out).then(bytes => {
        disk = Math.max(disk, bytes)
      })
    }, 50)
    const built = await measure([
      'node',
      airgap,
      'build',
      ...common,
      '--frozen',
      '--out',
      join(out, 'bundle.tar'),
    ])
    clearInterval(poll)
    ours.push(built.seconds)
    memory = Math.max(memory, built.memory)

    const folder = join(work, 'skopeo')
    await mkdir(folder)
    const started = performance.now()
    for (const name of names) {
      await measure([
        'skopeo',
        'copy',
        '-q',
        '--src-tls-verify=false',
        `docker://127.0.0.1:${port}/${name}`,
        `oci:${folder}/${name.replace(/\W/g, '-')}:1`,
      ])
    }
    await measure(['tar', 'cf', join(work, 'skopeo.tar'), '-C', folder, '.'])
    peer.push((performance.now() - started) / 1000)
    await rm(folder, { recursive: true })
    await rm(join(work, 'skopeo.tar'))
  }
  const size = (await stat(join(out, 'bundle.tar'))).size
  const ratio = median(ours.map((seconds, i) => seconds / peer[i]!))
  report({
    what: `build ${formatMegabytes(size)}, against skopeo copy + tar cf`,
    ours: formatSeconds(median(ours)),
    peer: formatSeconds(median(peer)),
    value: ratio,
    goal: '≤ 0.7',
    good: ratio <= 0.7,
  })
  const room = disk / size
  report({
    what: 'build, peak disk usage',
    ours: formatMegabytes(disk),
    peer: formatMegabytes(size),
    value: room,
    goal: '≤ 1.05',
    good: room <= 1.05,
  })
  report({
    what: 'build, peak memory',
    ours: formatMegabytes(memory),
    peer: '200 MB',
    value: memory / 200e6,
    goal: '≤ 1',
    good: memory <= 200e6,
  })
}

/** Rebuild without changes: everything comes from the earlier bundle. The peer is `cp` and `sync`, because a build ends with fsync. */
async function benchReuse(work: string, common: string[]): Promise<void> {
  const bundle = join(work, 'out', 'bundle.tar')
  const second = join(work, 'second.tar')
  const copied = await measure([
    'sh',
    '-c',
    'cp --reflink=never "$1" "$2" && sync "$2"',
    'sh',
    bundle,
    second,
  ])
  await rm(second)
  // an unreachable registry proves that the network is not used
  const built = await measure([
    'node',
    airgap,
    'build',
    ...common,
    '--frozen',
    '--reuse',
    bundle,
    '--remap',
    'docker.io=http://127.0.0.1:1',
    '--out',
    second,
  ])
  const ratio = built.seconds / copied.seconds
  report({
    what: 'build --reuse, no network, against cp + sync',
    ours: formatSeconds(built.seconds),
    peer: formatSeconds(copied.seconds),
    value: ratio,
    goal: '(for information)',
    good: true,
  })
  await measure(['cmp', bundle, second])
  await rm(second)
}

async function benchVerify(work: string): Promise<void> {
  const bundle = join(work, 'out', 'bundle.tar')
  const pairs: number[] = []
  const ours: number[] = []
  const peer: number[] = []
  let memory = 0
  for (let run = 0; run < runs; run++) {
    const a = await measure(['taskset', '-c', '0', airgap, 'verify', bundle])
    const b = await measure(['taskset', '-c', '0', 'openssl', 'dgst', '-sha256', bundle])
    ours.push(a.seconds)
    peer.push(b.seconds)
    pairs.push(b.seconds / a.seconds)
    memory = Math.max(memory, a.memory)
  }
  const speed = median(pairs)
  report({
    what: 'verify on one core, speed against openssl dgst',
    ours: formatSeconds(median(ours)),
    peer: formatSeconds(median(peer)),
    value: speed,
    goal: '≥ 0.9',
    good: speed >= 0.9,
  })
  report({
    what: 'verify, peak memory',
    ours: formatMegabytes(memory),
    peer: '200 MB',
    value: memory / 200e6,
    goal: '≤ 1',
    good: memory <= 200e6,
  })
}

async function benchServe(work: string): Promise<void> {
  const folder = join(work, 'out')
  await measure([
    'tar',
    'xf',
    join(folder, 'bundle.tar'),
    '-C',
    folder,
    '--occurrence=1',
    'offline-deploy/offline-deploy',
    'offline-deploy/node',
    'offline-deploy/offline-deploy.mjs',
  ])
  const [registryPort, httpPort] = [await freePort(), await freePort()]
  const before = await onDisk(folder)
  const times: number[] = []
  let memory = 0
  for (let run = 0; run < Math.max(runs, 3); run++) {
    const started = performance.now()
    const child = spawn(
      join(folder, 'offline-deploy', 'offline-deploy'),
      [
        'serve',
        '--bundle',
        join(folder, 'bundle.tar'),
        '--site',
        join(work, 'site'),
        '--address',
        '127.0.0.1',
        '--listen',
        '127.0.0.1',
        '--registry-port',
        String(registryPort),
        '--http-port',
        String(httpPort),
      ],
      { stdio: 'ignore', env: {} },
    )
    children.add(child)
    const url = `http://127.0.0.1:${registryPort}/v2/bench/image-0/manifests/1`
    const accept = 'application/vnd.oci.image.manifest.v1+json'
    for (;;) {
      const answer = await fetch(url, { headers: { accept } }).catch(() => undefined)
      if (answer?.ok) break
      if (performance.now() - started > 20_000) throw new Error('serve did not answer')
      await new Promise(go => setTimeout(go, 5))
    }
    times.push((performance.now() - started) / 1000)
    const manifest = (await (await fetch(url, { headers: { accept } })).json()) as {
      layers: { digest: string }[]
    }
    for (const layer of manifest.layers) {
      const body = (await fetch(`http://127.0.0.1:${registryPort}/v2/bench/image-0/blobs/${layer.digest}`))
        .body!
      for await (const _ of body) memory = Math.max(memory, 0)
    }
    memory = Math.max(memory, peakMemory(child.pid))
    const gone = new Promise(done => child.once('close', done))
    child.kill('SIGTERM')
    await gone
    children.delete(child)
  }
  const start = median(times)
  report({
    what: 'serve, start to first manifest',
    ours: formatSeconds(start),
    peer: '0.5 s',
    value: start / 0.5,
    goal: '< 1',
    good: start < 0.5,
  })
  report({
    what: 'serve, peak memory',
    ours: formatMegabytes(memory),
    peer: '200 MB',
    value: memory / 200e6,
    goal: '≤ 1',
    good: memory <= 200e6,
  })
  const extra = (await onDisk(folder)) - before
  report({
    what: 'serve, bytes written beside the bundle',
    ours: String(extra),
    peer: '0',
    value: extra,
    goal: '0',
    good: extra === 0,
  })
}

await main()
process.stdout.write(`\n${table.text()}`)
process.exit(table.good ? 0 : 1)
