import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { existingSite, findBundles, localAddress, refuseAnyPort, setUp } from '../../src/deploy/set-up.ts'
import { httpServerOf, registryUrlOf } from '../../src/site/address.ts'

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-set-up-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const given = { bundle: ['/nowhere/b.tar'], address: '127.0.0.1', nodeRoot: 'none' }
const saved = {
  bundles: ['/saved/b.tar'],
  address: '10.0.0.1',
  registryPort: 5001,
  httpPort: 5002,
  listen: '10.0.0.1',
  environment: 'saved',
  nodeRoot: '/saved',
}
/** what a site that an older offline-deploy has set up is read as */
const older = { ...saved, verify: 'once', tls: null, requireLogin: false } as const

async function savedSite(config: object = saved): Promise<string> {
  const site = await temporaryFolder()
  await writeFile(join(site, 'config.json'), JSON.stringify(config))
  return site
}

const writeSiteFile = (site: string, environment: string) =>
  writeFile(
    join(site, 'site.yaml'),
    `apiVersion: airgap-site/v1\nenvironment: ${environment}\nnodes: [{name: one, address: 10.0.0.9, roles: [control-plane, worker]}]\n`,
  )

describe('setUp', () => {
  it('takes when the servers hash from the option, else from what was saved; an older site has not saved it', async () => {
    const verifyOf = async (site: string, options = {}) => (await setUp({ ...options, site })).config.verify
    expect(await verifyOf(await savedSite())).toBe('once')
    const always = await savedSite({ ...saved, verify: 'always' })
    expect(await verifyOf(always)).toBe('always')
    expect(await verifyOf(always, { verify: 'once' })).toBe('once')
  })

  it('takes defaults where nothing was said and nothing saved', async () => {
    const site = join(await temporaryFolder(), 'site')
    const { config, siteFolder, expect: expected } = await setUp({ ...given, site })
    expect(siteFolder).toBe(site)
    expect(expected).toEqual([])
    expect(config).toEqual({
      verify: 'once',
      tls: { by: 'site-ca' },
      requireLogin: false,
      bundles: ['/nowhere/b.tar'],
      address: '127.0.0.1',
      registryPort: 35_000,
      httpPort: 8080,
      listen: '0.0.0.0',
      environment: 'prod',
      nodeRoot: null,
    })
  })

  it('what the site was set up with comes before the defaults', async () => {
    const { config } = await setUp({ site: await savedSite() })
    expect(config).toEqual(older)
  })

  it('site.yaml comes before what was saved', async () => {
    const site = await savedSite()
    await writeSiteFile(site, 'staging')
    const { config, site: siteFile } = await setUp({ site })
    expect(config.environment).toBe('staging')
    expect(siteFile?.nodes).toHaveLength(1)
  })

  it('options come before all of it', async () => {
    const site = await savedSite()
    const options = {
      bundle: ['/given/b.tar'],
      address: 'deploy.example',
      registryPort: 6001,
      httpPort: 6002,
      listen: '10.0.0.2',
      env: 'given',
      nodeRoot: '/given',
    }
    const { config, address } = await setUp({ ...options, site })
    expect(config).toEqual({
      verify: 'once',
      tls: null,
      requireLogin: false,
      bundles: ['/given/b.tar'],
      address: 'deploy.example',
      registryPort: 6001,
      httpPort: 6002,
      listen: '10.0.0.2',
      environment: 'given',
      nodeRoot: '/given',
    })
    expect(address).toEqual({ scheme: 'http', host: 'deploy.example', registryPort: 6001, httpPort: 6002 })
  })

  it('refuses an environment that is not the one of site.yaml', async () => {
    const site = await savedSite()
    await writeSiteFile(site, 'staging')
    await expect(setUp({ site, env: 'prod' })).rejects.toMatchObject({ code: 'USAGE', item: '--env' })
  })

  it.each([
    { registryPort: 5000, httpPort: 5000 },
    { env: '../evil' },
    { listen: 'eth0' },
    { address: 'http://x' },
  ])('refuses %j', async wrong => {
    const site = join(await temporaryFolder(), 'site')
    await expect(setUp({ ...given, site, ...wrong })).rejects.toMatchObject({
      code: 'USAGE',
      next: expect.any(String),
    })
  })

  it.each(['site', 'nodeRoot'] as const)('an empty %s is not the current folder', async option => {
    const site = join(await temporaryFolder(), 'site')
    await expect(setUp({ ...given, site, [option]: '' })).rejects.toMatchObject({
      code: 'USAGE',
      next: expect.any(String),
    })
  })

  it.each([0, -1, 65_536, 1.5])('reports a saved port of %d as a damaged configuration', async httpPort => {
    const site = await savedSite({ ...saved, httpPort })
    await expect(setUp({ ...given, site })).rejects.toMatchObject({ code: 'JOURNAL_INVALID' })
    expect(await readdir(site)).toEqual(['config.json'])
  })
})

describe('findBundles', () => {
  it('takes what was named, else what the site was set up with', async () => {
    const site = await savedSite()
    expect(await findBundles({ site, bundle: ['/given/b.tar'] })).toMatchObject({ paths: ['/given/b.tar'] })
    expect(await findBundles({ site })).toEqual({
      paths: saved.bundles,
      siteFolder: site,
      expect: [],
      trustKey: [],
    })
  })

  it('asks for the bundle where neither a bundle nor a site is named', async () => {
    await expect(findBundles({})).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('which bundle'),
    })
  })
})

describe('existingSite', () => {
  it('refuses a folder in which nothing was deployed', async () => {
    const site = join(await temporaryFolder(), 'site')
    await mkdir(site)
    await expect(existingSite({ site })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND', item: site })
  })
})

it('port 0 is for serve alone', () => {
  expect(() => refuseAnyPort({ ...older, httpPort: 0 })).toThrow(/port 0/)
})

it.each([
  ['0.0.0.0', null, 'http://127.0.0.1:5002'],
  ['::', null, 'http://[::1]:5002'],
  ['10.0.0.1', { by: 'site-ca' } as const, 'https://10.0.0.1:5002'],
])('servers that listen on %s are reached at their own address', (listen, tls, url) => {
  const address = localAddress({ listen, registryPort: 5001, httpPort: 5002, tls })
  expect(httpServerOf(address)).toBe(url)
  expect(registryUrlOf(address)).toBe(url.replace('5002', '5001'))
})
