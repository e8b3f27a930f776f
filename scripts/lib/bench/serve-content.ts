import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { archiveFolder } from '../../../src/kinds/deb/assemble.ts'
import { Gpg, makeArchive, signArchive } from '../../../test/kinds/deb/support/archive.ts'
import { makeRandomImage } from '../upstreams/random-image.ts'
import { serveFolder } from '../upstreams/serve-folder.ts'
import { measure } from './measure.ts'
import { airgap, GiB } from './options.ts'
import type { Server } from './servers.ts'

export const smallImages = 50
export const packages = 100
const packageSize = 200_000

/** The images that are served: `large` and `huge` have one layer, which the clients download. */
export const imageNames = [
  'bench/large',
  'bench/huge',
  ...Array.from({ length: smallImages }, (_, i) => `bench/small-${i}`),
]

/** Makes random images, and pushes the same to every registry. */
export async function pushImages(
  work: string,
  options: { to: readonly Server[]; largeSize: number /* bytes */ },
): Promise<void> {
  const sizes: Record<string, number> = { 'bench/large': options.largeSize, 'bench/huge': GiB }
  for (const name of imageNames) {
    const layout = join(work, 'layout')
    await makeRandomImage(layout, { layers: 1, layerSize: sizes[name] ?? 64 << 10 })
    for (const { url } of options.to) {
      const target = url.replace('http://', 'docker://')
      await measure([
        'skopeo',
        'copy',
        '-q',
        '--dest-tls-verify=false',
        `oci:${layout}:1`,
        `${target}/${name}:1`,
      ])
    }
    await rm(layout, { recursive: true })
  }
}

/**
 * Builds `bundle.tar` in `work` from these images and an archive of packages, and unpacks the programs that it carries. Returns the path
 * of the archive on the site.
 */
export async function buildBundle(work: string, registry: Server): Promise<string> {
  await using resources = new AsyncDisposableStack()
  const archive = join(work, 'archive')
  await mkdir(archive)
  const names = Array.from({ length: packages }, (_, i) => `bench-${i}`)
  await makeArchive(archive, {
    suite: 'bookworm',
    packages: names.map(name => ({ name, contentSize: packageSize })),
  })
  const gpg = resources.use(await Gpg.open(join(work, 'gnupg')))
  await gpg.makeKey('bench')
  await signArchive(archive, { gpg, suite: 'bookworm', users: ['bench'] })
  const key = await gpg.exportTo(join(work, 'bench.asc'), 'bench')
  const server = await serveFolder(archive)
  resources.defer(() => server.close())

  const manifest = join(work, 'bench.yaml')
  const debs = {
    name: 'debian-12',
    archive: server.url,
    suite: 'bookworm',
    components: ['main'],
    keys: [key],
    packages: names,
  }
  await writeFile(
    manifest,
    JSON.stringify({
      apiVersion: 'airgap/v1',
      name: 'bench',
      version: '1.0.0',
      sources: [{ from: 'docker.io', to: [registry.url] }],
      images: imageNames.map(name => `docker.io/${name}:1`),
      debs: [debs],
    }),
  )
  const common = ['-f', manifest, '--cache', join(work, 'cache')]
  await measure([...airgap, 'lock', ...common])
  await measure([...airgap, 'build', ...common, '--frozen', '--out', join(work, 'bundle.tar')])
  await measure(['tar', '-xf', join(work, 'bundle.tar'), '-C', work, 'offline-deploy'])
  return `/debs/${debs.name}/${archiveFolder(server.url)}`
}
