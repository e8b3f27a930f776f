import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { clientFiles } from '../../src/site/mirror-files.ts'
import { clientFilesFor } from '../../src/site/node-clients.ts'
import { planNodeFiles, takeBackNodeFiles, writeNodeFiles } from '../../src/site/node-files.ts'

const address = { host: '10.77.0.1', registryPort: 35000, httpPort: 8080 }
const suites = (suite: string) => [{ root: '', suite, components: ['main'], architectures: ['amd64'] }]
const files = clientFiles({
  address,
  hosts: ['docker.io', 'registry.example:5000'],
  debs: [
    { name: 'debian-12', suites: suites('bookworm') },
    { name: 'ubuntu-22.04', suites: suites('jammy-updates') },
  ],
  rpms: [],
  hasWheels: false,
  publicKey: 'THE KEY',
})

describe('clientFiles', () => {
  it('sends every upstream host to the site, and a miss too', () => {
    const toml =
      'server = "http://10.77.0.1:35000"\n\n[host."http://10.77.0.1:35000"]\n  capabilities = ["pull", "resolve"]\n'
    for (const host of ['docker.io', 'registry.example:5000', '10.77.0.1:35000', '_default'])
      expect(files.get(`etc/containerd/certs.d/${host}/hosts.toml`)).toBe(toml)
  })

  it('never tells apt to trust without a signature', () => {
    const source = files.get('etc/apt/sources.list.d/airgap-debian-12.sources')
    expect(source).toContain('Signed-By: /etc/apt/keyrings/airgap-site.asc')
    expect(source).toContain('URIs: http://10.77.0.1:8080/debs/debian-12')
    expect([...files.values()].join('\n')).not.toMatch(/trusted/i)
    expect(files.get('etc/apt/keyrings/airgap-site.asc')).toBe('THE KEY')
  })

  it('writes an IPv6 address in brackets and leaves port 80 out', () => {
    const six = clientFiles({
      address: { host: 'fd00::1', registryPort: 35000, httpPort: 80 },
      hosts: [],
      debs: [{ name: 'a', suites: suites('a') }],
      rpms: [],
      hasWheels: false,
      publicKey: '',
    })
    expect(six.get('etc/containerd/certs.d/_default/hosts.toml')).toContain(
      'server = "http://[fd00::1]:35000"',
    )
    expect(six.get('etc/apt/sources.list.d/airgap-a.sources')).toContain('URIs: http://[fd00::1]/debs/a')
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
  const apt = async (release?: string) => {
    await mkdir(join(root, 'etc/apt'), { recursive: true })
    if (release !== undefined) await writeFile(join(root, 'etc/os-release'), release)
  }
  const sources = async () =>
    [...(await clientFilesFor(files, { root })).keys()].filter(path => path.includes('apt'))

  it('chooses the package sources of its release', async () => {
    await apt('ID=debian\nVERSION_CODENAME=bookworm\n')
    expect(await sources()).toEqual([
      'etc/apt/keyrings/airgap-site.asc',
      'etc/apt/sources.list.d/airgap-debian-12.sources',
    ])
    await writeFile(join(root, 'etc/os-release'), 'VERSION_CODENAME="jammy"\n')
    expect(await sources()).toContain('etc/apt/sources.list.d/airgap-ubuntu-22.04.sources')
    await writeFile(join(root, 'etc/os-release'), 'VERSION_CODENAME=trixie\n')
    expect(await sources()).toEqual([])
  })

  it('keeps a flat repository, which names no release', async () => {
    await apt('VERSION_CODENAME=trixie\n')
    const path = 'etc/apt/sources.list.d/airgap-vendor.sources'
    const text = 'Types: deb\nURIs: http://site/debs/vendor/x\nSuites: /\n'
    expect([...(await clientFilesFor(new Map([[path, text]]), { root })).keys()]).toEqual([path])
  })

  it('gives a machine without apt none, and all where the release cannot be told', async () => {
    expect(await sources()).toEqual([])
    await apt()
    expect(await sources()).toHaveLength(3)
  })

  it('chooses the repositories of its release, with the keys that they name', async () => {
    const rpm = (name: string) => ({ name, id: 'base', keys: [`key of ${name}`] })
    const all = clientFiles({
      address: { host: '10.0.0.1', registryPort: 35000, httpPort: 80 },
      hosts: [],
      debs: [],
      rpms: [rpm('el8'), rpm('rocky-9.4'), rpm('tools')],
      hasWheels: false,
      publicKey: 'site',
    })
    const chosen = async () =>
      [...(await clientFilesFor(all, { root })).keys()].filter(path => !path.includes('containerd'))
    expect(await chosen()).toEqual([])
    await mkdir(join(root, 'etc/yum.repos.d'), { recursive: true })
    await writeFile(join(root, 'etc/os-release'), 'ID="rocky"\nVERSION_ID="9.5"\n')
    expect((await chosen()).sort()).toEqual([
      'etc/pki/rpm-gpg/RPM-GPG-KEY-airgap-rocky-9.4-base-1',
      'etc/pki/rpm-gpg/RPM-GPG-KEY-airgap-site',
      'etc/pki/rpm-gpg/RPM-GPG-KEY-airgap-tools-base-1',
      'etc/yum.repos.d/airgap-rocky-9.4.repo',
      'etc/yum.repos.d/airgap-tools.repo',
    ])
    await rm(join(root, 'etc/os-release'))
    expect((await chosen()).filter(path => path.endsWith('.repo'))).toHaveLength(3)
  })

  it('writes, knows what it wrote, and takes it back', async () => {
    const docker = join(root, 'etc/containerd/certs.d/docker.io/hosts.toml')
    await mkdir(join(root, 'etc/containerd/certs.d/docker.io'), { recursive: true })
    await writeFile(docker, 'of the operator', { mode: 0o640 })
    const written = await writeNodeFiles(files, { root, record })
    expect(written.filter(file => file.change === 'replace').map(file => file.path)).toEqual([docker])
    expect((await planNodeFiles(files, { root })).every(file => file.change === 'none')).toBe(true)
    expect(await readFile(`${docker}.airgap-backup`, 'utf8')).toBe('of the operator')
    expect((await stat(join(root, 'etc/apt/keyrings/airgap-site.asc'))).mode & 0o777).toBe(0o644)
    await writeNodeFiles(files, { root, record })
    const back = await takeBackNodeFiles(record)
    expect(back.map(file => file.result).sort()).toEqual([...Array(6).fill('removed'), 'restored'])
    expect(await readFile(docker, 'utf8')).toBe('of the operator')
    expect((await stat(docker)).mode & 0o777).toBe(0o640)
    expect(await readdir(join(root, 'etc/containerd/certs.d'))).toEqual(['docker.io'])
    expect(await readdir(join(root, 'etc/apt/sources.list.d'))).toEqual([])
  })

  it('leaves alone what was changed after it was written', async () => {
    await writeNodeFiles(files, { root, record })
    const path = join(root, 'etc/containerd/certs.d/_default/hosts.toml')
    await writeFile(path, 'mine now')
    expect(await takeBackNodeFiles(record)).toContainEqual({ path, result: 'kept: changed since' })
    expect(await readFile(path, 'utf8')).toBe('mine now')
  })

  it('fault 99: follows no symbolic link, neither of a file nor out of the root', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'airgap-outside-'))
    try {
      await writeFile(join(outside, 'victim'), 'precious')
      await mkdir(join(root, 'etc/containerd/certs.d/docker.io'), { recursive: true })
      await symlink(join(outside, 'victim'), join(root, 'etc/containerd/certs.d/docker.io/hosts.toml'))
      await expect(writeNodeFiles(files, { root, record })).rejects.toMatchObject({ code: 'VALUES_INVALID' })
      expect(await readFile(join(outside, 'victim'), 'utf8')).toBe('precious')
      await rm(join(root, 'etc'), { recursive: true })
      await symlink(outside, join(root, 'etc'))
      await expect(writeNodeFiles(files, { root, record })).rejects.toMatchObject({ code: 'VALUES_INVALID' })
      expect(await readdir(outside, { recursive: true })).not.toContain(
        'containerd/certs.d/docker.io/hosts.toml',
      )
    } finally {
      await rm(outside, { recursive: true, force: true })
    }
  })
})
