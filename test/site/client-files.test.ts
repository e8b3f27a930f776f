import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AptClient, aptClients } from '../../src/kinds/deb/mount.ts'
import { type YumClient, yumClients } from '../../src/kinds/rpm/mount.ts'
import { pipConf } from '../../src/kinds/wheel/site-index.ts'
import { httpServerOf, type SiteAddress } from '../../src/site/address.ts'
import {
  type ClientFile,
  caFileOf,
  clientFilesDigest,
  containerdFiles,
  siteCaFiles,
} from '../../src/site/client-files.ts'
import { filesForHost } from '../../src/site/host-files.ts'
import { planFiles, undoFiles, writeFiles } from '../../src/site/managed-files.ts'
import { type RegistryMirrors, registryMirrors } from '../../src/site/registry-mirrors.ts'

const address = { scheme: 'http', host: '10.77.0.1', registryPort: 35000, httpPort: 8080 } as const
const suites = (suite: string, root = '') => [{ root, suite, components: ['main'], architectures: ['amd64'] }]
interface FilesOptions {
  address: SiteAddress
  mirrors: readonly RegistryMirrors[]
  debs: readonly AptClient[]
  rpms: readonly YumClient[]
  publicKey: string
  /** PEM */
  ca: string
}

const filesOf = (options: Partial<FilesOptions>): ClientFile[] => {
  const { debs = [], rpms = [], publicKey = 'THE KEY' } = options
  const server = options.address ?? address
  const upstreams = ['docker.io', 'registry.example:5000']
  const caFile = caFileOf(options.ca)
  const access = { httpServer: httpServerOf(server), publicKey, caFile }
  return [
    ...siteCaFiles(options.ca, server),
    ...containerdFiles(options.mirrors ?? registryMirrors({ address: server, upstreams }), { caFile }),
    ...aptClients(debs, access),
    ...yumClients(rpms, access),
  ]
}
const files = filesOf({
  debs: [
    { name: 'debian-12', suites: suites('bookworm') },
    { name: 'ubuntu-22.04', suites: suites('jammy-updates') },
  ],
})
const textAt = (all: readonly ClientFile[], path: string) => all.find(file => file.path === path)?.text

describe('client files', () => {
  it('sends every upstream registry to the site, and a miss too', () => {
    const toml =
      'server = "http://10.77.0.1:35000"\n\n[host."http://10.77.0.1:35000"]\n  capabilities = ["pull", "resolve"]\n'
    for (const host of ['docker.io', 'registry.example:5000', '10.77.0.1:35000', '_default'])
      expect(textAt(files, `etc/containerd/certs.d/${host}/hosts.toml`)).toBe(toml)
  })

  it('lets apt trust nothing without a signature', () => {
    expect(textAt(files, 'etc/apt/apt.conf.d/95airgap-site')).toContain(
      'Acquire::http::Proxy::10.77.0.1 "DIRECT";\n',
    )
    const source = textAt(files, 'etc/apt/sources.list.d/airgap-debian-12.sources')
    expect(source).toContain('Signed-By: /etc/apt/keyrings/airgap-site.asc')
    expect(source).toContain('URIs: http://10.77.0.1:8080/debs/debian-12')
    expect(files.map(({ text }) => text).join('\n')).not.toMatch(/trusted/i)
    expect(textAt(files, 'etc/apt/keyrings/airgap-site.asc')).toBe('THE KEY')
  })

  it('writes an IPv6 address in brackets and leaves port 80 out', () => {
    const six = { scheme: 'http', host: 'fd00::1', registryPort: 35000, httpPort: 80 } as const
    const all = filesOf({
      address: six,
      mirrors: registryMirrors({ address: six, upstreams: [] }),
      debs: [{ name: 'a', suites: suites('a') }],
    })
    expect(textAt(all, 'etc/containerd/certs.d/_default/hosts.toml')).toContain(
      'server = "http://[fd00::1]:35000"',
    )
    expect(textAt(all, 'etc/apt/sources.list.d/airgap-a.sources')).toContain('URIs: http://[fd00::1]/debs/a')
    expect(textAt(all, 'etc/apt/apt.conf.d/95airgap-site')).toContain('Proxy::fd00::1 "DIRECT"')
  })

  describe('of a site with TLS', () => {
    const https: SiteAddress = { ...address, scheme: 'https' }
    const caFile = '/etc/ssl/certs/airgap-site-ca.crt'
    const secured = filesOf({
      address: https,
      ca: 'THE CA',
      debs: [{ name: 'debian-12', suites: suites('bookworm') }],
      rpms: [{ name: 'el9', id: 'base', keys: [] }],
    })

    it('name the CA for these servers and no others', () => {
      expect(textAt(secured, 'etc/containerd/certs.d/docker.io/hosts.toml')).toBe(
        `server = "https://10.77.0.1:35000"\nca = "${caFile}"\n\n[host."https://10.77.0.1:35000"]\n  capabilities = ["pull", "resolve"]\n  ca = "${caFile}"\n`,
      )
      expect(textAt(secured, 'etc/apt/apt.conf.d/95airgap-site')).toBe(
        `// the servers of the site are reached without a proxy\nAcquire::https::Proxy::10.77.0.1 "DIRECT";\nAcquire::https::10.77.0.1::CAInfo "${caFile}";\n`,
      )
      expect(textAt(secured, 'etc/apt/sources.list.d/airgap-debian-12.sources')).toContain(
        'URIs: https://10.77.0.1:8080/debs/debian-12',
      )
      const repository = textAt(secured, 'etc/yum.repos.d/airgap-el9.repo')
      expect(repository).toContain(`\nsslcacert=${caFile}\n`)
      expect(repository).toContain('\nbaseurl=https://10.77.0.1:8080/rpms/el9/base\n')
      const pip = pipConf('https://10.77.0.1:8080', caFile)
      expect(pip).toContain(`\ncert = ${caFile}\n`)
      expect(pip).not.toContain('trusted-host')
    })

    it('need no CA where the certificate is one of a CA that machines know', () => {
      const known = filesOf({ address: https, debs: [{ name: 'a', suites: suites('a') }] })
      expect(known.filter(file => file.kind === 'site-ca')).toEqual([])
      expect(known.map(({ text }) => text).join('\n')).not.toContain('airgap-site-ca')
      expect(pipConf('https://10.77.0.1:8080')).toBe(
        '[global]\nindex-url = https://10.77.0.1:8080/pypi/simple/\n',
      )
    })

    it('have the CA in the place of each program', () => {
      expect(secured.filter(file => file.kind === 'site-ca')).toEqual(
        [
          ['machine', caFile.slice(1)],
          ['debian', 'usr/local/share/ca-certificates/airgap-site-ca.crt'],
          ['el', 'etc/pki/ca-trust/source/anchors/airgap-site-ca.crt'],
          ['docker', 'etc/docker/certs.d/10.77.0.1:35000/ca.crt'],
          ['containers', 'etc/containers/certs.d/10.77.0.1:35000/ca.crt'],
        ].map(([place, path]) => ({ kind: 'site-ca', place, path, text: 'THE CA' })),
      )
    })
  })

  it('has another digest for each change of a file', () => {
    const digests = [{}, { publicKey: 'ANOTHER' }, { mirrors: [] }, { ca: 'A CA' }, { ca: 'B' }].map(change =>
      clientFilesDigest(filesOf({ debs: [{ name: 'a', suites: suites('a') }], ...change })),
    )
    expect(new Set(digests).size).toBe(digests.length)
  })

  const unfit = [
    'el9]\ngpgcheck=0\n[x',
    'el9\u2028proxy=http://10.0.0.66',
    'a b',
    'a]',
    '..',
    '',
    '../x',
    '.repo',
    'a%20b',
  ]
  it.each(unfit)('refuses the repository name %j, which could change the file', name => {
    const refused = expect.objectContaining({ code: 'BUNDLE_CORRUPT', exitCode: 6 })
    expect(() => filesOf({ rpms: [{ name, id: 'base', keys: [] }] })).toThrow(refused)
    expect(() => filesOf({ rpms: [{ name: 'el9', id: name, keys: [] }] })).toThrow(refused)
    expect(() => filesOf({ debs: [{ name, suites: suites('a') }] })).toThrow(refused)
  })

  it('keeps the folder of an archive one URI, whatever is in its name', () => {
    const all = filesOf({
      debs: [{ name: 'a', suites: suites('b', 'x http:evil.example\u2028\u0085Trusted: yes/') }],
    })
    const text = textAt(all, 'etc/apt/sources.list.d/airgap-a.sources') ?? ''
    expect(/^URIs: (.*)$/m.exec(text)?.[1]).toMatch(/^http:\/\/10\.77\.0\.1:8080\/debs\/a\/[A-Za-z0-9%.:]+$/)
    expect(() => filesOf({ debs: [{ name: 'a', suites: suites('b', 'x\ud800/') }] })).toThrow(
      expect.objectContaining({ code: 'BUNDLE_CORRUPT' }),
    )
  })
})

describe('on a machine', () => {
  let root: string
  let record: string
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'airgap-node-'))
    record = join(root, 'record.json')
  })
  afterEach(() => rm(root, { recursive: true, force: true }))
  const system = async (packages: 'apt' | 'yum.repos.d', release?: string) => {
    await mkdir(join(root, 'etc', packages), { recursive: true })
    if (release === undefined) await rm(join(root, 'etc/os-release'), { force: true })
    else await writeFile(join(root, 'etc/os-release'), release)
  }
  const pathsFor = async (all = files) =>
    (await filesForHost(all, { root })).map(({ path }) => path).filter(path => !path.includes('containerd'))

  it('chooses the package sources of its release', async () => {
    await system('apt', 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n')
    expect(await pathsFor()).toEqual([
      'etc/apt/keyrings/airgap-site.asc',
      'etc/apt/apt.conf.d/95airgap-site',
      'etc/apt/sources.list.d/airgap-debian-12.sources',
    ])
    await system('apt', 'ID=ubuntu\nVERSION_ID="22.04"\n')
    expect(await pathsFor()).toContain('etc/apt/sources.list.d/airgap-ubuntu-22.04.sources')
    await system('apt', 'ID=debian\nVERSION_ID="13"\n')
    expect(await pathsFor()).toEqual([])
  })

  it.each<[string, Record<string, string>, string[]]>([
    ['an entry of any name, by its suites', { debs: 'bookworm' }, ['debs']],
    ['several entries', { 'debian-12': 'bookworm', docker: 'bookworm' }, ['debian-12', 'docker']],
    [
      'updates beside the release, and not what another release gets',
      { base: 'bookworm-updates', 'debian-13': 'trixie', cuda: 'trixie', security: 'bookworm/updates' },
      ['base', 'security'],
    ],
    [
      'a flat repository, where the bundles are for one release',
      { 'debian-12': 'bookworm', k8s: './' },
      ['debian-12', 'k8s'],
    ],
    [
      'not where they are for two',
      { 'debian-12': 'bookworm', 'debian-13': 'trixie', k8s: './' },
      ['debian-12'],
    ],
    ['not one that is named after another release', { 'debian-13': 'stable' }, []],
    ['none of another release', { debs: 'trixie', 'ubuntu-22.04': 'jammy' }, []],
  ])('with apt: %s', async (_, entries, expected) => {
    const debs = Object.entries(entries).map(([name, suite]) => ({ name, suites: suites(suite) }))
    await system('apt', 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n')
    const all = await filesForHost(filesOf({ debs }), { root })
    const chosen = all.flatMap(file => (file.kind === 'apt-sources' ? [file.repository] : []))
    expect(chosen.sort()).toEqual(expected)
    expect(all.some(file => file.kind === 'site-key')).toBe(expected.length > 0)
  })

  it.each<[string, string[], string[]]>([
    ['an entry of any name', ['rpms'], ['rpms']],
    [
      'other entries beside the release',
      ['rocky-9', 'docker', 'k8s-tools'],
      ['docker', 'k8s-tools', 'rocky-9'],
    ],
    ['the closest of one major release', ['el9', 'rocky-9', 'docker'], ['docker', 'rocky-9']],
    ['not where the bundles are for two releases', ['el8', 'el9', 'docker'], ['el9']],
    ['none of another release', ['el8', 'docker'], []],
  ])('with dnf: %s', async (_, names, expected) => {
    const rpms = names.map(name => ({ name, id: 'base', keys: [] }))
    await system('yum.repos.d', 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n')
    const all = await filesForHost(filesOf({ rpms }), { root })
    const chosen = all.flatMap(file => (file.kind === 'yum-repo' ? [file.repository] : []))
    expect(chosen.sort()).toEqual(expected)
  })

  it('leaves alone a machine without apt, and one that does not say its release', async () => {
    expect(await pathsFor()).toEqual([])
    await system('apt')
    expect(await pathsFor()).toEqual([])
  })

  it('gets the CA in the places of the programs that it has', async () => {
    const all = filesOf({ address: { ...address, scheme: 'https' }, ca: 'THE CA' })
    const places = async () =>
      (await filesForHost(all, { root })).flatMap(file => (file.kind === 'site-ca' ? [file.place] : []))
    expect(await places()).toEqual(['machine'])
    for (const folder of ['usr/share/ca-certificates', 'etc/docker'])
      await mkdir(join(root, folder), { recursive: true })
    expect(await places()).toEqual(['machine', 'debian', 'docker'])
    await rm(join(root, 'usr'), { recursive: true })
    for (const folder of ['etc/pki/ca-trust', 'etc/containers'])
      await mkdir(join(root, folder), { recursive: true })
    expect(await places()).toEqual(['machine', 'el', 'docker', 'containers'])
  })

  it('chooses the repository of its release, with the keys that it names', async () => {
    const rpm = (name: string) => ({ name, id: 'base', keys: [`key of ${name}`] })
    const all = filesOf({ rpms: [rpm('el8'), rpm('el9'), rpm('rocky-9.4'), rpm('tools')] })
    expect(await pathsFor(all)).toEqual([])
    const rocky = (version: string) => `ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="${version}"\n`
    const chosen = async () => (await pathsFor(all)).sort()
    await system('yum.repos.d', rocky('9.4'))
    expect(await chosen()).toEqual([
      'etc/pki/rpm-gpg/RPM-GPG-KEY-airgap-rocky-9.4-base-1',
      'etc/pki/rpm-gpg/RPM-GPG-KEY-airgap-site',
      'etc/yum.repos.d/airgap-rocky-9.4.repo',
    ])
    await system('yum.repos.d', rocky('9.5'))
    expect(await chosen()).toEqual([
      'etc/pki/rpm-gpg/RPM-GPG-KEY-airgap-el9-base-1',
      'etc/pki/rpm-gpg/RPM-GPG-KEY-airgap-site',
      'etc/yum.repos.d/airgap-el9.repo',
    ])
  })

  it('writes files, records them, and undoes them', async () => {
    const docker = join(root, 'etc/containerd/certs.d/docker.io/hosts.toml')
    await mkdir(join(root, 'etc/containerd/certs.d/docker.io'), { recursive: true })
    await writeFile(docker, 'of the operator', { mode: 0o640 })
    const written = await writeFiles(files, { root, record })
    expect(written.filter(file => file.change === 'replace').map(file => file.path)).toEqual([docker])
    expect((await planFiles(files, { root })).every(file => file.change === 'none')).toBe(true)
    expect(await readFile(`${docker}.airgap-backup`, 'utf8')).toBe('of the operator')
    expect((await stat(join(root, 'etc/apt/keyrings/airgap-site.asc'))).mode & 0o777).toBe(0o644)
    await writeFiles(files, { root, record })
    const back = await undoFiles(record)
    expect(back.map(file => file.result).sort()).toEqual([...Array(7).fill('removed'), 'restored'])
    expect(await readFile(docker, 'utf8')).toBe('of the operator')
    expect((await stat(docker)).mode & 0o777).toBe(0o640)
    expect(await readdir(join(root, 'etc/containerd/certs.d'))).toEqual(['docker.io'])
    expect(await readdir(join(root, 'etc/apt/sources.list.d'))).toEqual([])
  })

  it('undoes files that are withdrawn, such as a CA, and leaves those of others', async () => {
    const docker = join(root, 'etc/docker/certs.d/10.77.0.1:35000/ca.crt')
    await mkdir(join(root, 'etc/docker/certs.d/10.77.0.1:35000'), { recursive: true })
    await writeFile(docker, 'of the operator')
    const all = filesOf({ address: { ...address, scheme: 'https' }, ca: 'THE CA' })
    const options = { root, record, obsolete: () => true }
    await writeFiles(all, options)
    expect(await readFile(docker, 'utf8')).toBe('THE CA')
    const changed = join(root, 'etc/pki/ca-trust/source/anchors/airgap-site-ca.crt')
    await writeFile(changed, 'mine now')
    await writeFiles([{ path: 'etc/other', text: 'other' }], { root, record })
    const plain = filesOf({})
    const written = await writeFiles(plain, { ...options, obsolete: path => path !== 'etc/other' })
    expect(written.filter(({ change }) => change === 'remove').map(({ path }) => path)).toEqual(
      [
        'etc/containers/certs.d/10.77.0.1:35000/ca.crt',
        'etc/docker/certs.d/10.77.0.1:35000/ca.crt',
        'etc/ssl/certs/airgap-site-ca.crt',
        'usr/local/share/ca-certificates/airgap-site-ca.crt',
      ].map(path => join(root, path)),
    )
    expect(await readFile(docker, 'utf8')).toBe('of the operator')
    expect(await readFile(changed, 'utf8')).toBe('mine now')
    expect(await readFile(join(root, 'etc/other'), 'utf8')).toBe('other')
    for (const gone of ['etc/ssl/certs/airgap-site-ca.crt', 'etc/containers/certs.d/10.77.0.1:35000'])
      await expect(stat(join(root, gone))).rejects.toMatchObject({ code: 'ENOENT' })
    expect((await undoFiles(record)).every(({ result }) => result === 'removed')).toBe(true)
  })

  it('leaves alone a file that was changed after it was written', async () => {
    await writeFiles(files, { root, record })
    const path = join(root, 'etc/containerd/certs.d/_default/hosts.toml')
    await writeFile(path, 'mine now')
    expect(await undoFiles(record)).toContainEqual({ path, result: 'kept: changed since' })
    expect(await readFile(path, 'utf8')).toBe('mine now')
  })

  it('fault 99: follows no symbolic link, neither of a file nor out of the root', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'airgap-outside-'))
    try {
      await writeFile(join(outside, 'victim'), 'precious')
      await mkdir(join(root, 'etc/containerd/certs.d/docker.io'), { recursive: true })
      await symlink(join(outside, 'victim'), join(root, 'etc/containerd/certs.d/docker.io/hosts.toml'))
      await expect(writeFiles(files, { root, record })).rejects.toMatchObject({ code: 'VALUES_INVALID' })
      expect(await readFile(join(outside, 'victim'), 'utf8')).toBe('precious')
      await rm(join(root, 'etc'), { recursive: true })
      await symlink(outside, join(root, 'etc'))
      await expect(writeFiles(files, { root, record })).rejects.toMatchObject({ code: 'VALUES_INVALID' })
      expect(await readdir(outside, { recursive: true })).not.toContain(
        'containerd/certs.d/docker.io/hosts.toml',
      )
    } finally {
      await rm(outside, { recursive: true, force: true })
    }
  })
})
