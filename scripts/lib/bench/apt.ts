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
import { type Measured, measure } from './measure.ts'
import { agreementRow, timeRow } from './pairs.ts'
import { atMost, type BenchRow, formatMegabytes } from './rows.ts'

const keyring = join(home, 'manifests', 'keys', 'debian-archive.asc')
const paths = ['dists/bookworm/InRelease', 'dists/bookworm/main/binary-amd64/Packages.xz']
/** 200 packages are requested from its dependencies: those of one desktop can be installed together */
const pool = 'task-gnome-desktop'
const requested = 200

/**
 * Resolves 200 packages of Debian 12 main. Peer: apt with its lists fetched, no pkgcache, `--print-uris`. Ours, in a separate process, with
 * the index in the cache: Release and its signature, parsing, resolving, without and with the index's table in the cache; and for
 * comparison all of `airgap lock`, and apt with its pkgcache.
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
  const cache = join(work, 'alone')
  const alone = ['node', await bundled(work), cache, server.url, keyring, ...names]
  await measure(alone)
  const unmodified = { cwd: place, env: { APT_CONFIG: join(place, 'apt.conf') } }
  const cold: Measured[] = []
  const warm: Measured[] = []
  const whole: Measured[] = []
  const apts: Measured[] = []
  const warmApts: Measured[] = []
  for (let i = 0; i < runs; i++) {
    await rm(join(cache, 'cache', 'derived'), { recursive: true })
    cold.push(await measure(alone))
    for (const name of ['pkgcache.bin', 'srcpkgcache.bin'])
      await rm(join(place, 'cache', name), { force: true })
    apts.push(await measure(peer, unmodified))
    warm.push(await measure(alone))
    warmApts.push(await measure(peer, unmodified))
    await rm(lock)
    whole.push(await measure(ours))
  }
  const what = `Debian 12 main, ${requested} packages requested: parse and resolve`
  const again = 'the same, with the table of the index in the cache'
  const against = 'apt'
  return [
    timeRow({ what, against, limit: 1 }, { ours: cold, peer: apts }),
    timeRow({ what: again, against, limit: 0.4 }, { ours: warm, peer: apts }),
    timeRow({ what: again, against: 'apt, with its pkgcache' }, { ours: warm, peer: warmApts }),
    timeRow({ what: 'the same, with all of `airgap lock`', against }, { ours: whole, peer: apts }),
    memoryRow(Math.max(...[...cold, ...whole].map(one => one.memory))),
    agreementRow(
      { what: 'the same, packages that both selected', against },
      { ours: await lockedNames(lock), peer: await apt.wouldInstall(names) },
    ),
  ]
}

function memoryRow(memory: number): BenchRow {
  const limit = 400e6
  const cells = { ours: formatMegabytes(memory), peer: formatMegabytes(limit) }
  return { what: 'the same, peak memory', ...cells, value: memory / limit, ...atMost(1, memory / limit) }
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
    charset: 'utf8',
    legalComments: 'none',
    minifyWhitespace: true,
    minifySyntax: true,
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
