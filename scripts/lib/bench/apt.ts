import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { debKind } from '../../../src/kinds/deb/index.ts'
import type { LockedDebs } from '../../../src/kinds/deb/locked.ts'
import { readLock } from '../../../src/lock/lock.ts'
import { aptSandbox } from '../../../test/kinds/deb/support/apt.ts'
import { home } from '../places.ts'
import { run } from '../run.ts'
import { serveFolder } from '../upstreams/serve-folder.ts'
import { measure, median } from './measure.ts'
import { type BenchRow, formatMegabytes, formatSeconds } from './rows.ts'

const keyring = join(home, 'manifests', 'keys', 'debian-archive.asc')
const paths = ['dists/bookworm/InRelease', 'dists/bookworm/main/binary-amd64/Packages.xz']
/** 200 packages are requested from its dependencies: those of one desktop can be installed together */
const pool = 'task-gnome-desktop'
const requested = 200

/**
 * Resolves 200 packages of Debian 12 main. Peer: apt with its lists fetched, no pkgcache, `--print-uris`. Ours, in a separate process:
 * Release and its signature, parsing, resolving, with the index in the cache; and for comparison all of `airgap lock`.
 */
export async function benchApt(work: string, { runs }: { runs: number }): Promise<BenchRow[]> {
  await using resources = new AsyncDisposableStack()
  const mirror = join(work, 'debian')
  for (const path of paths) {
    await mkdir(join(mirror, dirname(path)), { recursive: true })
    const url = `http://deb.debian.org/debian/${path}`
    await run(['curl', '--fail', '--silent', '--show-error', '--output', join(mirror, path), url])
  }
  const server = await serveFolder(mirror)
  resources.defer(() => server.close())
  const place = join(work, 'apt')
  const apt = await aptSandbox(place, {
    sources: `Types: deb\nURIs: ${server.url}\nSuites: bookworm\nComponents: main\nSigned-By: ${keyring}\n`,
  })
  await apt.apt('update')
  const names = spread(
    (await apt.wouldInstall([pool])).map(file => file.split('_')[0]!),
    requested,
  )
  const manifest = join(work, 'bench-apt.yaml')
  await writeFile(manifest, JSON.stringify(manifestOf(server.url, names)))
  const lock = join(work, 'bench-apt.lock.json')
  const ours = [
    'node',
    join(home, 'dist', 'airgap.mjs'),
    'lock',
    '-f',
    manifest,
    '--lock',
    lock,
    '--cache',
    join(work, 'bench-apt-cache'),
  ]
  const peer = ['apt-get', 'install', '-y', '--no-install-recommends', '--print-uris', ...names]
  await measure(ours)
  const alone = ['node', await bundled(work), join(work, 'alone'), server.url, keyring, ...names]
  await measure(alone)
  const pairs: { ours: number; alone: number; peer: number; memory: number }[] = []
  for (let i = 0; i < runs; i++) {
    await rm(lock)
    const a = await measure(ours)
    for (const name of ['pkgcache.bin', 'srcpkgcache.bin'])
      await rm(join(place, 'cache', name), { force: true })
    const b = await measure(peer, { cwd: place, env: { APT_CONFIG: join(place, 'apt.conf') } })
    const c = await measure(alone)
    pairs.push({ ours: a.seconds, alone: c.seconds, peer: b.seconds, memory: Math.max(a.memory, c.memory) })
  }
  const locked = await lockedNames(lock)
  const theirs = await apt.wouldInstall(names)
  const memory = Math.max(...pairs.map(pair => pair.memory))
  const ratio = median(pairs.map(pair => pair.alone / pair.peer))
  const same = theirs.filter(name => locked.has(name)).length
  return [
    {
      what: `Debian 12 main, ${requested} packages requested, ${theirs.length} found: parse and resolve, against apt`,
      ours: formatSeconds(median(pairs.map(pair => pair.alone))),
      peer: formatSeconds(median(pairs.map(pair => pair.peer))),
      value: ratio,
      goal: '≤ 1.0',
      good: ratio <= 1,
    },
    {
      what: 'the same, with everything else that `airgap lock` does',
      ours: formatSeconds(median(pairs.map(pair => pair.ours))),
      peer: formatSeconds(median(pairs.map(pair => pair.peer))),
      value: median(pairs.map(pair => pair.ours / pair.peer)),
      goal: '(for information)',
      good: true,
    },
    {
      what: 'the same, peak memory',
      ours: formatMegabytes(memory),
      peer: '400 MB',
      value: memory / 400e6,
      goal: '≤ 1',
      good: memory < 400e6,
    },
    {
      what: 'the same, packages that both selected',
      ours: String(locked.size),
      peer: String(theirs.length),
      value: same / Math.max(theirs.length, locked.size),
      goal: '1',
      good: same === theirs.length && same === locked.size,
    },
  ]
}

/** Bundled like dist/, so that the time for stripping types does not count. */
async function bundled(work: string): Promise<string> {
  const outfile = join(work, 'parse-and-resolve.mjs')
  await build({
    entryPoints: [join(import.meta.dirname, 'parse-and-resolve.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    logLevel: 'warning',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  })
  return outfile
}

/** Returns `count` of them, evenly spread. */
function spread(names: readonly string[], count: number): string[] {
  return Array.from({ length: count }, (_, i) => names[Math.floor((i * names.length) / count)]!)
}

function manifestOf(archive: string, packages: string[]): object {
  const keys = [keyring]
  return {
    apiVersion: 'airgap/v1',
    name: 'bench',
    version: '1.0.0',
    debs: [{ name: 'debian-12', archive, suite: 'bookworm', components: ['main'], keys, packages }],
  }
}

/** `name_version_architecture`, apt's form of file names */
async function lockedNames(path: string): Promise<Set<string>> {
  const lock = await readLock(path)
  const items = (lock.items[debKind.name] ?? []) as LockedDebs[]
  return new Set(
    items.flatMap(({ packages }) =>
      packages.map(({ name, version, architecture }) => `${name}_${version}_${architecture}`),
    ),
  )
}
