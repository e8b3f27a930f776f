import { appendFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { extract } from 'tar'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { secretNames } from '../../core/support/secret-names.ts'
import { forms, leaks } from '../../install/leaks.ts'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, fetchedKubeconfig, run, sampleKubeconfig, type TestSite, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

/** Twenty, of all sorts that people and programs make. */
const secrets = [
  ...['kR7mQ2xVn9TbWc4Y', 'hunter2x', 'Vx7#q&<p"9', "it's-one", 'pa/ss+word=1', 'back\\slash\\9'],
  ...['dollar$HOME$9', '%41percent%', 'a:b@c/d?e=f', '{{curly}}braces', 'semi;colon|pipe', '*star[0-9]*'],
  ...[
    '한국어-비밀번호',
    'tab-and-`tick`',
    '^caret^(group)',
    `${'x'.repeat(12)}Zq8`,
    '20261231',
    'UPPER-lower-1',
  ],
  ...[`long-${'aB3dE5gH7jK9mN2p'.repeat(30)}`, 'last~one!'],
]
const key =
  '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----'
/** Known by nothing but what stands before them. */
const unknown = [
  'Unkn0wn-of-yaml',
  'Unkn0wn-of-json',
  'Unkn0wn-of-url',
  'Unkn0wn-of-log',
  'b3BlbnNzaC1rZXktdjEAAAAABG5vbmU',
  'Kn0wn-of-cluster',
  'Kn0wn-of-site',
  'Kn0wn-of-values',
]

const put = async (path: string, text: string, mode = 0o644) => {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text, { mode })
}
const written = (i: number) => Object.values(forms).map(form => `some ${form(secrets[i]!)} text`)
const all = () => secrets.flatMap((_, i) => written(i)).join('\n')

async function planted(): Promise<TestSite> {
  const site = await testSite()
  await writeBundle(site.bundle, sampleStack())
  expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
  const at = (path: string) => join(site.site, path)
  const [first, ...rest] = secrets
  const values = Object.fromEntries(rest.slice(0, 12).map((secret, i) => [`value${i}`, secret]))
  const environments = 'deploy/deploy/environments'
  await put(
    at(`${environments}/prod/secrets.yaml`),
    JSON.stringify({ deep: { list: [values, 20261231] } }),
    0o600,
  )
  await put(at(`${environments}/dev/secrets.yaml`), JSON.stringify(rest.slice(12)), 0o600)
  await put(at(`${environments}/dev/values.yaml`), `redis: {authToken: ${unknown[7]}}\n`)
  await put(at('access/ssh'), `${first}\n`, 0o600)
  await put(at('site-key.asc'), key.replaceAll('OPENSSH PRIVATE KEY', 'PGP PRIVATE KEY BLOCK'), 0o600)
  await put(
    at('site.yaml'),
    [
      'apiVersion: airgap-site/v1',
      'nodes: [{name: one, address: 10.0.0.1, roles: [control-plane, worker]}]',
      'values:',
      `  adminPassword: ${unknown[0]} # ${unknown[0]}`,
      `  db: {rootPassword: ${unknown[6]}, plain: ${unknown[6]}}`,
      `  database: postgres://u:${unknown[2]}@10.0.0.9/db`,
      `  innocent: ${JSON.stringify(all())}`,
      '  spelled:',
      ...secretNames.map(name => `    ${JSON.stringify(name)}: ${unknown[0]}`),
    ].join('\n'),
  )
  await put(at('inventory/hosts.yaml'), `all:\n  vars:\n    x: ${JSON.stringify(all())}\n`)
  await put(fetchedKubeconfig(site), sampleKubeconfig({ token: unknown[5] }), 0o600)
  await put(at('logs/app-harbor.log'), `${'old line\n'.repeat(5000)}${all()}\n${key}\nlast line\n`)
  await put(
    at('logs/kubernetes.log'),
    `${secretNames.map(name => `${name}=${unknown[3]}\n`).join('')}curl --password ${unknown[3]}\n{"clientSecret": "${unknown[1]}"}\nwget https://u:${unknown[2]}@h/x\nsent ${unknown[5]} there, ${unknown[6]} and ${unknown[7]}\n`,
  )
  await appendFile(at('serve.log'), `${JSON.stringify({ url: all(), token: unknown[1] })}\n`)
  const digest = `sha256:${'0'.repeat(64)}`
  for (const secret of secrets)
    await appendFile(
      at('journal.jsonl'),
      `${JSON.stringify({ step: secret, key: digest, event: 'failed', at: secret })}\n`,
    )
  await put(at('cluster-says'), `NAMESPACE NAME\n${all()}\nprod/\u001b[2Jpod Running\n`)
  await put(
    at('tools/bin/kubectl'),
    `#!/bin/sh\ncase "$*" in *json*) exit 1;; esac\ncat '${at('cluster-says')}'\n`,
    0o755,
  )
  return site
}

async function unpacked(out: string): Promise<Map<string, string>> {
  const folder = `${out}.unpacked`
  await mkdir(folder)
  await extract({ file: out, cwd: folder })
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(one => one.isFile())
  const files = new Map<string, string>()
  for (const { parentPath, name } of names) {
    const path = join(parentPath, name)
    files.set(path.slice(folder.length + '/support/'.length), await readFile(path, 'utf8'))
  }
  return files
}

describe('offline-deploy support-bundle', () => {
  it('fault 97: of twenty secrets in every form and place, none is in it', { timeout: 120_000 }, async () => {
    expect(secrets).toHaveLength(20)
    const site = await planted()
    const out = join(site.work, 'support.tar.gz')
    const ran = await run(['support-bundle', '--site', site.site, '--out', out])
    expect(ran).toMatchObject({ code: 0 })
    expect((await stat(out)).mode & 0o777).toBe(0o600)
    const files = await unpacked(out)
    expect([...files.keys()].sort()).toEqual(
      [
        ...['cluster/events.txt', 'cluster/nodes.txt', 'cluster/pods.txt', 'config.json', 'contents.txt'],
        ...['inventory/hosts.yaml', 'journal.jsonl', 'logs/app-harbor.log', 'logs/kubernetes.log'],
        ...['machine.txt', 'serve.log', 'site.yaml', 'status.json', 'versions.json'],
      ].sort(),
    )
    for (const [name, text] of files) {
      expect(leaks(text, ...secrets, ...unknown), name).toBeUndefined()
      expect(text, name).not.toContain('PRIVATE KEY')
      expect(text, name).not.toContain('\u001b')
      if (name !== 'contents.txt') expect(ran.stdout).toContain(name)
    }
    for (const text of [ran.stdout, ran.stderr]) expect(leaks(text, ...secrets, ...unknown)).toBeUndefined()
    const log = files.get('logs/app-harbor.log') ?? ''
    expect(log.split('\n').length).toBeLessThanOrEqual(2_001)
    expect(log).toMatch(/\nlast line\n$/)
    expect(JSON.parse(files.get('versions.json') ?? '')).toMatchObject({ offlineDeploy: expect.any(String) })
    expect(files.get('site.yaml')).toContain('address: 10.0.0.1')
    expect(files.get('journal.jsonl')).toMatch(/"step":"verify","key":"sha256:[0-9a-f]{64}","event":"done"/)
  })

  it('says the same of the same, and nothing of the clock in its headers', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    await run(['apply', '--yes', ...site.options])
    const headers = async (name: string) => {
      const out = join(site.work, name)
      expect(await run(['support-bundle', '--site', site.site, '--out', out])).toMatchObject({ code: 0 })
      const bytes = gunzipSync(await readFile(out))
      const found: string[] = []
      for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
        const size = Number.parseInt(bytes.toString('latin1', at + 124, at + 135), 8)
        found.push(
          bytes.toString('latin1', at, at + 124).replaceAll('\0', ' '),
          bytes.toString('latin1', at + 136, at + 148),
        )
        at += 512 + Math.ceil(size / 512) * 512
      }
      return found
    }
    expect(await headers('one.tar.gz')).toEqual(await headers('two.tar.gz'))
    expect(await readdir(site.work)).not.toContainEqual(expect.stringContaining('.tmp'))
  })

  it('a site that cannot be planned still has one', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    await run(['apply', '--yes', ...site.options])
    await put(join(site.site, 'site.yaml'), 'nodes: [\nmyPassword: Unkn0wn-of-yaml\n')
    const out = join(site.work, 'support.tar.gz')
    expect(await run(['support-bundle', '--site', site.site, '--out', out])).toMatchObject({ code: 0 })
    const files = await unpacked(out)
    expect(JSON.parse(files.get('status.json') ?? '')).toMatchObject({ error: { code: 'SITE_INVALID' } })
    expect(files.get('site.yaml')).toBe('nodes: [\nmyPassword: [removed]\n')
  })

  it('refuses where it does not know the secrets, and leaves nothing behind', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    await run(['apply', '--yes', ...site.options])
    await put(join(site.site, 'deploy/deploy/environments/prod/secrets.yaml'), 'a: [\n', 0o600)
    const out = join(site.work, 'support.tar.gz')
    expect(await run(['support-bundle', '--site', site.site, '--out', out])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('the secrets cannot be read'),
    })
    expect((await readdir(site.work)).filter(name => name.startsWith('support'))).toEqual([])
    expect(await run(['support-bundle', '--site', join(site.work, 'none'), '--out', out])).toMatchObject({
      code: 2,
    })
    expect(await run(['support-bundle', '--site', site.site])).toMatchObject({ code: 2 })
  })
})
