import { describe, expect, it } from 'vitest'
import { failure } from '../../remote/support/clients.ts'
import { platform, types, Upstream } from './support.ts'

const amd64 = { os: 'linux', architecture: 'amd64' }
const arm64 = { os: 'linux', architecture: 'arm64', variant: 'v8' }
const carried = (locked: { manifests: { digest: string }[] }) => locked.manifests.map(({ digest }) => digest)

describe('entries of an index', () => {
  it('without a platform have that of their config, in any order; containerd fetches all of them', async () => {
    const upstream = await Upstream.start()
    const [x86, arm] = [upstream.image(amd64), upstream.image(arm64)]
    for (const none of [undefined, null])
      for (const entries of [
        [x86, arm],
        [arm, x86],
      ]) {
        const index = upstream.index(entries.map(entry => ({ ...entry, platform: none })))
        const locked = await upstream.lock()
        expect(carried(locked)).toEqual([index.digest, ...entries.map(({ digest }) => digest)])
        expect(locked.platforms).toEqual(['linux/amd64', 'linux/arm64/v8'])
      }
    const index = upstream.index([{ ...arm, ...platform('linux', 'arm64') }, x86])
    expect(carried(await upstream.lock())).toEqual([index.digest, x86.digest])
    const error = await failure(upstream.lock({ platforms: ['linux/s390x'] }), 'PLATFORM_MISSING')
    expect(error.likely).toBe('available: linux/amd64, linux/arm64')
  })

  it('with an empty platform have that of their config', async () => {
    const upstream = await Upstream.start()
    const [x86, arm] = [upstream.image(amd64), upstream.image(arm64)]
    for (const empty of [{}, { os: '', architecture: '' }, { os: 'linux', architecture: null }])
      for (const entries of [
        [x86, arm],
        [arm, x86],
      ]) {
        const index = upstream.index(entries.map(entry => ({ ...entry, platform: empty })))
        const locked = await upstream.lock()
        expect(carried(locked)).toEqual([index.digest, x86.digest])
        expect(locked.platforms).toEqual(['linux/amd64'])
      }
  })

  it('without a platform anywhere are carried: artifacts beside images', async () => {
    const upstream = await Upstream.start()
    const x86 = upstream.image(amd64)
    const artifact = upstream.manifest({
      config: upstream.registry.putBlob(Buffer.from('{}'), 'application/x'),
      layers: [],
    })
    const index = upstream.index([artifact, { ...x86, ...platform('linux', 'amd64') }])
    const locked = await upstream.lock()
    expect(carried(locked)).toEqual([index.digest, artifact.digest, x86.digest])
    expect(locked.platforms).toEqual(['linux/amd64'])
  })

  it('that are artifacts which cannot be carried are left out', async () => {
    const upstream = await Upstream.start()
    const x86 = { ...upstream.image(amd64), ...platform('linux', 'amd64') }
    const config = upstream.registry.putBlob(Buffer.from('{}'), 'application/x')
    const layer = { ...config, mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar' }
    const artifact = upstream.manifest({ config, layers: [layer] })
    const index = upstream.index([artifact, x86])
    const locked = await upstream.lock()
    expect(carried(locked)).toEqual([index.digest, x86.digest])
    expect(locked.leftOut?.map(({ name }) => name)).toEqual([artifact.digest])
    upstream.index([artifact])
    const error = await failure(upstream.lock(), 'PLATFORM_MISSING')
    expect(error.likely).toContain('foreign layer')
  })

  it('of a lesser variant are carried where there is no better one', async () => {
    const upstream = await Upstream.start()
    const [v5, v6, i386] = [upstream.image({}), upstream.image({}), upstream.image({})]
    const index = upstream.index([
      { ...v5, platform: { os: 'linux', architecture: 'arm', variant: 'v5' } },
      { ...v6, platform: { os: 'Linux', architecture: 'arm', variant: '6' } },
      { ...i386, ...platform('linux', 'i386') },
    ])
    expect(carried(await upstream.lock({ platforms: ['linux/arm/v7', 'linux/amd64'] }))).toEqual([
      index.digest,
      v6.digest,
      i386.digest,
    ])
  })

  it('that cannot be followed do not matter for other platforms', async () => {
    const upstream = await Upstream.start()
    const x86 = { ...upstream.image(amd64), ...platform('linux', 'amd64') }
    const sha512 = `sha512:${'a'.repeat(128)}`
    const other = { mediaType: types.manifest, digest: sha512, size: 10, ...platform('linux', 's390x') }
    const unknown = {
      ...upstream.image(arm64),
      mediaType: 'application/vnd.example',
      ...platform('linux', 'arm64'),
    }
    const index = upstream.index([null, 'text', {}, other, unknown, { ...other, digest: 5, size: null }, x86])
    const locked = await upstream.lock()
    expect(carried(locked)).toEqual([index.digest, x86.digest])
    expect(locked.leftOut).toEqual([
      expect.objectContaining({ name: 'manifests[0]' }),
      expect.objectContaining({ name: 'manifests[1]' }),
      expect.objectContaining({ name: 'manifests[2]' }),
      expect.objectContaining({ name: 'manifests[5]' }),
      { name: unknown.digest, reason: 'its media type is "application/vnd.example" (linux/arm64)' },
      { name: sha512, reason: 'its digest is not a sha256 digest (linux/s390x)' },
    ])
    const error = await failure(upstream.lock({ platforms: ['linux/s390x'] }), 'PLATFORM_MISSING')
    expect(error.likely).toContain('not a sha256 digest')
  })

  it('of a platform whose entry cannot be followed are not replaced by a lesser one', async () => {
    const upstream = await Upstream.start()
    const i386 = { ...upstream.image({}), ...platform('linux', '386') }
    const broken = { mediaType: types.manifest, digest: `sha512:${'a'.repeat(128)}`, size: 10 }
    upstream.index([{ ...broken, ...platform('linux', 'amd64') }, i386])
    await failure(upstream.lock(), 'PLATFORM_MISSING')
  })

  it('of which none is for the site refuse the image', async () => {
    const upstream = await Upstream.start()
    for (const entries of [[], null, [{}]]) {
      upstream.index(entries)
      await failure(upstream.lock(), 'PLATFORM_MISSING')
    }
  })

  it('may be in the index twice, and in an index inside it', async () => {
    const upstream = await Upstream.start()
    const x86 = { ...upstream.image(amd64), ...platform('linux', 'amd64') }
    const inner = upstream.index([x86], 'inner')
    const index = upstream.index([x86, { ...x86, ...platform('linux', 'x86_64') }, inner])
    expect(carried(await upstream.lock())).toEqual([index.digest, x86.digest, inner.digest])
  })

  it('are carried with the index inside which they are; one of which nothing is wanted is not', async () => {
    const upstream = await Upstream.start()
    const x86 = upstream.image(amd64)
    const arm = upstream.image(arm64)
    const inner = upstream.index([{ ...x86, ...platform('linux', 'amd64') }], 'inner')
    const unwanted = upstream.index([{ ...arm, ...platform('linux', 'arm64') }], 'other')
    const index = upstream.index([unwanted, inner])
    expect(carried(await upstream.lock())).toEqual([index.digest, inner.digest, x86.digest])
  })
})

describe("BuildKit's attestations", () => {
  const unknown = platform('unknown', 'unknown')
  const attest = (upstream: Upstream) =>
    upstream.image({ ...unknown.platform, rootfs: { type: 'layers', diff_ids: [] } })
  const describing = (digest: string) => ({
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': digest,
    },
  })

  it('travel with the image that they describe, and only with it', async () => {
    const upstream = await Upstream.start()
    const [x86, arm] = [upstream.image(amd64), upstream.image(arm64)]
    const [ofX86, ofArm] = [attest(upstream), attest(upstream)]
    const index = upstream.index([
      { ...ofX86, ...unknown, ...describing(x86.digest) },
      { ...x86, ...platform('linux', 'amd64') },
      { ...arm, ...platform('linux', 'arm64') },
      { ...ofArm, ...unknown, ...describing(arm.digest) },
    ])
    const locked = await upstream.lock()
    expect(carried(locked)).toEqual([index.digest, x86.digest, ofX86.digest])
    expect(locked.platforms).toEqual(['linux/amd64'])
    expect(carried(await upstream.lock({ platforms: ['linux/amd64', 'linux/arm64'] }))).toHaveLength(5)
  })

  it('that name no image of the index are carried: skopeo compresses layers again and keeps the annotation', async () => {
    const upstream = await Upstream.start()
    const x86 = upstream.image(amd64)
    const [stale, without] = [attest(upstream), attest(upstream)]
    const index = upstream.index([
      { ...x86, ...platform('linux', 'amd64') },
      { ...stale, ...unknown, ...describing(`sha256:${'5'.repeat(64)}`) },
      { ...without, ...unknown },
    ])
    const locked = await upstream.lock()
    expect(carried(locked)).toEqual([index.digest, x86.digest, stale.digest, without.digest])
  })

  it('that the registry has lost do not fail the image', async () => {
    const upstream = await Upstream.start()
    const x86 = upstream.image(amd64)
    const lost = attest(upstream)
    upstream.registry.manifests.delete(lost.digest)
    upstream.index([
      { ...x86, ...platform('linux', 'amd64') },
      { ...lost, ...unknown, ...describing(x86.digest) },
    ])
    const locked = await upstream.lock()
    expect(locked.leftOut).toEqual([{ name: lost.digest, reason: 'the registry does not have it' }])
  })

  it('can be listed themselves, as everything without a platform', async () => {
    const upstream = await Upstream.start()
    for (const config of [unknown.platform, { os: '', architecture: '' }, { os: null }, {}]) {
      const made = upstream.image(config, '1')
      const locked = await upstream.lock({ platforms: ['linux/amd64', 'linux/s390x'] })
      expect(locked).toMatchObject({ digest: made.digest, platforms: [] })
    }
  })
})

describe('manifests as Go programs write them', () => {
  it('have null, empty or no fields, and media types of any case with parameters', async () => {
    const upstream = await Upstream.start()
    const config = upstream.registry.putBlob(Buffer.from(JSON.stringify(amd64)), types.config)
    const strange = { subject: null, annotations: null, artifactType: null, extra: [null] }
    for (const fields of [
      {},
      { layers: null },
      { layers: [], mediaType: null },
      { layers: [], mediaType: '' },
      { layers: [], ...strange, mediaType: `${types.manifest.toUpperCase()}; charset=utf-8` },
      {
        config: { ...config, urls: null, annotations: { a: null, b: 'c' }, platform: null },
        manifests: null,
      },
    ]) {
      const made = upstream.manifest({ config, ...fields }, '1')
      const locked = await upstream.lock()
      expect(locked).toMatchObject({ digest: made.digest, platforms: ['linux/amd64'] })
      expect(locked.blobs).toEqual([config])
    }
  })

  it('are still refused where they are both an index and an image, or neither', async () => {
    const upstream = await Upstream.start()
    const config = upstream.registry.putBlob(Buffer.from(JSON.stringify(amd64)), types.config)
    for (const fields of [
      { config, manifests: [] },
      { config: null, layers: [] },
      { config: { ...config, digest: 'sha512:aa' } },
    ]) {
      upstream.manifest(fields, '1')
      await failure(upstream.lock(), 'UPSTREAM_INVALID')
    }
  })
})
