import { randomBytes } from 'node:crypto'
import { chown, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { isRoot, missingPrograms, run as runProgram } from '../../scripts/lib/run.ts'
import { serviceFolder } from '../../src/service/units.ts'
import { writeSiteConfig } from '../../src/site/config.ts'
import { openState } from '../../src/site/state.ts'
import { tempFolder } from '../bundle/samples.ts'
import { buildProgram, run } from '../cli/offline-deploy/support.ts'

/** of no user of this machine */
const uid = 64_999

const lacking = [...(isRoot ? [] : ['root']), ...missingPrograms(['openssl'])]
const needs = lacking.join(', ') || 'nothing more'

describe.skipIf(lacking.length > 0)(`settings and keys in the folder of the service (needs ${needs})`, () => {
  let program: { path: string; remove(): Promise<void> }
  beforeAll(async () => {
    program = await buildProgram()
  })
  afterAll(() => program.remove())

  /** A site with the operator's own certificate, and the folder of its service. */
  async function preparedSite() {
    const work = await tempFolder()
    const site = join(work, 'site')
    const given = { certificate: join(work, 'site.crt'), key: join(work, 'site.key') }
    const subject = ['-subj', '/CN=site', '-addext', 'subjectAltName=IP:127.0.0.1', '-nodes']
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
    const files = ['-keyout', given.key, '-out', given.certificate]
    await runProgram(['openssl', 'req', '-x509', ...kind, ...subject, ...files])
    const { paths } = await openState(site)
    await writeSiteConfig(paths.config, {
      bundles: [],
      address: '127.0.0.1',
      registryPort: 35_000,
      httpPort: 8080,
      listen: '127.0.0.1',
      verify: 'once',
      tls: { by: 'files', ...given },
      requireLogin: false,
      environment: 'prod',
      nodeRoot: null,
    })
    const name = `airgap-sync-${randomBytes(4).toString('hex')}`
    const folder = serviceFolder(name)
    await mkdir(folder, { mode: 0o700 })
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    await chown(folder, uid, uid)
    const sync = () => run(['service', 'sync', '--site', site, '--name', name, '--output', 'json'])
    return { site, folder, given, sync }
  }

  it('are copied again and again where the certificate is the operator’s', async () => {
    const { site, folder, given, sync } = await preparedSite()
    for (const key of ['the key', 'the renewed key', 'the renewed key']) {
      await writeFile(given.key, key)
      expect(await sync()).toMatchObject({ code: 0, stderr: '' })
      expect(await readFile(join(folder, 'tls', 'given.key'), 'utf8')).toBe(key)
    }
    expect(await readdir(site)).not.toContain('tls')
    expect((await readdir(join(folder, 'tls'))).sort()).toEqual(['given.crt', 'given.key'])
    expect((await stat(join(folder, 'tls', 'given.key'))).uid).toBe(uid)
    const { tls } = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))
    expect(tls).toEqual({
      by: 'files',
      certificate: join(folder, 'tls', 'given.crt'),
      key: join(folder, 'tls', 'given.key'),
    })
  })

  it('lose a removed user first, whatever fails afterwards', async () => {
    const { site, folder, sync } = await preparedSite()
    const users = join(site, 'users.htpasswd')
    await writeFile(users, 'anna:$2y$10$', { mode: 0o600 })
    expect(await sync()).toMatchObject({ code: 0 })
    expect(await readdir(folder)).toContain('users.htpasswd')
    await rm(users)
    // cannot be replaced by a file
    await rm(join(folder, 'site.json'))
    await mkdir(join(folder, 'site.json', 'in the way'), { recursive: true })
    expect((await sync()).code).not.toBe(0)
    expect(await readdir(folder)).not.toContain('users.htpasswd')
  })
})
