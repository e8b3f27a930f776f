import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { noise } from '../bundle/samples.ts'
import { overlayServer } from './support/overlay.ts'
import { config, day, pushImage, site } from './support/overlay-site.ts'
import { codesOf, imageOver, pushBlob, pushManifest, send } from './support/pushes.ts'
import { type Running, start } from './support/servers.ts'

describe('a quota', () => {
  it('refuses an upload that would exceed it, removes it, and takes others', async () => {
    const { running, folder, owner, prune, clock } = await site({ quota: 200_000 })
    await pushImage({ running }, 'team/app', '1', 1)
    const large = noise(180_000, 9)
    const whole = `/v2/team/app/blobs/uploads/?digest=${digestOf(large)}`
    const got = await send(running, whole, { method: 'POST', body: large })
    expect([got.status, codesOf(got.text)]).toEqual([403, ['DENIED']])
    expect(got.text).toMatch(/KiB of 195\.3 KiB are used.*offline-deploy images prune/)
    const opened = await send(running, '/v2/team/app/blobs/uploads/', { method: 'POST' })
    const location = opened.headers.get('location')!
    const first = await send(running, location, { method: 'PATCH', body: large.subarray(0, 90_000) })
    expect(first.status).toBe(202)
    // refused by its length, before it is sent
    const announced = await announce(running, whole, 10 * 2 ** 30)
    expect(announced).toBe(403)
    // of two uploads, the bytes of both count
    const other = noise(70_000, 10)
    const second = await send(running, `/v2/team/app/blobs/uploads/?digest=${digestOf(other)}`, {
      method: 'POST',
      body: other,
    })
    expect(second.status).toBe(403)
    expect((await send(running, location, { method: 'PATCH', body: large.subarray(90_000) })).status).toBe(
      403,
    )
    expect((await send(running, location, { method: 'GET' })).status).toBe(404)
    expect(await readdir(join(folder, 'uploads'))).toEqual([])
    await pushBlob(running, 'team/app', other)
    clock.now += 2 * day
    await prune({ keep: 0 })
    await pushBlob(running, 'team/app', large)
    owner.setQuota(undefined)
    await pushImage({ running }, 'team/app', '2', 3)
  })

  it('counts what is there after a restart, and manifests', async () => {
    const { running, folder } = await site()
    await pushImage({ running }, 'team/app', '1', 1)
    const again = await start((await overlayServer(folder, { quota: 50_500 })).server)
    const manifest = imageOver(config, [noise(50_000, 1)], { annotations: { large: 'x'.repeat(1_000) } })
    const got = await pushManifest(again, '/v2/team/app/manifests/2', manifest)
    expect([got.status, codesOf(got.text)]).toEqual([403, ['DENIED']])
    expect(await readdir(join(folder, 'uploads'))).toEqual([])
    // nothing that is there already takes space
    expect(
      (await pushManifest(again, '/v2/team/app/manifests/3', imageOver(config, [noise(50_000, 1)]))).status,
    ).toBe(201)
  })
})

/** Sends a request with the first bytes of a body of this length, and returns the status of the answer. */
async function announce({ port }: Running, path: string, length: number): Promise<number> {
  const headers = { 'content-length': String(length) }
  const outgoing = request({ host: '127.0.0.1', port, method: 'POST', path, headers, agent: false })
  outgoing.write(noise(1_000, 1))
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  outgoing.on('error', () => {}).destroy()
  return answer.statusCode ?? 0
}
