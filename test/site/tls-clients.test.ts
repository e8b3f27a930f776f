import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { inlineFile, treeArtifacts } from '../../src/content/tree.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { digestOf, hexOf } from '../../src/core/digest.ts'
import { siteCaPath } from '../../src/kinds/client-file.ts'
import { httpServerOf, registryOf } from '../../src/site/address.ts'
import { openSiteKey } from '../../src/site/site-key.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { aptSandbox } from '../kinds/deb/support/apt.ts'
import { must, type Output, run } from '../kinds/deb/support/programs.ts'
import { dnfSandbox, lackingForRpm, makeRpms } from './support/rpm.ts'
import { contentOf, sampleStack } from './support/sample-site.ts'
import { makeCa, type SecuredSite, serveSecured, type TestCa } from './support/secured-site.ts'

/** Unmodified clients of a site with TLS, set up with nothing but its files: each takes what the site serves, and refuses another CA. */

const lacking = (...programs: string[]) => programs.filter(program => !hasTool(program))
const needs = (...programs: string[]) => `(needs ${programs.join(', ')})`
const patience = 60_000

describe.skipIf(lacking('openssl').length > 0)(`clients of a site with TLS ${needs('openssl')}`, () => {
  const resources = new AsyncDisposableStack()
  let folder: string
  let site: SecuredSite
  let ca: TestCa
  let stranger: TestCa

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'airgap-tls-clients-'))
    resources.defer(() => rm(folder, { recursive: true, force: true }))
    const key = await openSiteKey({ folder: join(folder, 'state'), now: () => new Date() })
    ca = await makeCa(folder, 'site')
    stranger = await makeCa(folder, 'stranger')
    const stack = await contentOf([...sampleStack(), ...(await wheels()), ...(await rpms())])
    site = resources.use(await serveSecured([stack], { key, ca }))
  }, patience)
  afterAll(() => resources.disposeAsync())

  async function wheels() {
    const place = join(folder, 'wheel')
    await mkdir(join(place, 'apple-1.0.dist-info'), { recursive: true })
    const metadata = 'Metadata-Version: 2.1\nName: apple\nVersion: 1.0\n'
    await writeFile(join(place, 'apple-1.0.dist-info/METADATA'), metadata)
    await writeFile(
      join(place, 'apple-1.0.dist-info/WHEEL'),
      'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    )
    await writeFile(join(place, 'apple-1.0.dist-info/RECORD'), '')
    const filename = 'apple-1.0-py3-none-any.whl'
    await must('python3', ['-m', 'zipfile', '-c', filename, 'apple-1.0.dist-info'], { cwd: place })
    const bytes = await readFile(join(place, filename))
    const file = {
      project: 'apple',
      version: '1.0',
      filename,
      sha256: hexOf(digestOf(bytes)),
      size: bytes.length,
      metadataSha256: hexOf(digestOf(Buffer.from(metadata))),
    }
    const files = [
      inlineFile(`apple/${filename}`, bytes),
      inlineFile(`apple/${filename}.metadata`, Buffer.from(metadata)),
      inlineFile('index.json', Buffer.from(`${canonicalJson({ files: [file] })}\n`)),
    ]
    return treeArtifacts({ name: 'pypi', kind: 'wheel', files })
  }

  async function rpms() {
    if (lackingForRpm.length > 0) return []
    const place = join(folder, 'rpms')
    const packages = [{ name: 'app' }]
    const { primary, filelists } = await makeRpms(place, { gpgHome: place, packages })
    const built = await readdir(join(place, 'Packages'))
    const files = await Promise.all(
      built.map(async file =>
        inlineFile(`base/Packages/${file}`, await readFile(join(place, 'Packages', file))),
      ),
    )
    files.push(inlineFile('base/repodata/primary.xml', Buffer.from(primary)))
    files.push(inlineFile('base/repodata/filelists.xml', Buffer.from(filelists)))
    files.push(inlineFile('base/repository.json', Buffer.from('{"unsignedPackages":true}')))
    return treeArtifacts({ name: 'rpms/el9', kind: 'rpm', files })
  }

  /** A folder with all files of the site as on a machine; paths inside them lead into the folder. */
  async function machine(name: string, trusted: TestCa = ca): Promise<string> {
    const place = join(folder, name)
    for (const { kind, path, text } of site.clients) {
      await mkdir(dirname(join(place, path)), { recursive: true })
      const own = kind === 'site-ca' ? trusted.ca : text
      await writeFile(
        join(place, path),
        own
          .replaceAll(`/${siteCaPath}`, `${place}/${siteCaPath}`)
          .replaceAll('/etc/apt/keyrings', `${place}/etc/apt/keyrings`)
          .replaceAll('/etc/pki', `${place}/etc/pki`),
      )
    }
    return place
  }
  const textIn = (place: string, path: string) => readFile(join(place, path), 'utf8')

  /** The same client twice: once with the CA of the site, once with another one. */
  function each(
    title: string,
    {
      tools,
      client,
      refusal,
    }: { tools: string[]; client: (place: string) => Promise<Output>; refusal: RegExp },
  ): void {
    const options = { timeout: patience }
    it.skipIf(lacking(...tools).length > 0)(`${title} ${needs(...tools)}`, options, async () => {
      const id = title.replace(/\W+/g, '-')
      const good = await client(await machine(id))
      expect(good.status, good.stdout + good.stderr).toBe(0)
      const bad = await client(await machine(`${id}-stranger`, stranger))
      expect(bad.status).not.toBe(0)
      expect(bad.stdout + bad.stderr).toMatch(refusal)
    })
  }

  each('apt updates its lists', {
    tools: ['apt-get', 'gpgv'],
    client: async place => {
      const sources = await textIn(place, 'etc/apt/sources.list.d/airgap-debian-12.sources')
      await rm(join(place, 'etc/apt/sources.list.d/airgap-debian-12.sources'))
      const { apt } = await aptSandbox(place, { sources })
      return await apt('update', '--error-on=any')
    },
    refusal: /certificate.*(?:NOT trusted|verification failed)/i,
  })

  each('dnf installs', {
    tools: ['dnf', 'rpmbuild', 'createrepo_c'],
    client: async place => {
      const { dnf } = await dnfSandbox(place, await textIn(place, 'etc/yum.repos.d/airgap-el9.repo'))
      return await dnf('install', 'app')
    },
    refusal: /SSL|certificate/i,
  })

  each('pip installs', {
    tools: ['python3', 'pip'],
    client: async place => {
      await must('python3', ['-m', 'venv', join(place, 'venv')])
      const env = {
        PIP_CONFIG_FILE: join(place, 'etc/pip.conf'),
        PIP_DISABLE_PIP_VERSION_CHECK: '1',
        PIP_NO_CACHE_DIR: '1',
        PIP_RETRIES: '0',
      }
      // variables of the developer's environment would win over pip.conf
      const program = [
        '-u',
        'PIP_CERT',
        '-u',
        'REQUESTS_CA_BUNDLE',
        '-u',
        'CURL_CA_BUNDLE',
        join(place, 'venv/bin/pip'),
      ]
      return await run('env', [...program, 'install', 'apple'], { env })
    },
    refusal: /certificate verify failed/i,
  })

  each('uv installs, with the CA in SSL_CERT_FILE', {
    tools: ['uv', 'python3'],
    client: async place => {
      await must('python3', ['-m', 'venv', join(place, 'venv')])
      const index = `${httpServerOf(site.address)}/pypi/simple/`
      const env = {
        SSL_CERT_FILE: join(place, siteCaPath),
        UV_HTTP_RETRIES: '0',
        HOME: place,
        UV_NO_CACHE: '1',
      }
      const python = join(place, 'venv/bin/python')
      return await run('uv', ['pip', 'install', '--python', python, '--index-url', index, 'apple'], { env })
    },
    refusal: /certificate|UnknownIssuer/i,
  })

  each('containerd pulls through hosts.toml', {
    tools: ['containerd', 'ctr'],
    client: async place => {
      const { ctr } = await containerd(place)
      return await ctr(
        'content',
        'fetch',
        '--hosts-dir',
        join(place, 'etc/containerd/certs.d'),
        'nvcr.io/nvidia/cuda:12',
      )
    },
    refusal: /x509: certificate signed by unknown authority/,
  })

  each('skopeo, podman and CRI-O find the CA in certs.d', {
    tools: ['skopeo'],
    client: async place => {
      const registry = registryOf(site.address)
      const certificates = join(place, 'etc/containers/certs.d', registry)
      return await run('skopeo', [
        'inspect',
        '--raw',
        '--cert-dir',
        certificates,
        `docker://${registry}/nvidia/cuda:12`,
      ])
    },
    refusal: /x509: certificate signed by unknown authority/,
  })

  // what Go programs do with the folder of certificates, in which the CA is
  const goProgram = (place: string) => ({
    SSL_CERT_FILE: '/nonexistent',
    SSL_CERT_DIR: join(place, dirname(siteCaPath)),
    HOME: place,
  })
  each('helm pulls a chart', {
    tools: ['helm'],
    client: async place => {
      const chart = ['demo', '--version', '1.0.0+x', '--destination', place]
      const repository = ['--repo', `${httpServerOf(site.address)}/charts`]
      return await run('helm', ['pull', ...chart, ...repository], { env: goProgram(place) })
    },
    refusal: /x509: certificate signed by unknown authority/,
  })

  each('crane reads a manifest', {
    tools: ['crane'],
    client: place =>
      run('crane', ['manifest', `${registryOf(site.address)}/nvidia/cuda:12`], { env: goProgram(place) }),
    refusal: /x509: certificate signed by unknown authority/,
  })

  each('curl downloads a file', {
    tools: ['curl'],
    client: place =>
      run('curl', [
        '--fail',
        '--silent',
        '--show-error',
        '--cacert',
        join(place, siteCaPath),
        `${httpServerOf(site.address)}/files/get.example/tool.txt`,
      ]),
    refusal: /certificate/i,
  })

  it('the files have the CA, and never its key', () => {
    const files = site.clients.filter(file => file.kind === 'site-ca')
    expect(files.length).toBeGreaterThan(3)
    for (const { text } of files) expect(text).toBe(ca.ca)
    expect(site.clients.map(({ text }) => text).join('\n')).not.toContain('PRIVATE KEY')
  })
})

/** Returns what ends it. */
function daemon(program: string, { args, cwd }: { args: string[]; cwd: string }): () => Promise<unknown> {
  const child = spawn(program, args, { stdio: 'ignore', cwd })
  const exited = new Promise(resolve => child.once('exit', resolve))
  return async () => {
    child.kill('SIGTERM')
    return await exited
  }
}

/** A containerd of its own, until the test ends. */
async function containerd(place: string) {
  // a socket's path is limited to 107 bytes
  const folder = await mkdtemp(join(tmpdir(), 'ctrd-'))
  const socket = join(folder, 'c.sock')
  const config = join(folder, 'config.toml')
  await writeFile(
    config,
    `version = 2\nroot = "${folder}/root"\nstate = "${folder}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "${socket}"\n`,
  )
  const stop = daemon('containerd', { args: ['--config', config], cwd: place })
  onTestFinished(async () => {
    await stop()
    await rm(folder, { recursive: true, force: true })
  })
  const ctr = (...args: string[]) => run('ctr', ['--address', socket, ...args])
  for (let i = 0; ; i++) {
    const { status } = await ctr('version')
    if (status === 0) return { ctr }
    if (i === 100) throw new TypeError(`containerd does not start in ${basename(folder)}`)
    await sleep(100)
  }
}
