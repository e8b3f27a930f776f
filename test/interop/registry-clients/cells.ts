import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { run } from '../../../scripts/lib/run.ts'
import { tool } from './content.ts'

/** A site as one client reaches it, and an empty folder of its own. */
export interface Place {
  /** host:port */
  registry: string
  /** http(s)://host:port */
  http: string
  tls: boolean
  /** of the site's CA, alone in a folder of its own, as podman wants it */
  caFile: string
  login: { user: string; password: string }
  /** docker's config.json with the login, in a folder that DOCKER_CONFIG may name */
  config: string
  /** the login is for pushing only; pulls are anonymous unless this is set */
  loginToPull: boolean
  folder: string
  /** address of a running containerd */
  containerd: string
  /** text of a client file that the site offers */
  clientFile(path: string): Promise<string>
}

export const operations = ['pull', 'push', 'mirror', 'chart', 'artifact', 'referrers'] as const
export type Operation = (typeof operations)[number]

export interface Cell {
  /** programs that it needs */
  needs: string[]
  /** Does it; throws where the client fails, or has something else afterwards. */
  run(place: Place): Promise<void>
}

const artifactType = 'application/vnd.example.note'

function equal(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`got ${String(actual).slice(0, 300)}, not ${String(expected)}`)
}

function includes(text: string, part: string): void {
  if (!text.includes(part)) throw new Error(`${part} is not in: ${text.slice(0, 500)}`)
}

const tag = (place: Place) => basename(place.folder)

// --- skopeo, podman, buildah: containers/image

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
const own = (place: Place, name: string) => `${place.registry}/team/${name}:${tag(place)}`

const skopeoCells: Partial<Record<Operation, Cell['run']>> = {
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

function engine(program: 'podman' | 'buildah'): Partial<Record<Operation, Cell['run']>> {
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

// --- umoci has no transport of its own: skopeo carries its layouts

const umociCells: Partial<Record<Operation, Cell['run']>> = {
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

// --- containerd

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

const ctrCells: Partial<Record<Operation, Cell['run']>> = {
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

// --- helm

const helm = (place: Place, ...args: string[]) =>
  run(['helm', ...args], { cwd: place.folder, env: { PATH: process.env['PATH'], HOME: place.folder } })
const helmTls = (place: Place) => (place.tls ? ['--ca-file', place.caFile] : ['--plain-http'])
const helmLogin = (place: Place, isPush: boolean) =>
  isPush || place.loginToPull ? ['--registry-config', place.config] : []

const helmCells: Partial<Record<Operation, Cell['run']>> = {
  async pull(place) {
    const { user, password } = place.login
    const login = place.loginToPull ? ['--username', user, '--password', password] : []
    const repo = ['--repo', `${place.http}/charts`, '--version', '1.0.0', ...login]
    await helm(place, 'pull', 'demo', ...repo, ...(place.tls ? ['--ca-file', place.caFile] : []))
    includes(await helm(place, 'template', 'x', 'demo-1.0.0.tgz'), 'kind: ConfigMap')
  },
  async chart(place) {
    const from = [`oci://${place.registry}/charts/demo`, '--version', '1.0.0']
    await helm(place, 'pull', ...from, ...helmTls(place), ...helmLogin(place, false))
    includes(await helm(place, 'template', 'x', 'demo-1.0.0.tgz'), 'kind: ConfigMap')
  },
  async push(place) {
    await helmCells.chart!(place)
    await mkdir(join(place.folder, 'again'))
    const to = `oci://${place.registry}/team/${tag(place)}`
    await helm(place, 'push', 'demo-1.0.0.tgz', to, ...helmTls(place), ...helmLogin(place, true))
    const from = [`${to}/demo`, '--version', '1.0.0', '-d', 'again']
    await helm(place, 'pull', ...from, ...helmTls(place), ...helmLogin(place, true))
  },
}

// --- oras

const oras = (place: Place, ...args: string[]) => run(['oras', ...args], { cwd: place.folder })
const orasTls = (place: Place) => (place.tls ? ['--ca-file', place.caFile] : ['--plain-http'])
const orasOptions = (place: Place, isPush: boolean) => [
  ...orasTls(place),
  ...(isPush || place.loginToPull ? ['--registry-config', place.config] : []),
]

const orasCells: Partial<Record<Operation, Cell['run']>> = {
  async pull(place) {
    await oras(
      place,
      'copy',
      ...orasSide(place, 'from', false),
      '--to-oci-layout',
      `${place.registry}/library/sample:1`,
      'layout:1',
    )
  },
  async push(place) {
    await orasCells.pull!(place)
    await oras(
      place,
      'copy',
      '--from-oci-layout',
      ...orasSide(place, 'to', true),
      'layout:1',
      own(place, 'oras'),
    )
  },
  async mirror(place) {
    // what a mirror between registries does: from one name to another
    const [from, to] = [`${place.registry}/library/sample:1`, own(place, 'oras-mirror')]
    await oras(
      place,
      'copy',
      '-r',
      ...orasSide(place, 'from', true),
      ...orasSide(place, 'to', true),
      from,
      to,
    )
    includes(await oras(place, 'discover', ...orasOptions(place, true), to), 'application/vnd.example.sbom')
  },
  async chart(place) {
    await oras(place, 'pull', ...orasOptions(place, false), `${place.registry}/charts/demo:1.0.0`)
  },
  async artifact(place) {
    await writeFile(join(place.folder, 'note.txt'), 'a note')
    const to = own(place, 'oras-artifact')
    await oras(
      place,
      'push',
      ...orasOptions(place, true),
      '--artifact-type',
      artifactType,
      to,
      'note.txt:text/plain',
    )
    await writeFile(join(place.folder, 'note.txt'), '')
    await oras(place, 'pull', ...orasOptions(place, true), to)
    equal(await readFile(join(place.folder, 'note.txt'), 'utf8'), 'a note')
  },
  async referrers(place) {
    const image = `${place.registry}/library/sample:1`
    includes(
      await oras(place, 'discover', ...orasOptions(place, false), image),
      'application/vnd.example.sbom',
    )
    await writeFile(join(place.folder, 'note.txt'), 'about the image')
    await oras(
      place,
      'attach',
      ...orasOptions(place, true),
      '--artifact-type',
      artifactType,
      image,
      'note.txt:text/plain',
    )
    includes(await oras(place, 'discover', ...orasOptions(place, true), image), artifactType)
  },
}

function orasSide(place: Place, side: 'from' | 'to', isPush: boolean): string[] {
  const tls = place.tls ? [`--${side}-ca-file`, place.caFile] : [`--${side}-plain-http`]
  return [...tls, ...(isPush || place.loginToPull ? [`--${side}-registry-config`, place.config] : [])]
}

// --- crane

const crane = (place: Place, isPush: boolean, ...args: string[]) =>
  run(['crane', ...args, ...(place.tls ? [] : ['--insecure'])], {
    env: {
      ...process.env,
      SSL_CERT_FILE: place.caFile,
      DOCKER_CONFIG: isPush || place.loginToPull ? join(place.config, '..') : place.folder,
    },
  })

const craneCells: Partial<Record<Operation, Cell['run']>> = {
  async pull(place) {
    await crane(place, false, 'pull', `${place.registry}/library/sample:1`, join(place.folder, 'image.tar'))
  },
  async push(place) {
    await craneCells.pull!(place)
    await crane(place, true, 'push', join(place.folder, 'image.tar'), own(place, 'crane'))
    includes(await crane(place, true, 'manifest', own(place, 'crane')), 'layers')
  },
  async mirror(place) {
    const [from, to] = [`${place.registry}/library/sample:1`, own(place, 'crane-mirror')]
    await crane(place, true, 'copy', from, to)
    equal(await crane(place, true, 'digest', to), await crane(place, true, 'digest', from))
  },
  async chart(place) {
    includes(await crane(place, false, 'manifest', `${place.registry}/charts/demo:1.0.0`), 'helm.chart')
  },
}

// --- the HTTP server

const userOf = ({ login, loginToPull }: Place) =>
  loginToPull ? `${login.user}:${encodeURIComponent(login.password)}@` : ''
const withUser = (place: Place) => place.http.replace('://', `://${userOf(place)}`)

const httpCells: Record<string, Cell> = {
  curl: {
    needs: ['curl'],
    async run(place) {
      const [ca, out] = [place.tls ? ['--cacert', place.caFile] : [], join(place.folder, 'tool')]
      await run(['curl', '-fsS', ...ca, '-o', out, `${withUser(place)}/files/get.example/tool.bin`])
      equal((await readFile(out)).equals(tool), true)
    },
  },
  git: {
    needs: ['git'],
    async run(place) {
      const env = { PATH: process.env['PATH'], HOME: place.folder, GIT_TERMINAL_PROMPT: '0' }
      const ca = place.tls ? ['-c', `http.sslCAInfo=${place.caFile}`] : []
      const clone = join(place.folder, 'clone')
      await run(['git', ...ca, 'clone', '-q', `${withUser(place)}/git/charts`, clone], { env })
      equal(await readFile(join(clone, 'values.yaml'), 'utf8'), 'replicas: 1\n')
    },
  },
  pip: {
    needs: ['python3', 'pip3'],
    async run(place) {
      const ca = place.tls ? ['--cert', place.caFile] : ['--trusted-host', new URL(place.http).hostname]
      const index = ['--index-url', `${withUser(place)}/pypi/simple/`]
      const env = { PATH: process.env['PATH'], HOME: place.folder, PIP_CONFIG_FILE: '/dev/null' }
      const args = ['--no-cache-dir', '--no-deps', '-d', place.folder, ...index, ...ca, 'hello==1.0']
      await run(['pip3', '--disable-pip-version-check', 'download', ...args], { env })
      equal((await readFile(join(place.folder, 'hello-1.0-py3-none-any.whl'))).length > 0, true)
    },
  },
  apt: {
    needs: ['apt-get', 'gpgv', 'dpkg-deb'],
    async run(place) {
      for (const path of ['state/lists/partial', 'cache/archives/partial', 'sources', 'auth'])
        await mkdir(join(place.folder, path), { recursive: true })
      const key = join(place.folder, 'site.asc')
      await writeFile(key, await place.clientFile('etc/apt/keyrings/airgap-site.asc'))
      const sources = await place.clientFile('etc/apt/sources.list.d/airgap-debian-12.sources')
      await writeFile(
        join(place.folder, 'sources/site.sources'),
        sources.replace(/^Signed-By: .*$/gm, `Signed-By: ${key}`),
      )
      const { user, password } = place.login
      const machine = place.loginToPull ? `machine ${place.http} login ${user} password ${password}\n` : ''
      await writeFile(join(place.folder, 'auth/site.conf'), machine, { mode: 0o600 })
      const options = [
        `Dir::Etc::SourceList=${place.folder}/none`,
        `Dir::Etc::SourceParts=${place.folder}/sources`,
        `Dir::Etc::NetrcParts=${place.folder}/auth`,
        `Dir::State=${place.folder}/state`,
        'Dir::State::status=/dev/null',
        `Dir::Cache=${place.folder}/cache`,
        'APT::Sandbox::User=root',
        'APT::Architecture=amd64',
        ...(place.tls ? [`Acquire::https::CAInfo=${place.caFile}`] : []),
      ].flatMap(option => ['-o', option])
      await run(['apt-get', ...options, 'update'])
      await run(['apt-get', ...options, 'download', 'hello'], { cwd: place.folder })
      includes(await run(['dpkg-deb', '-f', join(place.folder, 'hello_1.0_all.deb')]), 'Package: hello')
    },
  },
  dnf: {
    needs: ['dnf', 'rpmbuild', 'rpmsign', 'createrepo_c', 'gpg'],
    async run(place) {
      for (const path of ['repos', 'cache', 'log', 'vars', 'root', 'keys'])
        await mkdir(join(place.folder, path), { recursive: true })
      let repo = await place.clientFile('etc/yum.repos.d/airgap-el9.repo')
      for (const [, path] of [...repo.matchAll(/file:\/\/(\/\S+)/g)]) {
        const copy = join(place.folder, 'keys', basename(path!))
        await writeFile(copy, await place.clientFile(path!.slice(1)))
        repo = repo.replaceAll(`file://${path}`, `file://${copy}`)
      }
      const { user, password } = place.login
      const login = place.loginToPull ? `username=${user}\npassword=${password}\n` : ''
      repo = repo
        .replace(/^sslcacert=.*$/gm, `sslcacert=${place.caFile}`)
        .replace(/^baseurl=/gm, `${login}baseurl=`)
      await writeFile(join(place.folder, 'repos/site.repo'), repo)
      const settings = [
        '[main]',
        'gpgcheck=1',
        'repo_gpgcheck=1',
        'plugins=0',
        `reposdir=${place.folder}/repos`,
      ]
      const folders = ['cachedir', 'logdir', 'varsdir'].map(
        name => `${name}=${place.folder}/${name.slice(0, -3)}`,
      )
      await writeFile(
        join(place.folder, 'dnf.conf'),
        `${[...settings, ...folders].join('\n').replace('/var\n', '/vars\n')}\n`,
      )
      const options = [
        '-c',
        join(place.folder, 'dnf.conf'),
        `--installroot=${place.folder}/root`,
        '--releasever=9',
        '-y',
      ]
      await run(['dnf', ...options, 'install', 'hello'])
      equal(await readFile(join(place.folder, 'root/opt/hello/file'), 'utf8'), 'hello\n')
    },
  },
}

const cellsOf = (needs: string[], cells: Partial<Record<Operation, Cell['run']>>) =>
  Object.fromEntries(Object.entries(cells).map(([operation, run]) => [operation, { needs, run }]))

/** Client → operation → what it does. A client without an operation has none: skopeo knows no referrers, apt pushes nothing. */
export const cells: Record<string, Partial<Record<Operation, Cell>>> = {
  containerd: cellsOf(['containerd', 'ctr', 'skopeo'], ctrCells),
  podman: cellsOf(['podman', 'skopeo'], engine('podman')),
  skopeo: cellsOf(['skopeo'], skopeoCells),
  buildah: cellsOf(['buildah', 'skopeo'], engine('buildah')),
  umoci: cellsOf(['umoci', 'skopeo'], umociCells),
  helm: cellsOf(['helm'], helmCells),
  oras: cellsOf(['oras'], orasCells),
  crane: cellsOf(['crane'], craneCells),
  ...Object.fromEntries(Object.entries(httpCells).map(([name, cell]) => [name, { pull: cell }])),
}
