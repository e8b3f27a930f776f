import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { AuditRecord } from '../../../src/access/audit.ts'
import { digestOf } from '../../../src/core/digest.ts'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, run, start, type TestSite, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

const password = 'correct horse 말'
const env = { OFFLINE_DEPLOY_USER_PASSWORD: password }

async function add(site: TestSite, name: string, role: string) {
  return await run(['users', 'add', name, '--role', role, '--site', site.site, '-o', 'json'], { env })
}

async function serve(site: TestSite, ...more: string[]) {
  await writeBundle(site.bundle, await sampleStack())
  const running = start(['serve', ...site.serving, '--plain-http', ...more])
  onTestFinished(() => void running.child.kill('SIGKILL'))
  await running.said('stop with Ctrl-C')
  return running
}

function basic(name: string, secret: string): string {
  return `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
}

async function get(url: string, authorization?: string): Promise<Response> {
  return await fetch(url, { headers: authorization === undefined ? {} : { authorization } })
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(50)
}

describe.each([1, 2])('the users of servers in %i processes', processes => {
  it('log in by password and by token, until they are removed', async () => {
    const site = await testSite()
    expect(await add(site, 'ci', 'push')).toMatchObject({ code: 0 })
    await serve(site, '--processes', String(processes))
    const root = `http://${site.registry}`
    const challenged = await get(`${root}/v2/`)
    expect(challenged.status).toBe(401)
    expect(challenged.headers.get('www-authenticate')).toBe(
      `Bearer realm="${root}/token",service="offline-deploy"`,
    )
    expect(await challenged.json()).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] })
    expect((await get(`${root}/v2/`, basic('ci', password))).status).toBe(200)
    expect((await get(`${root}/v2/`, basic('ci', 'wrong'))).status).toBe(401)
    expect((await get(`${root}/v2/`, basic('nobody', password))).status).toBe(401)
    // reading needs no login
    expect((await get(`${root}/v2/_catalog`)).status).toBe(200)
    const answered = await get(`${root}/token?service=offline-deploy`, basic('ci', password))
    const { token, expires_in } = (await answered.json()) as { token: string; expires_in: number }
    expect(expires_in).toBe(300)
    const withToken = async () => (await get(`${root}/v2/`, `Bearer ${token}`)).status
    expect(await withToken()).toBe(200)
    // a push needs a user with the role, and a token for this repository
    const upload = async (authorization?: string) =>
      await fetch(`${root}/v2/own/blobs/uploads/`, {
        method: 'POST',
        headers: authorization === undefined ? {} : { authorization },
      })
    const anonymous = await upload()
    expect(anonymous.status).toBe(401)
    expect(anonymous.headers.get('www-authenticate')).toContain('scope="repository:own:pull,push"')
    expect((await upload(basic('ci', password))).status).toBe(202)
    expect((await upload(`Bearer ${token}`)).headers.get('www-authenticate')).toContain(
      'error="insufficient_scope"',
    )
    const scoped = await get(`${root}/token?scope=repository:own:pull,push`, basic('ci', password))
    const { token: own } = (await scoped.json()) as { token: string }
    expect((await upload(`Bearer ${own}`)).status).toBe(202)
    const blob = Buffer.from('a blob')
    const pushed = await fetch(`${root}/v2/own/blobs/uploads/?digest=${digestOf(blob)}`, {
      method: 'POST',
      body: blob,
      headers: { authorization: `Bearer ${own}`, 'content-type': 'application/octet-stream' },
    })
    expect(pushed.status).toBe(201)
    const deletion = await fetch(`${root}/v2/own/manifests/1`, {
      method: 'DELETE',
      headers: { authorization: basic('ci', password) },
    })
    expect(deletion.status).toBe(403)
    expect(await deletion.json()).toMatchObject({ errors: [{ code: 'DENIED' }] })
    // a user who is added while the servers run
    expect((await get(`${root}/v2/`, basic('late', password))).status).toBe(401)
    await add(site, 'late', 'pull')
    expect((await get(`${root}/v2/`, basic('late', password))).status).toBe(200)
    const removed = await run(['users', 'remove', 'ci', '--yes', '--site', site.site])
    expect(removed).toMatchObject({ code: 0 })
    await until(async () => (await withToken()) === 401)
    expect((await get(`${root}/v2/`, basic('ci', password))).status).toBe(401)
    // all of it is in the audit log, without a password
    const shown = await run(['audit', '--site', site.site, '-o', 'json'])
    const { events } = JSON.parse(shown.stdout) as { events: AuditRecord[] }
    const lines = events.map(({ what, result, user, subject }) => `${what} ${result} ${subject ?? user}`)
    expect(lines).toEqual(
      expect.arrayContaining([
        'users add ok ci',
        'login ok ci',
        'login failed nobody',
        'delete refused ci',
        'users remove ok ci',
      ]),
    )
    expect(events.find(({ what }) => what === 'push')).toMatchObject({
      result: 'ok',
      user: 'ci',
      address: '127.0.0.1',
      repository: 'own',
      digest: digestOf(blob),
    })
    expect(shown.stdout).not.toContain(password)
  }, 60_000)

  it('are the only ones who may read where a login is required', async () => {
    const site = await testSite()
    await add(site, 'reader', 'pull')
    await serve(site, '--processes', String(processes), '--require-login')
    const registry = `http://${site.registry}`
    const http = site.http
    expect((await get(`${registry}/v2/_catalog`)).headers.get('www-authenticate')).toContain(
      'scope="registry:catalog:*"',
    )
    expect((await get(`${registry}/v2/_catalog`, basic('reader', password))).status).toBe(200)
    expect((await get(`${registry}/token`)).status).toBe(401)
    const refused = await get(`${http}/`)
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      401,
      'Basic realm="offline-deploy", charset="UTF-8"',
    ])
    expect((await get(`${http}/`, basic('reader', password))).status).toBe(200)
  }, 60_000)
})

describe('users', () => {
  it('are in a file that only its owner reads, with hashes as htpasswd writes them', async () => {
    const site = await testSite()
    await add(site, 'ci', 'push')
    const path = join(site.site, 'users.htpasswd')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readFile(path, 'utf8')).toMatch(/^ci:\$2y\$10\$[./A-Za-z0-9]{53}:push\n$/)
    const listed = await run(['users', 'list', '--site', site.site, '-o', 'json'])
    expect(JSON.parse(listed.stdout)).toMatchObject({ users: [{ name: 'ci', role: 'push' }] })
    expect(listed.stdout).not.toContain('$2y$')
  })

  it('are refused where their file is open to others, or has a weak hash', async () => {
    const site = await testSite()
    await add(site, 'ci', 'push')
    const path = join(site.site, 'users.htpasswd')
    await chmod(path, 0o644)
    expect(await run(['users', 'list', '--site', site.site])).toMatchObject({
      code: 7,
      stderr: expect.stringContaining(`chmod 600 ${path}`),
    })
    await writeFile(path, 'old:$apr1$x$y\n')
    await chmod(path, 0o600)
    expect(await run(['users', 'list', '--site', site.site])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('stored as MD5'),
    })
  })

  it('get a password from a file, or a generated one that is shown once; none without a terminal', async () => {
    const site = await testSite()
    const flags = ['--site', site.site, '-o', 'json']
    const made = await run(['users', 'add', 'a', '--generate', ...flags])
    expect(JSON.parse(made.stdout)).toMatchObject({ password: expect.stringMatching(/^(\w{5}-){3}\w{5}$/) })
    const file = join(site.site, 'password')
    await writeFile(file, 'from the file\n', { mode: 0o600 })
    expect((await run(['users', 'add', 'b', '--password-file', file, ...flags])).code).toBe(0)
    expect(await run(['users', 'add', 'c', ...flags])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('OFFLINE_DEPLOY_USER_PASSWORD'),
    })
    expect((await run(['users', 'add', 'a', '--generate', ...flags])).code).toBe(2)
    expect((await run(['users', 'add', 'x:y', '--generate', ...flags])).code).toBe(2)
    expect(
      await run(['users', 'add', 'd', ...flags], { env: { OFFLINE_DEPLOY_USER_PASSWORD: 'p'.repeat(73) } }),
    ).toMatchObject({ code: 2, stderr: expect.stringContaining('bcrypt would cut off') })
  }, 30_000)
})
