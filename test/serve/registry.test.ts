import { beforeAll, describe, expect, it } from 'vitest'
import { LayoutStore } from '../../src/content/layout-store.ts'
import { MemoryStore } from '../../src/content/memory-store.ts'
import type { ReadableStore } from '../../src/content/store.ts'
import { digestOf } from '../../src/core/digest.ts'
import { mediaTypes } from '../../src/core/media-types.ts'
import { createRegistryServer } from '../../src/serve/registry.ts'
import { tempFolder } from '../bundle/samples.ts'
import {
  putImage,
  putIndex,
  type Running,
  repositoryOf,
  type SampleImage,
  type SampleImages,
  sampleImages,
  start,
} from './support/servers.ts'

const absent = digestOf('absent')

async function sample(
  store: MemoryStore | LayoutStore,
): Promise<{ images: SampleImages; image: SampleImage }> {
  const image = await putImage(store, [3_000_000, 10, 300_000])
  const images = sampleImages()
  images.add('nvidia/gpu-operator', image.repository)
  return { images, image }
}

describe.each(['memory', 'layout folder'])('the registry over a %s store', kind => {
  async function serve(): Promise<{ running: Running; image: SampleImage; images: SampleImages }> {
    const store = kind === 'memory' ? new MemoryStore() : await LayoutStore.open(await tempFolder())
    const { image, images } = await sample(store)
    return { running: await start(createRegistryServer(store, images)), image, images }
  }

  it('identifies itself as a registry', async () => {
    const { running } = await serve()
    for (const path of ['/v2/', '/v2']) {
      const got = await running.get(path)
      expect(got.status).toBe(200)
      expect(got.headers['docker-distribution-api-version']).toBe('registry/2.0')
    }
  })

  it('serves manifests by tag and digest: raw bytes, stored media type, digest', async () => {
    const { running, image } = await serve()
    for (const reference of ['1', image.manifest.digest, image.manifest.digest.replace(':', '%3A')]) {
      const got = await running.get(`/v2/nvidia/gpu-operator/manifests/${reference}`)
      expect(got.status).toBe(200)
      expect(got.body.equals(image.manifestBytes)).toBe(true)
      expect(got.headers).toMatchObject({
        'content-type': mediaTypes.ociManifest,
        'docker-content-digest': image.manifest.digest,
        etag: `"${image.manifest.digest}"`,
        'content-length': String(image.manifest.size),
      })
      const head = await running.get(`/v2/nvidia/gpu-operator/manifests/${reference}`, { method: 'HEAD' })
      expect(head.status).toBe(200)
      expect(head.headers['content-length']).toBe(String(image.manifest.size))
      expect(head.headers['docker-content-digest']).toBe(image.manifest.digest)
    }
  })

  it('serves blobs of every size, whole', async () => {
    const { running, image } = await serve()
    for (const [i, layer] of image.layers.entries()) {
      const got = await running.get(`/v2/nvidia/gpu-operator/blobs/${layer.digest}`)
      expect(got.status).toBe(200)
      expect(got.body.equals(image.layerBytes[i]!)).toBe(true)
      expect(got.headers['content-length']).toBe(String(layer.size))
      expect(got.headers['content-type']).toBe('application/octet-stream')
      expect(got.headers['docker-content-digest']).toBe(layer.digest)
      expect(got.headers['docker-distribution-api-version']).toBe('registry/2.0')
    }
  })

  it('serves parts of blobs', async () => {
    const { running, image } = await serve()
    const path = `/v2/nvidia/gpu-operator/blobs/${image.layers[0]!.digest}`
    const got = await running.get(path, { headers: { range: 'bytes=1000000-2999998' } })
    expect(got.status).toBe(206)
    expect(got.headers['content-range']).toBe('bytes 1000000-2999998/3000000')
    expect(got.headers['content-length']).toBe('1999999')
    expect(got.body.equals(image.layerBytes[0]!.subarray(1_000_000, 2_999_999))).toBe(true)
  })

  it('answers a known ETag with 304', async () => {
    const { running, image } = await serve()
    for (const path of [`manifests/1`, `blobs/${image.layers[0]!.digest}`]) {
      const first = await running.get(`/v2/nvidia/gpu-operator/${path}`, { method: 'HEAD' })
      const headers = { 'if-none-match': `"other", W/${first.headers['etag']}` }
      const got = await running.get(`/v2/nvidia/gpu-operator/${path}`, { headers })
      expect(got.status).toBe(304)
      expect(got.body.length).toBe(0)
    }
  })
})

describe('the registry', () => {
  const store = new MemoryStore()
  let image: SampleImage
  let images: SampleImages
  beforeAll(async () => {
    ;({ images, image } = await sample(store))
  })
  const registry = (over: ReadableStore = store) => createRegistryServer(over, images)

  async function get(url: string, headers: Record<string, string> = {}) {
    const answer = await registry().inject({ url, headers })
    return { status: answer.statusCode, headers: answer.headers, body: answer.json() }
  }

  it('answers with the codes of the specification', async () => {
    const code = async (url: string) => {
      const { status, body } = await get(url)
      expect(body.errors).toHaveLength(1)
      expect(body.errors[0].message).toBeTypeOf('string')
      return `${status} ${body.errors[0].code}`
    }
    const repository = '/v2/nvidia/gpu-operator'
    expect(await code(`${repository}/manifests/2`)).toBe('404 MANIFEST_UNKNOWN')
    expect(await code(`${repository}/manifests/${absent}`)).toBe('404 MANIFEST_UNKNOWN')
    expect(await code(`${repository}/manifests/-bad`)).toBe('404 MANIFEST_UNKNOWN')
    expect(await code(`${repository}/manifests/sha256:abc`)).toBe('400 DIGEST_INVALID')
    expect(await code(`${repository}/blobs/${absent}`)).toBe('404 BLOB_UNKNOWN')
    expect(await code(`${repository}/blobs/latest`)).toBe('400 DIGEST_INVALID')
    expect(await code(`${repository}/referrers/latest`)).toBe('400 DIGEST_INVALID')
    expect(await code('/v2/other/manifests/1')).toBe('404 NAME_UNKNOWN')
    expect(await code('/v2/other/tags/list')).toBe('404 NAME_UNKNOWN')
    expect(await code('/v2/nvidia/gpu-operator')).toBe('404 UNSUPPORTED')
    expect(await code('/v1/search')).toBe('404 UNSUPPORTED')
    expect(await code('/')).toBe('404 UNSUPPORTED')
  })

  it('serves content only in a repository that has it', async () => {
    const other = await putImage(store, [50], 9)
    images.add('other/app', other.repository)
    expect((await get(`/v2/nvidia/gpu-operator/blobs/${other.layers[0]!.digest}`)).status).toBe(404)
    expect((await get(`/v2/nvidia/gpu-operator/manifests/${other.manifest.digest}`)).status).toBe(404)
  })

  it('answers 404 for a layer requested as a manifest, and serves a manifest requested as a blob', async () => {
    const repository = '/v2/nvidia/gpu-operator'
    expect((await get(`${repository}/manifests/${image.layers[0]!.digest}`)).status).toBe(404)
    const answer = await registry().inject({ url: `${repository}/blobs/${image.manifest.digest}` })
    expect(answer.rawPayload.equals(image.manifestBytes)).toBe(true)
  })

  it('finds only the upstream that ns names', async () => {
    const quay = await putImage(store, [20], 3)
    images.add('same/name', image.repository)
    images.add('same/name', quay.repository, 'quay.io')
    const digestAt = async (query: string) =>
      (await registry().inject({ url: `/v2/same/name/manifests/1${query}` })).headers['docker-content-digest']
    expect(await digestAt('')).toBe(image.manifest.digest)
    expect(await digestAt('?ns=quay.io')).toBe(quay.manifest.digest)
    const missing = await get('/v2/same/name/manifests/1?ns=ghcr.io')
    expect([missing.status, missing.body.errors[0].code]).toEqual([404, 'NAME_UNKNOWN'])
  })

  it('accepts repository names that look like endpoints', async () => {
    images.add('a/blobs/b', image.repository)
    images.add('manifests', image.repository)
    images.add('tags', image.repository)
    for (const name of ['a/blobs/b', 'manifests', 'tags']) {
      expect((await get(`/v2/${name}/manifests/1`)).status).toBe(200)
      expect((await get(`/v2/${name}/tags/list`)).body.name).toBe(name)
    }
  })

  it('lists tags in lexical order, page by page', async () => {
    const names = ['v10', 'V2', 'v1', 'latest', 'a', 'B', 'c']
    const tags = Object.fromEntries(names.map(name => [name, image.manifest]))
    images.add('many/tags', repositoryOf({ tags }))
    const all = ['a', 'B', 'c', 'latest', 'v1', 'v10', 'V2']
    expect((await get('/v2/many/tags/tags/list')).body).toEqual({ name: 'many/tags', tags: all })
    let url: string | undefined = '/v2/many/tags/tags/list?n=3'
    const pages: string[][] = []
    while (url !== undefined) {
      const { body, headers } = await get(url)
      pages.push(body.tags)
      url = /^<(.*)>; rel="next"$/.exec(String(headers['link']))?.[1]
    }
    expect(pages).toEqual([all.slice(0, 3), all.slice(3, 6), all.slice(6)])
    expect((await get('/v2/many/tags/tags/list?last=between')).body.tags).toEqual(all.slice(2))
    expect((await get('/v2/many/tags/tags/list?n=0')).body.tags).toEqual([])
    expect((await get('/v2/many/tags/tags/list?n=1000&last=zzz')).body.tags).toEqual([])
    for (const n of ['-1', 'x', '1e3', '99999999999'])
      expect((await get(`/v2/many/tags/tags/list?n=${n}`)).status).toBe(400)
  })

  it('lists a thousand tags at most at once, with an ETag', async () => {
    const names = Array.from({ length: 2_500 }, (_, i) => `v${String(i).padStart(4, '0')}`)
    images.add(
      'thousands',
      repositoryOf({ tags: Object.fromEntries(names.map(name => [name, image.manifest])) }),
    )
    const listed: string[] = []
    let url: string | undefined = '/v2/thousands/tags/list'
    while (url !== undefined) {
      const { body, headers } = await get(url)
      expect(body.tags.length).toBeLessThanOrEqual(1_000)
      listed.push(...body.tags)
      const again = await registry().inject({ url, headers: { 'if-none-match': String(headers['etag']) } })
      expect([again.statusCode, again.body]).toEqual([304, ''])
      url = /^<(.*)>; rel="next"$/.exec(String(headers['link']))?.[1]
    }
    expect(listed).toEqual(names)
    expect((await get('/v2/thousands/tags/list?n=999999999')).body.tags).toHaveLength(1_000)
  })

  it('lists repositories', async () => {
    const { body } = await get('/v2/_catalog')
    expect(body.repositories).toContain('nvidia/gpu-operator')
    const page = await get('/v2/_catalog?n=1')
    expect(page.body.repositories).toHaveLength(1)
    expect(page.headers['link']).toContain('/v2/_catalog?n=1&last=')
  })

  it('lists referrers, filtered by artifact type', async () => {
    const signature = { ...(await putImage(store, [5], 5)).manifest, artifactType: 'application/signature' }
    const sbom = { ...(await putImage(store, [6], 6)).manifest, artifactType: 'application/sbom' }
    images.add('signed/app', repositoryOf({ tags: { 1: image.manifest }, referrers: [signature, sbom] }))
    const url = `/v2/signed/app/referrers/${image.manifest.digest}`
    const all = await get(url)
    expect(all.headers['content-type']).toBe(mediaTypes.ociIndex)
    expect(all.body).toEqual({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [signature, sbom],
    })
    const filtered = await get(`${url}?artifactType=application%2Fsbom`)
    expect(filtered.headers['oci-filters-applied']).toBe('artifactType')
    expect(filtered.body.manifests).toEqual([sbom])
    const none = await get(`/v2/nvidia/gpu-operator/referrers/${absent}`)
    expect([none.status, none.body.manifests]).toEqual([200, []])
  })

  it('serves indexes with their own media type', async () => {
    const index = await putIndex(store, [image.manifest])
    images.add('multi/app', repositoryOf({ tags: { 1: index }, manifests: [image.manifest] }))
    const answer = await registry().inject({ url: '/v2/multi/app/manifests/1' })
    expect(answer.headers['content-type']).toBe(mediaTypes.ociIndex)
    expect(digestOf(answer.rawPayload)).toBe(index.digest)
  })

  it('reads nothing for HEAD', async () => {
    const opened: string[] = []
    const watched: ReadableStore = {
      exists: d => store.exists(d),
      open: (d, range) => {
        opened.push(d.digest)
        return store.open(d, range)
      },
    }
    for (const path of ['manifests/1', ...image.layers.map(layer => `blobs/${layer.digest}`)]) {
      const answer = await registry(watched).inject({
        method: 'HEAD',
        url: `/v2/nvidia/gpu-operator/${path}`,
      })
      expect(answer.statusCode).toBe(200)
    }
    expect(opened).toEqual([])
  })

  it('answers 404 with the reason for content that a delta lacks', async () => {
    const layer = image.layers[0]!
    const empty = createRegistryServer(new MemoryStore(), images)
    for (const method of ['GET', 'HEAD'] as const) {
      const answer = await empty.inject({ method, url: `/v2/nvidia/gpu-operator/blobs/${layer.digest}` })
      expect(answer.statusCode).toBe(404)
      if (method === 'GET') expect(answer.json().errors[0].detail.likely).toContain('delta')
    }
  })
})
