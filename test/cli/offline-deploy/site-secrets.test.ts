import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { sampleStack, sampleTree, sampleValues, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, run, type TestSite, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

const declared = 'Zq9-declared-1'
const own = 'Zq9-undeclared-2'
const named = 'Zq9-under-values-3'
const siteFile = `apiVersion: airgap-site/v1
nodes:
- {name: n1, address: 10.99.0.1, roles: [control-plane, worker]}
kubeconfig: /nowhere
switches: {kubernetes: false, nfs: false, gpuDriver: false}
secrets:
  db: {rootPassword: ${declared}}
  extra: {words: ${own}}
values:
  db: {url: "mysql://root:${declared}@db/x", plain: ${own}, password: ${named}, again: ${named}, port: 3306}
`
const schema = 'secrets:\n- {path: db.rootPassword, description: of the database}\n'

/** A site with secrets in site.yaml; the deployment tree declares one of them. */
async function siteWithSecrets(
  text = siteFile,
  files: Record<string, string> = { 'environments/secrets.schema.yaml': schema },
) {
  const site = await testSite()
  const others = sampleStack().filter(
    ({ root }) => !root.annotations?.['org.opencontainers.image.ref.name']?.startsWith('tree/'),
  )
  const tree = sampleTree('tree/astrago', {
    'install.yaml': 'apiVersion: airgap-install/v1\n',
    'environments/prod/values.yaml': sampleValues,
    ...files,
  })
  await writeBundle(site.bundle, [...others, ...tree])
  await mkdir(site.site, { recursive: true, mode: 0o700 })
  await writeFile(join(site.site, 'site.yaml'), text, { mode: 0o600 })
  return site
}

const secretsFile = (site: TestSite) => join(site.site, 'deploy/astrago/environments/prod/secrets.yaml')
const only = ['--only', 'verify', '--only', 'lay-down', '--only', 'secrets']
const leaked = (text: string) => [declared, own, named].filter(secret => text.includes(secret))

describe('secrets in site.yaml', () => {
  it('are kept in secrets.yaml, and are in no plan, saved plan, journal or support bundle', async () => {
    const site = await siteWithSecrets()
    const saved = join(site.site, '..', 'plan.json')
    const planned = await run(['plan', '--out', saved, ...site.options])
    expect(planned).toMatchObject({ code: 0 })
    expect(planned.stdout).toContain('db.port = 3306')
    expect(planned.stdout).toContain('***')
    expect(leaked(planned.stdout + planned.stderr + (await readFile(saved, 'utf8')))).toEqual([])

    const applied = await run(['apply', '--yes', ...only, ...site.options])
    expect(applied, applied.stderr).toMatchObject({ code: 0 })
    expect(leaked(applied.stdout + applied.stderr)).toEqual([])
    expect(parse(await readFile(secretsFile(site), 'utf8'))).toEqual({
      db: { rootPassword: declared },
      extra: { words: own },
    })
    expect((await stat(secretsFile(site))).mode & 0o777).toBe(0o600)
    expect(leaked(await readFile(join(site.site, 'journal.jsonl'), 'utf8'))).toEqual([])

    const archive = join(site.site, '..', 'support.tar.gz')
    expect(await run(['support-bundle', '--out', archive, '--site', site.site])).toMatchObject({ code: 0 })
    const text = gunzipSync(await readFile(archive)).toString('latin1')
    expect(text).toContain('site.yaml')
    expect(leaked(text)).toEqual([])
    expect(await readdir(join(site.site, 'access')).catch(() => [])).toEqual([])
  })

  it('that differ from those in use are refused, by name', async () => {
    const site = await siteWithSecrets()
    expect(await run(['apply', '--yes', ...only, ...site.options])).toMatchObject({ code: 0 })
    await writeFile(join(site.site, 'site.yaml'), siteFile.replaceAll(declared, 'Zq9-changed-4'))
    const refused = await run(['apply', '--yes', ...only, ...site.options])
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain('db.rootPassword (site.yaml): differs from the one that is in use')
    expect(refused.stderr).not.toMatch(/Zq9/)
  })

  it('are refused where other users can read the file', async () => {
    const site = await siteWithSecrets()
    await chmod(join(site.site, 'site.yaml'), 0o644)
    const refused = await run(['plan', ...site.options])
    expect(refused.code).toBe(7)
    expect(refused.stderr).toContain('other users can read the secrets in site.yaml')
    expect(refused.stderr).toContain('chmod 600')
  })

  it('are refused where the deployment tree has no place for them', async () => {
    const site = await siteWithSecrets(siteFile, {})
    const refused = await run(['plan', ...site.options])
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain('secrets: db.rootPassword, extra.words')
    expect(leaked(refused.stderr)).toEqual([])
  })

  it.each([
    [
      'a number',
      siteFile.replace(declared, '12345678'),
      /:7:22: secrets\.db\.rootPassword: must be text or a map; write a number in quotes/,
    ],
    ['a list', siteFile.replace(`{words: ${own}}`, '[a]'), /secrets\.extra: must be text or a map/],
    ['a path', siteFile.replace('{words:', '{"a.b":'), /secrets\.extra\.a\.b: each key must be a name/],
  ])('are refused as %s, without being shown', async (_, text, message) => {
    const site = await siteWithSecrets(text)
    const refused = await run(['plan', ...site.options])
    expect(refused.code).toBe(2)
    expect(refused.stderr).toMatch(message)
    expect(leaked(refused.stderr)).toEqual([])
  })
})
