import { describe, expect, it } from 'vitest'
import type { Artifact } from '../../src/content/artifact.ts'
import type { Digest } from '../../src/core/digest.ts'
import { namedRoots, siteImages } from '../../src/site/images.ts'
import { contentOf, sampleChart, sampleImage, sampleIndex, sampleReferrer } from './support/sample-site.ts'

async function imagesOf(
  artifacts: Artifact[],
  options: { collisions?: Record<string, string>; selves?: string[] } = {},
) {
  const content = await contentOf(artifacts)
  return siteImages(content, { named: namedRoots(content.roots()), collisions: {}, ...options })
}

describe('siteImages', () => {
  it('answers an image under all its names, with its tags', async () => {
    const image = sampleImage('docker.io/library/busybox:1.36')
    const images = await imagesOf([image, sampleImage('docker.io/library/busybox:1.37')])
    for (const name of ['busybox', 'library/busybox', 'docker.io/library/busybox', 'docker.io/busybox']) {
      expect([...(images.find(name)?.tags.keys() ?? [])]).toEqual(['1.36', '1.37'])
      expect(images.canonical(name)).toBe('library/busybox')
    }
    expect(images.find('library/busybox', 'docker.io')?.tags.get('1.36')?.digest).toBe(image.root.digest)
    expect(images.hosts).toEqual(['docker.io'])
  })

  it('never answers with the image of another upstream', async () => {
    const images = await imagesOf([sampleImage('docker.io/library/busybox:1')])
    expect(images.find('library/busybox', 'evil.example')).toBeUndefined()
    expect(images.find('docker.io/library/busybox', 'evil.example')).toBeUndefined()
  })

  it('ignores its own address as ns', async () => {
    const images = await imagesOf([sampleImage('docker.io/library/busybox:1')], {
      selves: ['10.77.0.1:35000'],
    })
    expect(images.find('library/busybox', '10.77.0.1:35000')).toBeDefined()
  })

  it('answers a digest only in a repository that holds it', async () => {
    const [one, two] = [sampleIndex('quay.io/a/one:1'), sampleImage('quay.io/a/two:1')]
    const images = await imagesOf([one, two])
    const [repository, other] = [images.find('a/one')!, images.find('a/two')!]
    for (const { descriptor } of one.inline) {
      const isManifest = /index|manifest/.test(descriptor.mediaType)
      const found = isManifest ? repository.manifest(descriptor.digest) : repository.blob(descriptor.digest)
      await expect(found).resolves.toMatchObject({ mediaType: descriptor.mediaType, size: descriptor.size })
      await expect(other.manifest(descriptor.digest)).resolves.toBeUndefined()
      await expect(other.blob(descriptor.digest)).resolves.toBeUndefined()
      // a manifest is no blob and the other way round
      await expect(
        isManifest ? repository.blob(descriptor.digest) : repository.manifest(descriptor.digest),
      ).resolves.toBeUndefined()
    }
  })

  it('does not answer the child of an index that was not carried', async () => {
    const index = sampleIndex('quay.io/a/b:1')
    const missing = JSON.parse(Buffer.from(index.inline[0]!.bytes).toString('utf8')).manifests[1]
      .digest as Digest
    const repository = (await imagesOf([index])).find('a/b')!
    expect(await repository.manifest(missing)).toBeUndefined()
  })

  it('lists the referrers of an image, with type and annotations', async () => {
    const image = sampleImage('quay.io/a/b:1')
    const referrer = sampleReferrer('quay.io/a/b', image)
    const repository = (await imagesOf([image, referrer])).find('a/b')!
    expect(await repository.referrers(image.root.digest)).toEqual([
      expect.objectContaining({
        digest: referrer.root.digest,
        artifactType: 'application/vnd.example.sbom',
        annotations: { made: 'for a test' },
      }),
    ])
    expect(await repository.referrers(referrer.root.digest)).toEqual([])
    expect([...repository.tags.keys()]).toEqual(['1'])
  })

  it('answers every chart as charts/NAME, and an OCI chart under its own names too', async () => {
    const images = await imagesOf([
      sampleChart('charts/classic:1.0.0', { name: 'classic', version: '1.0.0' }),
      sampleChart('ghcr.io/org/oci-chart:2.0.0_x', { name: 'oci-chart', version: '2.0.0+x' }),
      sampleChart('quay.io/charts/same:3.0.0', { name: 'same', version: '3.0.0' }),
    ])
    expect(images.find('charts/classic')?.tags.has('1.0.0')).toBe(true)
    expect(images.find('charts/oci-chart')?.tags.has('2.0.0_x')).toBe(true)
    expect(images.find('org/oci-chart')?.tags.has('2.0.0_x')).toBe(true)
    expect(images.find('charts/same')?.tags.has('3.0.0')).toBe(true)
    expect(images.find('quay.io/charts/same')?.tags.has('3.0.0')).toBe(true)
    expect(images.find('charts/same', 'quay.io')?.tags.has('3.0.0')).toBe(true)
    expect(images.hosts).toEqual(['ghcr.io', 'quay.io'])
  })

  it('refuses an image where the charts are, and two charts of one name and version', async () => {
    const chart = sampleChart('charts/foo:1', { name: 'foo', version: '1' })
    await expect(imagesOf([chart, sampleImage('quay.io/charts/foo:1')])).rejects.toMatchObject({
      code: 'NAME_COLLISION',
    })
    const other = sampleChart('ghcr.io/org/foo:1', { name: 'foo', version: '1' }, 'another')
    await expect(imagesOf([chart, other])).rejects.toMatchObject({
      code: 'NAME_COLLISION',
      item: 'charts/foo:1',
    })
  })

  it('refuses two contents under one name', async () => {
    const pair = [sampleImage('quay.io/a/b:1'), sampleImage('quay.io/a/b:1', 'another')]
    await expect(imagesOf(pair)).rejects.toMatchObject({ code: 'NAME_COLLISION', item: 'quay.io/a/b:1' })
    await imagesOf([sampleImage('quay.io/a/b:1'), sampleImage('quay.io/a/b:1')])
  })

  it('lets the manifest choose the upstream of a name', async () => {
    const pair = [sampleImage('quay.io/a/b:1'), sampleImage('ghcr.io/a/b:2')]
    await expect(imagesOf(pair)).rejects.toMatchObject({ code: 'NAME_COLLISION' })
    const images = await imagesOf(pair, { collisions: { 'a/b': 'quay.io' } })
    expect(images.find('a/b')?.tags.has('1')).toBe(true)
    expect(images.find('a/b', 'ghcr.io')?.tags.has('2')).toBe(true)
  })

  it('refuses a name that is not a reference', async () => {
    await expect(imagesOf([sampleImage('quay.io/../etc:1')])).rejects.toMatchObject({
      code: 'BUNDLE_CORRUPT',
    })
  })
})
