import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { hasTool } from '../bundle/has-tool.ts'
import { buildProgram, run, start, type TestSite, testSite } from '../cli/offline-deploy/support.ts'
import { sampleStack, writeBundle } from '../site/support/sample-site.ts'

const exec = promisify(execFile)
const password = 'correct-horse-battery'

let program: Awaited<ReturnType<typeof buildProgram>>
let folder: string
beforeAll(async () => {
  program = await buildProgram()
  folder = await mkdtemp(join(tmpdir(), 'airgap-access-'))
})
afterAll(async () => {
  await program.remove()
  await rm(folder, { recursive: true, force: true })
})

/** A site with a user of each role, over plain HTTP. */
async function served(...more: string[]): Promise<TestSite> {
  const site = await testSite()
  await writeBundle(site.bundle, await sampleStack())
  for (const role of ['pull', 'push', 'admin'])
    await run(['users', 'add', role, '--role', role, '--site', site.site], {
      env: { OFFLINE_DEPLOY_USER_PASSWORD: password },
    })
  const running = start(['serve', ...site.serving, '--plain-http', '--processes', '2', ...more])
  onTestFinished(() => void running.child.kill('SIGKILL'))
  await running.said('stop with Ctrl-C')
  return site
}

/** Runs a client with a home of its own, so that no login of this machine is used; returns whether it succeeded, and what it said. */
async function client(home: string, words: readonly string[], input?: string) {
  const [tool = '', ...args] = words
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    DOCKER_CONFIG: home,
    REGISTRY_AUTH_FILE: join(home, 'auth.json'),
    HELM_REGISTRY_CONFIG: join(home, 'helm.json'),
    XDG_CONFIG_HOME: home,
  }
  const running = exec(tool, args, { env, cwd: home })
  running.child.stdin?.end(input ?? '')
  return await running.then(
    ({ stdout, stderr }) => ({ ok: true, text: stdout + stderr }),
    (error: { stdout: string; stderr: string }) => ({ ok: false, text: `${error.stdout}${error.stderr}` }),
  )
}

async function home(): Promise<string> {
  return await mkdtemp(join(folder, 'home-'))
}

interface Client {
  tool: string
  login: (registry: string, user: string) => string[]
  /** pushes; undefined: the client only logs in here */
  push?: (registry: string, home: string) => string[]
}

const clients: Client[] = [
  {
    tool: 'skopeo',
    login: (registry, user) => [
      'skopeo',
      'login',
      '--tls-verify=false',
      '-u',
      user,
      '--password-stdin',
      registry,
    ],
    push: registry => [
      ...['skopeo', 'copy', '--src-tls-verify=false', '--dest-tls-verify=false'],
      ...[`docker://${registry}/library/busybox:1.36`, `docker://${registry}/own/skopeo:1`],
    ],
  },
  {
    tool: 'crane',
    login: (registry, user) => ['crane', 'auth', 'login', registry, '-u', user, '--password-stdin'],
    push: registry => [
      ...['crane', 'copy', '--insecure', '--platform', 'linux/amd64'],
      ...[`${registry}/library/busybox:1.36`, `${registry}/own/crane:1`],
    ],
  },
  {
    tool: 'oras',
    login: (registry, user) => ['oras', 'login', '--plain-http', '-u', user, '--password-stdin', registry],
    push: registry => ['oras', 'push', '--plain-http', `${registry}/own/oras:1`, 'file.txt'],
  },
  {
    tool: 'helm',
    login: (registry, user) => [
      ...['helm', 'registry', 'login', '--insecure', '-u', user, '--password-stdin', registry],
    ],
    push: registry => ['helm', 'push', '--plain-http', 'demo-0.1.0.tgz', `oci://${registry}/own-charts`],
  },
  {
    tool: 'podman',
    login: (registry, user) => [
      'podman',
      'login',
      '--tls-verify=false',
      '-u',
      user,
      '--password-stdin',
      registry,
    ],
  },
  {
    tool: 'buildah',
    login: (registry, user) => [
      'buildah',
      'login',
      '--tls-verify=false',
      '-u',
      user,
      '--password-stdin',
      registry,
    ],
  },
]

async function preparedHome(): Promise<string> {
  const own = await home()
  await writeFile(join(own, 'file.txt'), 'content\n')
  await mkdir(join(own, 'demo'))
  await writeFile(join(own, 'demo', 'Chart.yaml'), 'apiVersion: v2\nname: demo\nversion: 0.1.0\n')
  await exec('tar', ['-czf', 'demo-0.1.0.tgz', 'demo'], { cwd: own })
  return own
}

describe('clients of a registry with users', () => {
  it('log in with the right password only, and push with the role push only', {
    timeout: 240_000,
  }, async () => {
    const { registry } = await served()
    const found: Record<string, string> = {}
    const expected: Record<string, string> = {}
    for (const { tool, login, push } of clients.filter(one => hasTool(one.tool))) {
      const own = await preparedHome()
      const tries: string[] = []
      // crane keeps credentials without a request
      if (tool !== 'crane') {
        const wrong = await client(own, login(registry, 'push'), 'wrong')
        tries.push(wrong.ok ? 'wrong password accepted' : 'wrong password refused')
      }
      if (push !== undefined) {
        const anonymous = await client(own, push(registry, own))
        tries.push(anonymous.ok ? 'anonymous push' : 'no anonymous push')
        await client(own, login(registry, 'pull'), password)
        const reader = await client(own, push(registry, own))
        tries.push(reader.ok ? 'push by a reader' : 'no push by a reader')
      }
      const logged = await client(own, login(registry, 'push'), password)
      tries.push(logged.ok ? 'login' : `no login: ${logged.text}`)
      if (push !== undefined) {
        const pushed = await client(own, push(registry, own))
        tries.push(pushed.ok ? 'push' : `no push: ${pushed.text}`)
      }
      found[tool] = tries.join(', ')
      expected[tool] = [
        ...(tool === 'crane' ? [] : ['wrong password refused']),
        ...(push === undefined ? [] : ['no anonymous push', 'no push by a reader']),
        'login',
        ...(push === undefined ? [] : ['push']),
      ].join(', ')
    }
    expect(found).toEqual(expected)
  })
})

describe('clients of servers that require a login', () => {
  it('read with one: skopeo, crane, curl, apt, containerd', { timeout: 240_000 }, async () => {
    const { registry, http } = await served('--require-login')
    const own = await home()
    const image = `${registry}/library/busybox:1.36`
    if (hasTool('skopeo')) {
      const inspect = ['skopeo', 'inspect', '--raw', '--tls-verify=false']
      expect((await client(own, [...inspect, `docker://${image}`])).ok).toBe(false)
      const creds = ['--creds', `pull:${password}`]
      expect(await client(own, [...inspect, ...creds, `docker://${image}`])).toMatchObject({ ok: true })
    }
    if (hasTool('crane')) {
      const catalog = ['crane', 'catalog', '--insecure', registry]
      expect((await client(own, catalog)).ok).toBe(false)
      await client(own, ['crane', 'auth', 'login', registry, '-u', 'pull', '--password-stdin'], password)
      expect((await client(own, catalog)).text).toContain('library/busybox')
      expect(await client(own, ['crane', 'manifest', '--insecure', image])).toMatchObject({ ok: true })
    }
    if (hasTool('curl')) {
      expect((await client(own, ['curl', '-sSf', `${http}/clients/`])).text).toContain('401')
      await writeFile(join(own, '.netrc'), `machine 127.0.0.1 login pull password ${password}\n`, {
        mode: 0o600,
      })
      expect(await client(own, ['curl', '-sSf', '-n', `${http}/clients/`])).toMatchObject({ ok: true })
      expect(await client(own, ['curl', '-sSf', `${http}/healthz`])).toMatchObject({ ok: true })
    }
    if (hasTool('apt-get')) {
      const update = async (auth: string) => {
        const state = await home()
        for (const name of ['lists/partial', 'cache/archives/partial', 'dpkg', 'etc'])
          await mkdir(join(state, name), { recursive: true })
        await writeFile(join(state, 'dpkg', 'status'), '')
        await writeFile(join(state, 'sources.list'), `deb [trusted=yes] ${http}/debs/debian-12 ./\n`)
        await writeFile(join(state, 'auth.conf'), auth)
        const settings = [
          `Dir::Etc=${state}/etc`,
          `Dir::Etc::SourceList=${state}/sources.list`,
          `Dir::Etc::netrc=${state}/auth.conf`,
          `Dir::State::Lists=${state}/lists`,
          `Dir::State::status=${state}/dpkg/status`,
          `Dir::Cache=${state}/cache`,
          'APT::Sandbox::User=root',
          'APT::Update::Error-Mode=any',
        ]
        return await client(own, ['apt-get', ...settings.flatMap(one => ['-o', one]), 'update'])
      }
      expect((await update('')).text).toContain('401')
      expect((await update(`machine ${http} login pull password ${password}\n`)).text).not.toContain('401')
    }
    if (hasTool('containerd') && hasTool('ctr') && process.getuid?.() === 0) {
      const ctr = await containerd(own)
      const fetch = ['content', 'fetch', '--plain-http', '--platform', 'linux/amd64']
      expect((await ctr(...fetch, image)).ok).toBe(false)
      expect(await ctr(...fetch, '--user', `pull:${password}`, image)).toMatchObject({ ok: true })
    }
  })
})

async function containerd(own: string) {
  const socket = join(own, 'c.sock')
  const config = join(own, 'config.toml')
  await writeFile(
    config,
    `version = 2\nroot = "${own}/root"\nstate = "${own}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "${socket}"\n`,
  )
  const child = spawn('containerd', ['--config', config], { stdio: 'ignore' })
  const exited = new Promise(resolve => child.once('exit', resolve))
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await exited
  })
  const ctr = (...args: string[]) => client(own, ['ctr', '--address', socket, ...args])
  for (let i = 0; i < 100 && !(await ctr('version')).ok; i++) await sleep(100)
  return ctr
}
