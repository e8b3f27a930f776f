import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sampleImage, sampleLock, sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, run, type TestSite, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

const siteFile =
  'apiVersion: airgap-site/v1\nnodes: [{name: one, address: 192.0.2.1, roles: [control-plane, worker]}]\n'

/** Every command that opens a bundle. Those that ask for confirmation are confirmed: they must not come that far. */
const commands: [string, ...string[]][] = [
  ['verify'],
  ['compat'],
  ['serve', '--registry-port', '0', '--http-port', '0'],
  ['preflight'],
  ['nodes', 'check'],
  ['plan'],
  ['apply', '--yes'],
  ['upgrade', '--yes'],
  ['configure', '--yes'],
  ['status'],
  ['receipt'],
  ['rollback-app', 'demo', '--yes'],
  ['destroy', '--yes', '--confirm', 'prod'],
  ['reset', '--yes', '--confirm', 'prod'],
]

/** One of each sort: reads, serves, installs, removes. */
const some = commands.filter(([name]) => ['verify', 'serve', 'apply', 'status', 'destroy'].includes(name))

/** Those that read the lock or the rules in it. */
const readers = new Set(['verify', 'compat', 'preflight', 'nodes', 'plan', 'apply', 'upgrade', 'configure'])

const at = (site: TestSite) => ['--site', site.site, '--bundle', site.bundle]

/** Changes bytes of the bundle in place: same length, so that nothing but the digests can tell. */
async function replaceText(path: string, from: string, to: string): Promise<void> {
  const bytes = await readFile(path)
  const place = bytes.indexOf(from)
  expect(place).toBeGreaterThan(0)
  bytes.write(to, place)
  await writeFile(path, bytes)
}

async function newSite(): Promise<TestSite> {
  const site = await testSite()
  await writeBundle(site.bundle, sampleStack())
  return site
}

/** A site that is set up with its bundle, and its site.yaml. */
async function deployedSite(): Promise<TestSite> {
  const site = await newSite()
  expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
  await writeFile(join(site.site, 'site.yaml'), siteFile)
  return site
}

describe('a bundle whose lock was changed', () => {
  it('index.json does not match its pinned digest: exit 6', async () => {
    const site = await deployedSite()
    await replaceText(site.bundle, '"lock"}', '"l0ck"}')
    for (const command of some) {
      const ran = await run([...command, ...at(site)])
      expect(ran, command.join(' ')).toMatchObject({
        code: 6,
        stderr: expect.stringContaining('BUNDLE_CORRUPT'),
      })
    }
  }, 60_000)

  it('all digests match, and the site knows another one: every command stops with exit 6', async () => {
    const site = await deployedSite()
    await writeBundle(site.bundle, [
      ...sampleStack().filter(
        ({ root }) => root.annotations?.['org.opencontainers.image.ref.name'] !== 'lock',
      ),
      ...sampleLock({ variants: ['evil'] }),
    ])
    const before = await readdir(site.site)
    for (const command of commands) {
      const ran = await run([...command, ...at(site)])
      expect(ran, command.join(' ')).toMatchObject({
        code: 6,
        stderr: expect.stringContaining('DIGEST_MISMATCH'),
      })
    }
    expect(await readdir(site.site)).toEqual(before)
    const support = await run([
      'support-bundle',
      ...at(site),
      '--out',
      join(site.work, 's.tar.gz'),
      '-o',
      'json',
    ])
    expect(support.code).toBe(0)
  }, 60_000)

  it('its own digest does not match: whatever reads it stops with exit 6 before anything is written', async () => {
    const site = await newSite()
    await replaceText(site.bundle, '"lockVersion": 1', '"lockVersion": 2')
    for (const command of commands.filter(([name]) => readers.has(name))) {
      if (command[0] === 'preflight' || command[0] === 'nodes') continue
      const ran = await run([...command, ...site.options.slice(0, command[0] === 'verify' ? 2 : 4)])
      expect(ran, command.join(' ')).toMatchObject({ code: 6 })
    }
    expect(await readdir(site.work)).toEqual(['sample.tar'])
  }, 60_000)
})

describe('--expect', () => {
  it('is a digest that came by another way: any other bundle is refused with exit 6', async () => {
    const site = await deployedSite()
    const expected = `sha256:${'0'.repeat(64)}`
    for (const command of some) {
      const ran = await run([...command, ...at(site), '--expect', expected])
      expect(ran, command.join(' ')).toMatchObject({
        code: 6,
        stderr: expect.stringContaining(`not ${expected}`),
      })
    }
    const ran = await run(['status', '--site', site.site], { env: { OFFLINE_DEPLOY_EXPECT: expected } })
    expect(ran.code).toBe(6)
  }, 60_000)

  it('takes a bundle that was built again under the same version', async () => {
    const site = await deployedSite()
    const digest = await writeBundle(site.bundle, [...sampleStack(), sampleImage('quay.io/new/one:1')])
    expect((await run(['status', '--site', site.site])).code).toBe(6)
    const apply = ['apply', '--yes', '--site', site.site, '--only', 'verify,lay-down']
    expect(await run([...apply, '--expect', digest])).toMatchObject({ code: 0 })
    // it is known from now on
    expect(await run(['status', '--site', site.site])).toMatchObject({ code: 0 })
  })

  it('refuses what is not a digest', async () => {
    const ran = await run(['verify', '--expect', 'sha256:1'])
    expect(ran).toMatchObject({ code: 2, stderr: expect.stringContaining('64 lower-case hex digits') })
  })
})

describe('a bundle of another version in the place of the installed one', () => {
  it('is opened by commands that install it, not by those that work on what is installed', async () => {
    const site = await deployedSite()
    await writeBundle(site.bundle, sampleStack(), '2.0.0')
    for (const command of [['status'], ['destroy', '--yes', '--confirm', 'prod']])
      expect(await run([...command, ...at(site)]), command.join(' ')).toMatchObject({
        code: 6,
        stderr: expect.stringContaining('not set up with this bundle'),
      })
    expect(await run(['verify', ...at(site)])).toMatchObject({ code: 0 })
    expect(await run(['receipt', ...at(site)])).toMatchObject({ code: 0 })
  })
})
