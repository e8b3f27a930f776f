import { spawnSync } from 'node:child_process'
import {
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missingPrograms, run } from '../../scripts/lib/run.ts'
import { type Ran, sha256File, startAirgap } from '../e2e/lib/airgap.ts'
import { startCuttingProxy } from './cutting-proxy.ts'
import { lacking, type RegistryName, registries, type TestRegistry } from './registries.ts'
import { filesOf, makeKeys, pull, push, signedBundle } from './signed-bundle.ts'

/** What a registry, a connection or a disk can do wrong while a whole bundle is pushed or pulled. */
const missing = [...lacking('docker-registry'), ...lacking('zot')]
const canMount = process.getuid?.() === 0 && missingPrograms(['mount']).length === 0

describe.skipIf(missing.length > 0)(`whole bundles (needs ${missing.join(', ') || 'nothing more'})`, () => {
  const resources = new AsyncDisposableStack()
  let work: string
  let bundle: string
  let other: string
  let registry: TestRegistry
  let reference: string

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'airgap-publish-bad-'))
    resources.defer(() => rm(work, { recursive: true, force: true }))
    await makeKeys(work)
    bundle = await signedBundle(work, 'one')
    other = await signedBundle(work, 'two')
    registry = await start('docker-registry')
    reference = `${registry.host}/site/stack:1.0.0`
    expect(await push(bundle, reference)).toMatchObject({ code: 0 })
  }, 120_000)

  afterAll(() => resources.disposeAsync())

  async function start(
    name: RegistryName,
    options: { login?: { user: string; password: string }; folder?: string } = {},
  ): Promise<TestRegistry> {
    const folder = options.folder ?? (await mkdtemp(join(work, `${name}-`)))
    const started = await registries[name](folder, options)
    resources.defer(() => started.close())
    return started
  }

  async function copyWithFiles(from: string, to: string): Promise<void> {
    for (const name of Object.keys(await filesOf(from)))
      await copyFile(join(work, name), join(to, '..', name))
  }

  const newPath = async () => join(await mkdtemp(join(work, 'pulled-')), 'stack-one.tar')
  const refused = (ran: Ran, code: number, text: string | RegExp) => {
    expect(ran).toMatchObject({ code, stderr: expect.stringMatching(text) })
    expect(ran.stderr).not.toMatch(/airgap lock|INTERNAL/)
  }

  it('refuses a name that the registry does not have', async () => {
    refused(await pull(`${registry.host}/site/stack:9.9.9`, await newPath()), 4, 'NOT_FOUND_UPSTREAM')
    refused(await pull(`${registry.host}/site/nothing:1`, await newPath()), 4, 'NOT_FOUND_UPSTREAM')
  })

  it.each([
    'stack:1',
    'http://127.0.0.1/stack:1',
    'me:secret@127.0.0.1:5000/stack:1',
    '127.0.0.1:5000/Stack:1',
    '127.0.0.1:5000/stack',
  ])('refuses the name %s', async name => {
    const ran = await pull(name, await newPath())
    refused(ran, 2, 'REFERENCE_INVALID')
    expect(ran.stderr).not.toContain('secret')
  })

  it('refuses an image', async () => {
    await run(['oras', 'push', '--plain-http', `${registry.host}/site/image:1`, 'release.pub'], { cwd: work })
    refused(await pull(`${registry.host}/site/image:1`, await newPath()), 7, 'BUNDLE_UNREADABLE')
  })

  it('refuses to move a name to another bundle, unless told so', async () => {
    const to = `${registry.host}/moved/stack:1`
    expect(await push(bundle, to)).toMatchObject({ code: 0 })
    refused(await push(other, to), 2, 'NAME_COLLISION')
    expect(await push(other, to, '--replace')).toMatchObject({ code: 0 })
  })

  it('refuses another digest than the expected one', async () => {
    const out = await newPath()
    refused(await pull(reference, out, '--expect', `sha256:${'0'.repeat(64)}`), 6, 'DIGEST_MISMATCH')
    expect(await readdir(join(out, '..'))).toEqual([])
  })

  it('refuses a user without a login, with a wrong password, and accepts the right one', async () => {
    const login = { user: 'pusher', password: 'of the site' }
    const closed = await start('docker-registry', { login })
    const to = `${closed.host}/site/stack:1.0.0`
    const config = async (password: string) => {
      const path = join(await mkdtemp(join(work, 'login-')), 'config.json')
      const auth = Buffer.from(`${login.user}:${password}`).toString('base64')
      await writeFile(path, JSON.stringify({ auths: { [closed.host]: { auth } } }))
      return ['--registry-config', path]
    }
    refused(await push(bundle, to), 5, 'UNAUTHORIZED')
    refused(await push(bundle, to, ...(await config('wrong'))), 5, 'UNAUTHORIZED')
    expect(await push(bundle, to, ...(await config(login.password)))).toMatchObject({ code: 0 })
    refused(await pull(to, await newPath()), 5, 'UNAUTHORIZED')
    const out = await newPath()
    expect(await pull(to, out, ...(await config(login.password)))).toMatchObject({ code: 0 })
    expect(await sha256File(out)).toBe(await sha256File(bundle))
  })

  it.each(['truncated', 'changed', 'deleted'])('stops at a blob that is %s in the registry', async how => {
    const damaged = await start('docker-registry')
    const to = `${damaged.host}/site/stack:1.0.0`
    expect(await push(bundle, to)).toMatchObject({ code: 0 })
    const digest = await sha256File(join(work, 'content-one', 'large'))
    const blob = join(damaged.storage, 'docker/registry/v2/blobs/sha256', digest.slice(0, 2), digest, 'data')
    if (how === 'truncated') await truncate(blob, 1 << 20)
    else if (how === 'changed') {
      const file = await open(blob, 'r+')
      await file.write('wrong', 12_345)
      await file.close()
    } else await rm(blob)
    const out = await newPath()
    refused(await pull(to, out), how === 'deleted' ? 4 : 6, digest)
    expect((await readdir(join(out, '..'))).filter(name => !name.includes('.partial'))).toEqual([])
  })

  it('finishes a push whose connection is cut ten times', async () => {
    for (const name of ['docker-registry', 'zot'] as const) {
      const behind = await start(name)
      const proxy = await startCuttingProxy(behind.host, { times: 10, bytes: 9 << 20 })
      resources.defer(() => proxy.close())
      expect(await push(bundle, `${proxy.host}/site/stack:1.0.0`)).toMatchObject({ code: 0 })
      expect(proxy.cuts()).toBe(10)
      // docker-registry forgets an upload whose part was cut off
      if (name === 'zot') expect(proxy.passed()).toBeLessThan((80 + 4 + 10 * 9) << 20)
      const out = await newPath()
      expect(await pull(`${behind.host}/site/stack:1.0.0`, out)).toMatchObject({ code: 0 })
      expect(await filesOf(out)).toEqual(await filesOf(bundle))
    }
  }, 120_000)

  it('finishes a pull whose connection is cut ten times, and fetches nothing twice', async () => {
    const proxy = await startCuttingProxy(registry.host, { times: 10, bytes: 7 << 20 })
    resources.defer(() => proxy.close())
    const out = await newPath()
    expect(await pull(`${proxy.host}/site/stack:1.0.0`, out)).toMatchObject({ code: 0 })
    expect(proxy.cuts()).toBe(10)
    expect(await filesOf(out)).toEqual(await filesOf(bundle))
    // what was in the buffers of a connection is lost: 3 MiB at most each time
    expect(proxy.passed()).toBeLessThan((80 + 4 + 10 * 4) << 20)
  }, 120_000)

  it.each(['SIGKILL', 'SIGINT'] as const)('continues a pull that ended with %s', async signal => {
    const out = await newPath()
    const { child, ended } = startAirgap(['pull', reference, '--plain-http', '--out', out, '-j', '1'])
    const isBegun = async () =>
      (await readFile(`${out}.partial.journal`, 'utf8').catch(() => '')).includes('"received"')
    while (!(await isBegun()) && child.exitCode === null) await new Promise(go => setTimeout(go, 5))
    child.kill(signal)
    const ran = await ended
    if (signal === 'SIGINT') expect(ran.code).toBe(130)
    expect(await stat(out).catch(() => undefined)).toBeUndefined()
    const again = await startCuttingProxy(registry.host, { times: 0, bytes: 1 })
    resources.defer(() => again.close())
    expect(await pull(`${again.host}/site/stack:1.0.0`, out)).toMatchObject({ code: 0 })
    expect(await filesOf(out)).toEqual(await filesOf(bundle))
  })

  it('keeps the files next to a bundle that is here already, where the registry has none or others', async () => {
    const out = await newPath()
    await copyFile(bundle, out)
    const unsigned = `${registry.host}/unsigned/stack:1.0.0`
    expect(await push(out, unsigned)).toMatchObject({ code: 0 })
    await copyWithFiles(bundle, out)
    const before = await filesOf(out)
    expect(Object.keys(before).length).toBeGreaterThan(2)
    expect(await pull(unsigned, out)).toMatchObject({ code: 0 })
    expect(await filesOf(out)).toEqual(before)
    const file = await open(out, 'r+')
    await file.write('wrong', (await stat(out)).size / 2)
    await file.close()
    expect(await pull(unsigned, out, '--replace')).toMatchObject({ code: 0 })
    expect(await filesOf(out)).toEqual(before)
    await writeFile(`${out}.sums`, 'of another statement')
    const others = await filesOf(out)
    const ran = await pull(reference, out)
    expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining('they stay as they are') })
    expect(await filesOf(out)).toEqual(others)
  })

  it('keeps the old bundle with its files where the pull of another one breaks off', async () => {
    const broken = await start('docker-registry')
    const to = `${broken.host}/site/stack:2.0.0`
    expect(await push(other, to)).toMatchObject({ code: 0 })
    const out = await newPath()
    await copyWithFiles(bundle, out)
    const digest = await sha256File(join(work, 'content-two', 'large'))
    await rm(join(broken.storage, 'docker/registry/v2/blobs/sha256', digest.slice(0, 2), digest, 'data'))
    expect((await pull(to, out, '--replace')).code).not.toBe(0)
    expect(await filesOf(out)).toMatchObject(await filesOf(bundle))
  })

  it('leaves another file alone, unless told to replace it', async () => {
    const out = await newPath()
    await writeFile(out, 'something of mine')
    refused(await pull(reference, out), 2, 'USAGE')
    expect(await readFile(out, 'utf8')).toBe('something of mine')
    expect(await pull(reference, out, '--replace')).toMatchObject({ code: 0 })
    expect(await filesOf(out)).toEqual(await filesOf(bundle))
  })

  it('pulls a damaged copy again, and leaves a good one as it is', async () => {
    const out = await newPath()
    expect(JSON.parse((await pull(reference, out)).stdout)).toMatchObject({ pulled: true })
    const before = (await stat(out)).ino
    expect(JSON.parse((await pull(reference, out)).stdout)).toMatchObject({ pulled: false })
    expect((await stat(out)).ino).toBe(before)
    const file = await open(out, 'r+')
    await file.write('wrong', 40 << 20)
    await file.close()
    expect(JSON.parse((await pull(reference, out)).stdout)).toMatchObject({ pulled: true })
    expect(await filesOf(out)).toEqual(await filesOf(bundle))
  })

  it('refuses to push a bundle with the files of another one', async () => {
    for (const suffix of ['.sums', '.provenance.json']) {
      const mixed = await newPath()
      await copyFile(bundle, mixed)
      await copyFile(`${other}${suffix}`, `${mixed}${suffix}`)
      refused(await push(mixed, `${registry.host}/site/mixed:1`), 6, 'SIGNATURE_INVALID')
    }
    refused(await pull(`${registry.host}/site/mixed:1`, await newPath()), 4, 'NOT_FOUND_UPSTREAM')
  })

  it('refuses signatures of another bundle that somebody attached', async () => {
    const to = `${registry.host}/attached/stack:1.0.0`
    expect(await push(bundle, to)).toMatchObject({ code: 0 })
    const folder = join(work, 'attach')
    await mkdir(folder)
    await copyFile(`${other}.sums`, join(folder, '.sums'))
    const type = 'application/vnd.astrago.airgap.bundle.files.v1'
    await run(
      ['oras', 'attach', '--plain-http', '--artifact-type', type, to, '.sums:application/octet-stream'],
      { cwd: folder },
    )
    refused(
      await pull(to, await newPath(), '--public-key', join(work, 'release.pub')),
      6,
      'SIGNATURE_INVALID',
    )
  })

  it('refuses an unsigned bundle where a key is passed', async () => {
    const plain = await newPath()
    await copyFile(bundle, plain)
    const to = `${registry.host}/unsigned/stack:1.0.0`
    expect(await push(plain, to)).toMatchObject({ code: 0 })
    const out = await newPath()
    refused(await pull(to, out, '--public-key', join(work, 'release.pub')), 6, 'UNTRUSTED')
    expect(await pull(to, out)).toMatchObject({ code: 0 })
  })

  it('refuses to push a damaged bundle', async () => {
    const damaged = await newPath()
    await copyFile(bundle, damaged)
    const file = await open(damaged, 'r+')
    await file.write('wrong', 40 << 20)
    await file.close()
    const empty = await start('docker-registry')
    const to = `${empty.host}/site/damaged:1`
    refused(await push(damaged, to), 6, 'BUNDLE_CORRUPT')
    refused(await pull(to, await newPath()), 4, 'NOT_FOUND_UPSTREAM')
  })

  it('changes nothing in a dry run', async () => {
    const to = `${registry.host}/dry/stack:1.0.0`
    expect(JSON.parse((await push(bundle, to, '--dry-run')).stdout)).toMatchObject({ dryRun: true })
    refused(await pull(to, await newPath()), 4, 'NOT_FOUND_UPSTREAM')
    const out = await newPath()
    expect(JSON.parse((await pull(reference, out, '--dry-run')).stdout)).toMatchObject({ dryRun: true })
    expect(await readdir(join(out, '..'))).toEqual([])
  })

  describe.skipIf(!canMount)('on a small disk (needs mount)', () => {
    async function smallDisk(): Promise<string> {
      const folder = await mkdtemp(join(work, 'disk-'))
      await run(['mount', '-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', folder])
      resources.defer(() => void spawnSync('umount', ['-l', folder]))
      return folder
    }

    it.each(['docker-registry', 'zot'] as const)(
      'a push says that %s is full',
      async name => {
        const full = await start(name, { folder: await smallDisk() })
        refused(
          await push(bundle, `${full.host}/site/stack:1.0.0`),
          5,
          /the storage of the registry is full|stored other bytes/,
        )
      },
      120_000,
    )

    it('a pull says how much space it needs', async () => {
      refused(await pull(reference, join(await smallDisk(), 'stack-one.tar')), 7, 'NO_SPACE')
    })
  })

  it('reaches a registry that refuses artifacts in the form of an image', async () => {
    const strict = await startStrictProxy(registry.host)
    resources.defer(() => strict.close())
    const to = `${strict.host}/strict/stack:1.0.0`
    expect(await push(bundle, to)).toMatchObject({ code: 0 })
    const out = await newPath()
    expect(await pull(to, out, '--public-key', join(work, 'release.pub'))).toMatchObject({ code: 0 })
    expect(await filesOf(out)).toEqual(await filesOf(bundle))
  })
})

/** A registry that accepts manifests with configs and layers of images only, as older ones do: in front of a real one. */
async function startStrictProxy(target: string): Promise<{ host: string; close(): Promise<void> }> {
  const [hostname, port] = target.split(':') as [string, string]
  const server = createServer(async (incoming, answer) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const isManifest = incoming.method === 'PUT' && incoming.url?.includes('/manifests/')
    if (isManifest && /octet-stream|vnd\.oci\.empty/.test(body.toString('latin1'))) {
      answer.writeHead(400, { 'content-type': 'application/json' })
      answer.end('{"errors":[{"code":"MANIFEST_INVALID","message":"unknown media type"}]}')
      return
    }
    const { host: _, ...headers } = incoming.headers
    const options = {
      hostname,
      port,
      path: incoming.url,
      method: incoming.method,
      headers: { ...headers, host: target },
    }
    const upstream = request(options, response => {
      answer.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(answer)
    })
    upstream.on('error', () => answer.destroy())
    upstream.end(body)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return {
    host: `127.0.0.1:${(server.address() as { port: number }).port}`,
    async close() {
      server.closeAllConnections()
      await new Promise(done => server.close(done))
    },
  }
}
