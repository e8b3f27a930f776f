import { describe, expect, it } from 'vitest'
import { imageKind } from '../../../src/kinds/image/index.ts'
import { type Put, types, Upstream } from './support.ts'

const amd64 = { os: 'linux', architecture: 'amd64' }
const cosignTag = (of: Put, suffix: string) => `${of.digest.replace(':', '-')}.${suffix}`

/** cosign 2 writes a config whose platform is empty. */
function signature(upstream: Upstream, of: Put, suffix = 'sig'): Put {
  return upstream.image({ os: '', architecture: '', config: {} }, cosignTag(of, suffix))
}

describe('referrers', () => {
  it('of cosign 2 keep their tags, also those of an SBOM', async () => {
    const upstream = await Upstream.start()
    const image = upstream.image(amd64, '1')
    const signed = signature(upstream, image)
    const sbom = signature(upstream, image, 'sbom')
    const ofSbom = signature(upstream, sbom)
    expect(await upstream.lock()).not.toHaveProperty('referrerTags')
    for (const name of ['team/app:1', `team/app:1@${image.digest}`, `team/app@${image.digest}`]) {
      const locked = await upstream.lock({ name, referrers: true })
      expect(locked.referrerTags).toEqual({
        [cosignTag(image, 'sig')]: signed.digest,
        [cosignTag(image, 'sbom')]: sbom.digest,
        [cosignTag(sbom, 'sig')]: ofSbom.digest,
      })
      expect(locked.referrers).toEqual([signed, sbom, ofSbom].map(({ digest }) => digest).sort())
      expect(locked).not.toHaveProperty('leftOut')
      const names = imageKind
        .assemble([locked])
        .map(({ root }) => root.annotations?.['org.opencontainers.image.ref.name'])
      expect(names).toHaveLength(4)
      expect(names).toContain(`registry.example/team/app:${cosignTag(image, 'sig')}`)
    }
  })

  it('of every image of an index are carried', async () => {
    const upstream = await Upstream.start()
    const image = upstream.image(amd64)
    const index = upstream.index([{ ...image, platform: amd64 }])
    signature(upstream, image)
    signature(upstream, index)
    const locked = await upstream.lock({ referrers: true })
    expect(Object.keys(locked.referrerTags ?? {}).sort()).toEqual(
      [cosignTag(image, 'sig'), cosignTag(index, 'sig')].sort(),
    )
  })

  it('that cannot be carried are left out by name, with nothing of them', async () => {
    const upstream = await Upstream.start()
    const image = upstream.image(amd64, '1')
    const good = upstream.image({}, undefined)
    const foreign = upstream.manifest({
      config: upstream.registry.putBlob(Buffer.from('only here'), 'application/x'),
      layers: [{ ...good, mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar' }],
    })
    const gone = { ...good, digest: `sha256:${'7'.repeat(64)}` }
    const strange = { ...upstream.manifest({ mediaType: 'application/vnd.oci.artifact.manifest.v1+json' }) }
    const sha512 = { ...good, digest: `sha512:${'a'.repeat(128)}` }
    upstream.index([foreign, good, gone, strange, sha512], image.digest.replace(':', '-'))
    upstream.registry.manifests.set(cosignTag(image, 'att'), {
      bytes: Buffer.from('{'),
      mediaType: types.manifest,
    })
    const locked = await upstream.lock({ referrers: true })
    expect(locked.referrers).toEqual([good.digest])
    expect(locked.manifests.map(({ digest }) => digest)).toEqual([image.digest, good.digest])
    expect(locked.blobs).toHaveLength(4)
    expect(Object.fromEntries((locked.leftOut ?? []).map(({ name, reason }) => [name, reason]))).toEqual({
      [foreign.digest]: expect.stringContaining('foreign layer'),
      [gone.digest]: 'the registry does not have it',
      [strange.digest]: expect.stringContaining('oci.artifact.manifest'),
      [sha512.digest]: 'its digest is not a sha256 digest',
      [cosignTag(image, 'att')]: 'the manifest is not JSON',
    })
  })

  it('whose layer the registry has lost are left out: the build would fail for it', async () => {
    const upstream = await Upstream.start()
    const image = upstream.image(amd64, '1')
    const config = upstream.registry.putBlob(Buffer.from('{}'), 'application/x')
    const lost = upstream.registry.putBlob(Buffer.from('an SBOM'), 'text/spdx')
    const sbom = upstream.manifest({ config, layers: [lost] }, cosignTag(image, 'sbom'))
    expect((await upstream.lock({ referrers: true })).referrers).toEqual([sbom.digest])
    upstream.registry.blobs.delete(lost.digest)
    const locked = await upstream.lock({ referrers: true })
    expect(locked).not.toHaveProperty('referrers')
    expect(locked.leftOut).toEqual([
      { name: cosignTag(image, 'sbom'), reason: 'the registry does not have it' },
    ])
    expect(locked.blobs.map(({ digest }) => digest)).not.toContain(lost.digest)
  })

  it('with other bytes than their digest stop everything', async () => {
    const upstream = await Upstream.start()
    const image = upstream.image(amd64, '1')
    const [good, other] = [upstream.image({}), upstream.image({})]
    upstream.index([good], image.digest.replace(':', '-'))
    upstream.registry.manifests.set(good.digest, upstream.registry.manifests.get(other.digest)!)
    await expect(upstream.lock({ referrers: true })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
  })

  it('beyond the hundredth are left out', async () => {
    const upstream = await Upstream.start()
    const image = upstream.image(amd64, '1')
    const many = Array.from({ length: 102 }, () => upstream.image({}))
    upstream.index(many, image.digest.replace(':', '-'))
    const locked = await upstream.lock({ referrers: true })
    expect(locked.referrers).toHaveLength(100)
    expect(locked.leftOut).toHaveLength(2)
  })

  it('in an endless chain of tags end with the hundredth', async () => {
    // each signature has a signature of its own
    const upstream: Upstream = await Upstream.start((request, response) => {
      const tag = /\/manifests\/(sha256-[0-9a-f]{64}\.sig)$/.exec(request.url ?? '')?.[1]
      if (tag === undefined) return false
      const { digest } = upstream.image({ os: '', architecture: '', of: tag })
      const { bytes, mediaType } = upstream.registry.manifests.get(digest)!
      response.writeHead(200, { 'content-type': mediaType }).end(bytes)
      return true
    })
    upstream.image(amd64, '1')
    const locked = await upstream.lock({ referrers: true })
    expect(locked.referrers).toHaveLength(100)
    expect(locked.leftOut).toEqual([
      { name: expect.stringMatching(/\.sig$/), reason: 'the image has more than 100 referrers' },
    ])
  })

  it('that state another size of the layer of the image are left out, with nothing of them', async () => {
    const upstream = await Upstream.start()
    const layer = upstream.registry.putBlob(Buffer.from('a layer'), types.layer)
    const config = upstream.registry.putBlob(Buffer.from(JSON.stringify(amd64)), types.config)
    const image = upstream.manifest({ mediaType: types.manifest, config, layers: [layer] }, '1')
    const odd = upstream.manifest({
      config: upstream.registry.putBlob(Buffer.from('{}'), 'application/x'),
      layers: [{ ...layer, size: 2 << 20 }],
    })
    upstream.index([odd], image.digest.replace(':', '-'))
    const locked = await upstream.lock({ referrers: true })
    expect(locked.manifests.map(({ digest }) => digest)).toEqual([image.digest])
    expect(locked.blobs.map(({ digest }) => digest).sort()).toEqual([config.digest, layer.digest].sort())
    expect(locked.leftOut).toEqual([{ name: odd.digest, reason: expect.stringContaining('two sizes') }])
  })

  it('in a list that is too large are reported; the image is carried', async () => {
    const upstream = await Upstream.start((request, response) => {
      if (!request.url?.includes('/referrers/')) return false
      response.writeHead(200, { 'content-type': types.index })
      response.end(JSON.stringify({ schemaVersion: 2, manifests: [], padding: 'x'.repeat(5 << 20) }))
      return true
    })
    const image = upstream.image(amd64, '1')
    const locked = await upstream.lock({ referrers: true })
    expect(locked.leftOut).toEqual([
      { name: `referrers of ${image.digest}`, reason: expect.stringContaining('larger than') },
    ])
  })
})
