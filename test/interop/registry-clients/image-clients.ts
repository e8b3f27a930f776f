import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../../scripts/lib/run.ts'
import { type Cell, equal, includes, type Operation, own, type Place, tag } from './place.ts'

/** Clients of containers/image, and containerd. */

const authfile = (place: Place, isPush: boolean) =>
  isPush || place.loginToPull ? ['--authfile', place.config] : []
const certs = (place: Place) => join(place.caFile, '..')
const imageTls = (place: Place, side: 'src-' | 'dest-' | '' = '') =>
  place.tls ? [`--${side}cert-dir`, certs(place)] : [`--${side}tls-verify=false`]

async function mirrors(place: Place): Promise<string> {
  const path = join(place.folder, 'registries.conf')
  const lines = [
    'unqualified-search-registries = ["docker.io"]',
    '[[registry]]',
    'location = "docker.io"',
    '[[registry.mirror]]',
    `location = "${place.registry}"`,
    `insecure = ${!place.tls}`,
  ]
  await writeFile(path, `${lines.join('\n')}\n`)
  return path
}

/** For a mirror, containers/image looks for the CA of the mirror's own host in a folder of the system: as an administrator puts it there. */
async function withSystemCa<T>(place: Place, work: () => Promise<T>): Promise<T> {
  const folder = join('/etc/containers/certs.d', place.registry)
  if (!place.tls) return await work()
  await mkdir(folder, { recursive: true })
  try {
    await writeFile(join(folder, 'ca.crt'), await readFile(place.caFile))
    return await work()
  } finally {
    await run(['rm', '-rf', folder])
  }
}

const skopeo = (...args: string[]) => run(['skopeo', ...args])

export const skopeoCells: Partial<Record<Operation, Cell['run']>> = {
  async pull(place) {
    const from = `docker://${place.registry}/library/sample:1`
    const to = `oci:${place.folder}/copy:1`
    await skopeo('copy', '-q', ...authfile(place, false), ...imageTls(place, 'src-'), from, to)
    includes(await skopeo('inspect', '--raw', to), 'layers')
  },
  async push(place) {
    await skopeoCells.pull!(place)
    const to = `docker://${own(place, 'skopeo')}`
    await skopeo(
      'copy',
      '-q',
      '--preserve-digests',
      ...authfile(place, true),
      ...imageTls(place, 'dest-'),
      `oci:${place.folder}/copy:1`,
      to,
    )
    const pushed = await skopeo('inspect', '--raw', ...authfile(place, true), ...imageTls(place), to)
    equal(pushed, await skopeo('inspect', '--raw', `oci:${place.folder}/copy:1`))
  },
  async mirror(place) {
    const conf = ['--registries-conf', await mirrors(place)]
    await withSystemCa(place, () =>
      skopeo(
        ...conf,
        'copy',
        '-q',
        ...authfile(place, false),
        'docker://docker.io/library/sample:1',
        `dir:${place.folder}/mirrored`,
      ),
    )
  },
  async chart(place) {
    const from = `docker://${place.registry}/charts/demo:1.0.0`
    await skopeo(
      'copy',
      '-q',
      ...authfile(place, false),
      ...imageTls(place, 'src-'),
      from,
      `dir:${place.folder}/chart`,
    )
  },
}

async function storage(place: Place): Promise<string[]> {
  // short: sockets live below it
  await writeFile(join(place.folder, 'storage.conf'), '[storage]\ndriver = "vfs"\n')
  return ['--root', join(place.folder, 'r'), '--runroot', join(place.folder, 'rr'), '--storage-driver', 'vfs']
}

/** podman and buildah have the same options. */
export function engine(program: 'podman' | 'buildah'): Partial<Record<Operation, Cell['run']>> {
  const env = (conf: string) => ({ ...process.env, CONTAINERS_REGISTRIES_CONF: conf })
  const pull = async (place: Place) => {
    const root = await storage(place)
    const image = `${place.registry}/library/sample:1`
    await run([program, ...root, 'pull', '-q', ...authfile(place, false), ...imageTls(place), image])
    return { root, image }
  }
  return {
    async pull(place) {
      const { root } = await pull(place)
      includes(await run([program, ...root, 'images']), 'library/sample')
    },
    async push(place) {
      const { root, image } = await pull(place)
      const to = `docker://${own(place, program)}`
      await run([program, ...root, 'push', '-q', ...authfile(place, true), ...imageTls(place), image, to])
      includes(await skopeo('inspect', '--raw', ...authfile(place, true), ...imageTls(place), to), 'layers')
    },
    async mirror(place) {
      const root = await storage(place)
      const conf = await mirrors(place)
      await withSystemCa(place, () =>
        run([program, ...root, 'pull', '-q', ...authfile(place, false), 'docker.io/library/sample:1'], {
          env: env(conf),
        }),
      )
      includes(await run([program, ...root, 'images']), 'docker.io/library/sample')
    },
  }
}

/** umoci has no transport of its own: skopeo carries its layouts. */
export const umociCells: Partial<Record<Operation, Cell['run']>> = {
  async pull(place) {
    await skopeoCells.pull!(place)
    await run(['umoci', 'unpack', '--image', `${place.folder}/copy:1`, join(place.folder, 'unpacked')])
    equal((await readFile(join(place.folder, 'unpacked/rootfs/data.bin'))).length, 200_000)
  },
  async push(place) {
    await skopeoCells.pull!(place)
    await writeFile(join(place.folder, 'note'), 'added by umoci')
    await run(['umoci', 'insert', '--image', `${place.folder}/copy:1`, join(place.folder, 'note'), '/note'])
    const to = `docker://${own(place, 'umoci')}`
    await skopeo(
      'copy',
      '-q',
      '--preserve-digests',
      ...authfile(place, true),
      ...imageTls(place, 'dest-'),
      `oci:${place.folder}/copy:1`,
      to,
    )
    equal(
      await skopeo('inspect', '--raw', ...authfile(place, true), ...imageTls(place), to),
      await skopeo('inspect', '--raw', `oci:${place.folder}/copy:1`),
    )
  },
}

async function hostsDir(place: Place, host: string): Promise<string> {
  const folder = join(place.folder, 'certs.d')
  const server = `${place.tls ? 'https' : 'http'}://${place.registry}`
  const lines = [
    `server = "${server}"`,
    `[host."${server}"]`,
    'capabilities = ["pull", "resolve", "push"]',
    ...(place.tls ? [`ca = "${place.caFile}"`] : []),
  ]
  await mkdir(join(folder, host), { recursive: true })
  await writeFile(join(folder, host, 'hosts.toml'), `${lines.join('\n')}\n`)
  return folder
}

const ctr = (place: Place, ...args: string[]) =>
  run(['ctr', '--address', place.containerd, '-n', tag(place), ...args])
const ctrUser = ({ login, loginToPull }: Place, isPush: boolean) =>
  isPush || loginToPull ? ['--user', `${login.user}:${login.password}`] : []

export const ctrCells: Partial<Record<Operation, Cell['run']>> = {
  async pull(place) {
    const hosts = ['--hosts-dir', await hostsDir(place, place.registry)]
    await ctr(
      place,
      'content',
      'fetch',
      ...hosts,
      ...ctrUser(place, false),
      `${place.registry}/library/sample:1`,
    )
    includes(await ctr(place, 'images', 'ls'), 'library/sample:1')
  },
  async push(place) {
    await ctrCells.pull!(place)
    const hosts = ['--hosts-dir', await hostsDir(place, place.registry)]
    const [from, to] = [`${place.registry}/library/sample:1`, own(place, 'ctr')]
    await ctr(
      place,
      'images',
      'push',
      ...hosts,
      ...ctrUser(place, true),
      '--platform',
      'linux/amd64',
      to,
      from,
    )
    includes(
      await skopeo('inspect', '--raw', ...authfile(place, true), ...imageTls(place), `docker://${to}`),
      'layers',
    )
  },
  async mirror(place) {
    const hosts = ['--hosts-dir', await hostsDir(place, 'docker.io')]
    await ctr(place, 'content', 'fetch', ...hosts, ...ctrUser(place, false), 'docker.io/library/sample:1')
    includes(await ctr(place, 'images', 'ls'), 'docker.io/library/sample:1')
  },
}
