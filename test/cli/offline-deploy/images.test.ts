import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/core/digest.ts'
import type { ChangedImages, ListedImages } from '../../../src/deploy/images.ts'
import { hasTool } from '../../bundle/has-tool.ts'
import { noise } from '../../bundle/samples.ts'
import { imageOver } from '../../serve/support/pushes.ts'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { serve } from './serving-support.ts'
import { buildProgram, run, type TestSite, testSite } from './support.ts'

const exec = promisify(execFile)

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

const password = 'correct horse battery'
const authorization = `Basic ${Buffer.from(`ci:${password}`).toString('base64')}`
const config = Buffer.from('{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}')

async function siteWithUser(): Promise<TestSite> {
  const site = await testSite()
  await writeBundle(site.bundle, await sampleStack())
  const env = { OFFLINE_DEPLOY_USER_PASSWORD: password }
  expect((await run(['users', 'add', 'ci', '--role', 'push', '--site', site.site], { env })).code).toBe(0)
  return site
}

async function send(
  { registry }: TestSite,
  path: string,
  { method, body, type }: { method: string; body?: Buffer; type?: string },
) {
  const headers = { authorization, connection: 'close', ...(type && { 'content-type': type }) }
  return await fetch(`http://${registry}${path}`, {
    method,
    headers,
    ...(body && { body: Uint8Array.from(body) }),
  })
}

async function pushBlob(site: TestSite, blob: Buffer): Promise<Response> {
  return await send(site, `/v2/team/app/blobs/uploads/?digest=${digestOf(blob)}`, {
    method: 'POST',
    body: blob,
  })
}

async function pushImage(site: TestSite, tag: string, layer: Buffer): Promise<void> {
  for (const blob of [config, layer]) expect((await pushBlob(site, blob)).status).toBe(201)
  const type = 'application/vnd.oci.image.manifest.v1+json'
  const got = await send(site, `/v2/team/app/manifests/${tag}`, {
    method: 'PUT',
    body: imageOver(config, [layer]),
    type,
  })
  expect(got.status).toBe(201)
}

async function resultOf<T>(args: string[]): Promise<T> {
  const { code, stdout, stderr } = await run([...args, '-o', 'json'])
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`)
  return JSON.parse(stdout) as T
}

const namesIn = ({ images }: ListedImages) =>
  images.flatMap(({ name, tags }) => tags.map(tag => `${name}:${tag}`)).sort()

describe('offline-deploy images', () => {
  it.each([1, 2])(
    'lists, deletes and prunes what was pushed, with the servers and without (%i processes)',
    async processes => {
      const site = await siteWithUser()
      const at = ['--site', site.site]
      const served = await serve(site, '--plain-http', '--processes', String(processes))
      for (const [i, tag] of ['1', '2', '3', '4'].entries()) await pushImage(site, tag, noise(300_000, i))
      const listed = await resultOf<ListedImages>(['images', 'list', ...at])
      expect(namesIn(listed)).toEqual(['team/app:1', 'team/app:2', 'team/app:3', 'team/app:4'])
      expect(listed.images[0]).toMatchObject({ tags: ['4'], pushed: expect.stringMatching(/^20.*Z$/) })
      expect(listed.images[0]!.size).toBeGreaterThan(300_000)

      const refused = await run(['images', 'delete', 'team/app:1', ...at])
      expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('pass --yes')])
      const ofBundle = await run(['images', 'delete', 'nvidia/cuda:12', '--yes', ...at])
      expect([ofBundle.code, ofBundle.stderr]).toEqual([2, expect.stringContaining('a bundle holds it')])
      const preview = await resultOf<ChangedImages>(['images', 'delete', 'team/app:1', '--dry-run', ...at])
      expect(preview).toMatchObject({
        removed: false,
        tags: [{ tag: '1' }],
        content: { recent: { blobs: 1 } },
      })
      const deleted = await resultOf<ChangedImages>([
        'images',
        'delete',
        'team/app:1',
        '--grace',
        '0h',
        '--yes',
        ...at,
      ])
      expect(deleted).toMatchObject({ removed: true, tags: [{ tag: '1' }], content: { blobs: 2 } })
      expect((await send(site, '/v2/team/app/manifests/1', { method: 'GET' })).status).toBe(404)
      expect((await send(site, '/v2/team/app/manifests/2', { method: 'GET' })).status).toBe(200)
      expect((await send(site, '/v2/nvidia/cuda/manifests/12', { method: 'GET' })).status).toBe(200)
      if (hasTool('skopeo')) {
        const source = `docker://${site.registry}/team/app:2`
        await exec('skopeo', ['copy', '--src-tls-verify=false', source, `dir:${join(site.work, 'pulled')}`])
      }

      await served.stop()
      const pruned = await resultOf<ChangedImages>([
        'images',
        'prune',
        '--keep',
        '1',
        '--grace',
        '0h',
        '--yes',
        ...at,
      ])
      expect(pruned).toMatchObject({ removed: true, content: { blobs: 4 } })
      expect(namesIn(await resultOf(['images', 'list', ...at]))).toEqual(['team/app:4'])
      expect((await readdir(join(site.site, 'overlay/blobs/sha256'))).length).toBe(3)
      const events = (await readFile(join(site.site, 'audit/audit.jsonl'), 'utf8'))
        .trim()
        .split('\n')
        .map(line => JSON.parse(line))
      expect(events.filter(({ what }) => what.startsWith('images'))).toMatchObject([
        { what: 'images delete', subject: 'nvidia/cuda:12', result: 'failed' },
        { what: 'images delete', subject: 'team/app:1', result: 'ok' },
        { what: 'images prune', subject: '--keep 1', result: 'ok' },
      ])
      const nothing = await run(['images', 'prune', ...at])
      expect([nothing.code, nothing.stdout]).toEqual([0, 'there was nothing to remove\n'])
    },
    90_000,
  )

  it.each([1, 2])(
    'a quota refuses one upload, and status shows it (%i processes)',
    async processes => {
      const site = await siteWithUser()
      const started = ['--plain-http', '--processes', String(processes), '--overlay-quota', '1MiB']
      const served = await serve(site, ...started)
      await pushImage(site, '1', noise(400_000, 1))
      const got = await pushBlob(site, noise(900_000, 2))
      expect([got.status, await got.text()]).toEqual([
        403,
        expect.stringMatching(/DENIED.*offline-deploy images prune/),
      ])
      await pushImage(site, '2', noise(400_000, 3))
      const { stdout, stderr } = await run(['status', ...site.serving, ...started.slice(-2)])
      expect(stdout, stderr).toMatch(/78\d\.\d KiB stored, of a quota of 1\.0 MiB/)
      await served.stop()
    },
    60_000,
  )

  it('names sizes and ages that it does not understand', async () => {
    for (const [args, why] of [
      [['serve', '--overlay-quota', '5 apples'], 'must be a size such as'],
      [['serve', '--overlay-quota', '0GiB'], 'must be a size such as'],
      [['images', 'prune', '--older-than', '1 month'], 'minutes, hours or days'],
      [['images', 'delete', 'UPPER:1', '--site', '/nowhere'], ''],
    ] as const) {
      const { code, stderr } = await run([...args])
      expect([code, stderr]).toEqual([expect.any(Number), expect.stringContaining(why)])
      expect(code).toBeGreaterThan(1)
    }
  })
})
