import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { missingPrograms } from '../../scripts/lib/run.ts'
import { startDockerRegistry } from '../../scripts/lib/upstreams/docker-registry.ts'
import { createLayout, hashFile, putImage, tagLayout } from '../../scripts/lib/upstreams/oci-layout.ts'
import { airgap } from './lib/airgap.ts'
import { startOpenRegistry } from './lib/open-registry.ts'

const lacking = missingPrograms(['docker-registry', 'skopeo', 'oras'])

/** What the real oras reports of registries that refuse content, and what `push` makes of it. */
describe.skipIf(lacking.length > 0)(`a refused push (needs ${lacking.join(', ') || 'nothing more'})`, () => {
  let work: string
  let bundle: string

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'airgap-e2e-refused-'))
    const layout = join(work, 'layout')
    await createLayout(layout)
    const path = join(layout, 'layer')
    await writeFile(path, 'not a tar, which nobody here opens')
    const layers = [{ path, gzip: false, diffId: (await hashFile(path)).digest }]
    await tagLayout(layout, { app: await putImage(layout, { architecture: 'amd64', layers }) })
    const upstream = await startDockerRegistry(join(work, 'upstream'))
    try {
      upstream.push(`${layout}:app`, 'library/app:1')
      const manifest = join(work, 'stack.yaml')
      const lines = [
        'apiVersion: airgap/v1',
        'name: x',
        'version: 1.0.0',
        'images: [docker.io/library/app:1]',
        '',
      ]
      await writeFile(manifest, lines.join('\n'))
      bundle = join(work, 'x.tar')
      const options = ['-f', manifest, '--cache', join(work, 'cache'), '--out', bundle]
      // any file will do for the runtime: nothing of this bundle runs
      const env = { AIRGAP_NODE_RUNTIME: resolve(import.meta.dirname, '../../bundle/offline-deploy') }
      const ran = await airgap(['build', ...options, '--remap', `docker.io=http://${upstream.host}`], { env })
      expect(ran).toMatchObject({ code: 0 })
    } finally {
      await upstream.close()
    }
  })

  afterAll(() => rm(work, { recursive: true, force: true }))

  it.each<[string, { method: string; status: number; code?: string; message?: string; location?: string }]>([
    [
      'raise the quota of the project library',
      {
        method: 'PUT',
        status: 403,
        code: 'DENIED',
        message: 'will exceed the configured upper limit of 10.0 MiB.',
      },
    ],
    ['client_max_body_size', { method: 'PUT', status: 413 }],
    [
      'create it there (Harbor: the project library',
      { method: 'POST', status: 404, code: 'NOT_FOUND', message: 'project library not found' },
    ],
    [
      'exempt it from the rule of immutable tags',
      { method: 'PUT', status: 412, code: 'PRECONDITION', message: "'app:1' configured as immutable." },
    ],
    [
      'end its maintenance or read-only mode',
      { method: 'POST', status: 403, code: 'DENIED', message: 'The system is in read only mode.' },
    ],
    ['add space to the storage', { method: 'PUT', status: 507 }],
    [
      'by the name that it is configured with',
      { method: 'POST', status: 202, location: 'http://127.0.0.1:9/v2/x/blobs/uploads/1' },
    ],
  ])('advises: %s', async (advice, { method, status, code, message, location }) => {
    const target = await startOpenRegistry((request, response) => {
      if (request.method !== method) return false
      // an answer that does not read the body is an answer of a proxy, too
      request.resume()
      response.writeHead(status, {
        ...(location === undefined ? {} : { location }),
        'content-type': 'application/json',
      })
      response.end(code === undefined ? '' : JSON.stringify({ errors: [{ code, message, detail: null }] }))
      return true
    })
    onTestFinished(() => target.close())
    const pushed = await airgap(['push', bundle, target.host, '--plain-http', '--jobs', '1'])
    expect([pushed.code, pushed.stderr]).toEqual([5, expect.stringContaining(advice)])
  })

  it('accepts immutable tags that have this very content: the second run', async () => {
    const target = await startOpenRegistry((request, response) => {
      const [, repository = '', tag = ''] = /^\/v2\/(.+)\/manifests\/([^:]+)$/.exec(request.url ?? '') ?? []
      if (request.method !== 'PUT' || target.digest(repository, tag) === undefined) return false
      const errors = [{ code: 'PRECONDITION', message: `'${tag}' configured as immutable.` }]
      response.writeHead(412, { 'content-type': 'application/json' }).end(JSON.stringify({ errors }))
      return true
    })
    onTestFinished(() => target.close())
    const push = () => airgap(['push', bundle, target.host, '--plain-http', '-o', 'json'])
    const first = await push()
    expect(first).toMatchObject({ code: 0 })
    expect((await push()).stdout).toBe(first.stdout)
  })
})
