import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { type TestCertificate, testCertificate } from '../../site/support/certificates.ts'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, type Running, run, start, type TestSite, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

interface Result {
  code: number
  stdout: string
  stderr: string
}

/** Runs a stock client. */
async function client(name: string, args: string[], input = ''): Promise<Result> {
  return await new Promise(resolve => {
    const child = execFile(name, args, { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
    })
    // a client that has its answer reads no further
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

async function served(site: TestSite, ...more: string[]): Promise<Running> {
  await writeBundle(site.bundle, await sampleStack())
  const running = start(['serve', ...site.serving, ...more])
  onTestFinished(() => void running.child.kill('SIGKILL'))
  await running.said('stop with Ctrl-C')
  return running
}

const secure = (site: TestSite) => site.http.replace('http:', 'https:')
const caOf = (site: TestSite) => join(site.work, 'ca.crt')

/** Writes the CA where clients find it; over the connection that it protects, as the test has no other. */
async function fetchCa(site: TestSite): Promise<string> {
  const { stdout } = await client('curl', ['-sSk', `${secure(site)}/clients/ca.crt`])
  await writeFile(caOf(site), stdout)
  return caOf(site)
}

/** Sends bytes on a plain connection and returns all that comes back. */
async function exchange(port: number, bytes: string | Buffer): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let received = ''
    socket.on('data', chunk => {
      received += chunk.toString('latin1')
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(received))
    socket.end(bytes)
  })
}

describe.each(['1', '2'])('servers with TLS in %s processes', processes => {
  it('answer stock clients that trust the CA of the site, and no others', async () => {
    const site = await testSite({ tls: true })
    await served(site, '--processes', processes)
    const ca = await fetchCa(site)
    const certificate = new X509Certificate(await readFile(ca))
    expect(certificate.ca).toBe(true)
    expect(certificate.toString()).toBe(
      new X509Certificate(await readFile(join(site.site, 'tls/ca.pem'))).toString(),
    )
    expect(await readFile(ca, 'utf8')).not.toContain('PRIVATE')
    for (const name of ['tls/ca.pem', 'tls/server.pem'])
      expect((await stat(join(site.site, name))).mode & 0o777).toBe(0o600)

    const trusted = await client('curl', ['-sSf', '--cacert', ca, `https://${site.registry}/v2/_catalog`])
    expect(trusted).toMatchObject({ code: 0, stderr: '' })
    expect(trusted.stdout).toContain('busybox')
    // 60: the certificate is not trusted
    expect(await client('curl', ['-sS', `https://${site.registry}/v2/`])).toMatchObject({ code: 60 })
    const byName = ['--cacert', ca, '--resolve', `localhost:${site.registry.split(':')[1]}:127.0.0.1`]
    const named = site.registry.replace('127.0.0.1', 'localhost')
    expect(await client('curl', ['-sSf', ...byName, `https://${named}/v2/`])).toMatchObject({ code: 0 })
    const python = `import ssl,urllib.request as u; print(u.urlopen(${JSON.stringify(`${secure(site)}/clients/ca.crt`)}, context=ssl.create_default_context(cafile=${JSON.stringify(ca)})).status)`
    expect(await client('python3', ['-c', python])).toMatchObject({ code: 0, stdout: '200\n' })
  })
})

it('answers HTTP on the port for HTTPS with a hint, and what is neither with nothing', async () => {
  const site = await testSite({ tls: true })
  const running = await served(site, '--processes', '1')
  const hint = await client('curl', ['-sS', '-i', `${site.http}/clients/`])
  expect(hint.stdout).toMatch(/^HTTP\/1\.1 400 Bad Request/)
  expect(hint.stdout).toContain(`use ${secure(site)}`)
  const upload = await client('curl', ['-sS', '-T', '-', `http://${site.registry}/v2/`], 'x'.repeat(1 << 20))
  expect(upload.stdout).toContain(`use https://${site.registry}`)
  expect(await exchange(Number(site.registry.split(':')[1]), '\u0000\u0001')).toBe('')
  running.child.kill('SIGTERM')
  expect((await running.ended).stderr).toContain('an HTTP request without TLS')
})

it('serves plain HTTP where it is asked for', async () => {
  const site = await testSite({ tls: true })
  await served(site, '--plain-http', '--processes', '1')
  expect(await client('curl', ['-sSf', `http://${site.registry}/v2/`])).toMatchObject({ code: 0 })
  const none = await client('curl', [
    '-sS',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    `${site.http}/clients/ca.crt`,
  ])
  expect(none.stdout).toBe('404')
})

it('installs, verifies and shows a site with TLS', async () => {
  const site = await testSite({ tls: true })
  await writeBundle(site.bundle, await sampleStack())
  const applied = await run(['apply', ...site.options, '--yes'])
  expect(applied).toMatchObject({ code: 0 })
  expect(applied.stdout).toContain(secure(site))
  const again = await run(['apply', '--site', site.site, '--yes'])
  expect(again.code).toBe(0)
  expect(again.stderr).not.toContain('stopped the servers')
  // what the first run made is no change of the site
  const plan = await run(['plan', '--site', site.site])
  expect(plan.stdout).not.toContain('inputs have changed')
  const ca = await readFile(join(site.site, 'clients/etc/ssl/certs/airgap-site-ca.crt'), 'utf8')
  expect(new X509Certificate(ca).ca).toBe(true)
  const values = await readFile(join(site.site, 'deploy/deploy/environments/prod/values.yaml'), 'utf8')
  expect(parse(values).offline).toEqual({
    registry: site.registry,
    httpServer: secure(site),
    caCertificate: ca,
  })
  const status = await run(['status', '--site', site.site])
  expect(status.stdout).toContain(`HTTP server ${secure(site)}`)
  // another scheme: the servers are replaced, though neither recognizes requests of the other kind
  const plain = await run(['apply', '--site', site.site, '--plain-http', '--yes'])
  expect(plain).toMatchObject({ code: 0 })
  expect(plain.stdout).toContain(site.http)
  await expect(stat(join(site.site, 'clients/etc/ssl/certs/airgap-site-ca.crt'))).rejects.toMatchObject({
    code: 'ENOENT',
  })
  const without = await readFile(join(site.site, 'deploy/deploy/environments/prod/values.yaml'), 'utf8')
  expect(parse(without).offline).toEqual({ registry: site.registry, httpServer: site.http })
  expect((await run(['apply', '--site', site.site, '--tls', '--yes'])).code).toBe(0)
})

/** SHA-256 of the certificate that a server presents. */
async function presentedBy(site: TestSite): Promise<string> {
  const { stdout } = await client('openssl', ['s_client', '-connect', site.registry, '-noservername'])
  return new X509Certificate(stdout.slice(stdout.indexOf('-----BEGIN'))).fingerprint256
}

it.each(['1', '2'])(
  'takes a renewed certificate while %s processes serve',
  async processes => {
    const site = await testSite({ tls: true })
    const running = await served(site, '--processes', processes)
    const before = await presentedBy(site)
    const shown = JSON.parse((await run(['certificates', 'show', '--site', site.site, '-o', 'json'])).stdout)
    expect(shown).toMatchObject({
      tls: 'site-ca',
      certificates: [{ of: 'ca' }, { of: 'server', fingerprint: before, problem: null }],
    })
    expect(shown.certificates[1].names).toContain('127.0.0.1')
    const renewed = await run(['certificates', 'renew', '--site', site.site, '-o', 'json'])
    const [ca, server] = JSON.parse(renewed.stdout).certificates
    expect(ca.fingerprint).toBe(shown.certificates[0].fingerprint)
    expect(server.fingerprint).not.toBe(before)
    await expect.poll(() => presentedBy(site), { timeout: 20_000, interval: 500 }).toBe(server.fingerprint)
    running.child.kill('SIGTERM')
    const { stdout, stderr } = await running.ended
    expect(stderr).toContain('"certificate":"renewed"')
    expect(stdout).toContain(`SHA-256 ${ca.fingerprint}`)
  },
  60_000,
)

it('serves a certificate from files, and reads them again when they change', async () => {
  const site = await testSite({ tls: true })
  const root = testCertificate({ commonName: 'a company' })
  const [first, second] = [1, 2].map(() => testCertificate({ issuer: root, names: ['127.0.0.1'] }))
  const paths = {
    cert: join(site.work, 'server.crt'),
    key: join(site.work, 'server.key'),
    ca: join(site.work, 'company.crt'),
  }
  const write = async ({ certificate, keyText }: TestCertificate) => {
    await writeFile(paths.cert, certificate)
    await writeFile(paths.key, keyText)
  }
  await write(first!)
  await writeFile(paths.ca, root.certificate)
  const options = ['--tls-cert', paths.cert, '--tls-key', paths.key, '--tls-ca', paths.ca]
  await writeFile(paths.key, second!.keyText)
  await writeBundle(site.bundle, await sampleStack())
  expect(await run(['serve', ...site.serving, ...options])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('error KEY_INVALID: the private key does not belong to the certificate'),
  })
  await write(first!)
  const running = await served(site, ...options, '--processes', '2')
  const trusted = ['-sSf', '--cacert', paths.ca, `https://${site.registry}/v2/`]
  expect(await client('curl', trusted)).toMatchObject({ code: 0 })
  expect(
    (await client('curl', ['-sSf', '--cacert', paths.ca, `${secure(site)}/clients/ca.crt`])).stdout,
  ).toBe(root.certificate)
  // only half of it is there yet: the servers keep what they have
  await writeFile(paths.key, second!.keyText)
  await running.said('not renewed')
  expect(await presentedBy(site)).toBe(new X509Certificate(first!.certificate).fingerprint256)
  await write(second!)
  await running.said('"certificate":"renewed"')
  await expect.poll(() => presentedBy(site)).toBe(new X509Certificate(second!.certificate).fingerprint256)
  expect(await client('curl', trusted)).toMatchObject({ code: 0 })
  expect(
    (await readdir(join(site.site), { recursive: true })).filter(
      name => name.endsWith('.key') || name.startsWith('tls/'),
    ),
  ).toEqual([])
}, 60_000)

it.each([
  [['--plain-http', '--tls'], /exclude each other/],
  [['--tls-cert', '/x'], /require each other/],
  [['--tls-key', '/x'], /require each other/],
  [['--tls-cert', '/x', '--tls-key', '/x', '--plain-http'], /exclude each other/],
])('refuses %j', async (options, says) => {
  const site = await testSite({ tls: true })
  expect(await run(['serve', ...site.serving, ...options])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(says),
  })
})
