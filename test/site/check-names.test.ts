import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openBundle } from '../../src/bundle/reader.ts'
import { verifyBundle } from '../../src/bundle/verify.ts'
import type { Artifact } from '../../src/content/artifact.ts'
import { imageKind } from '../../src/kinds/image/index.ts'
import type { LockedImage } from '../../src/kinds/image/locked.ts'
import { checkBundleNames, checkNames } from '../../src/site/check-names.ts'
import { namedRoots } from '../../src/site/images.ts'
import { parseRegistry, pushTargets } from '../../src/site/push-names.ts'
import { sampleChart, sampleImage, sampleReferrer, sampleTree, writeBundle } from './support/sample-site.ts'

const rootsOf = (artifacts: Artifact[]) => artifacts.map(({ root }) => root)
const check = (artifacts: Artifact[], collisions: Record<string, string> = {}) =>
  checkNames(rootsOf(artifacts), collisions)

/** An image with two referrers, as the lock has it. */
function lockedImage(name: string): { locked: LockedImage; referrers: string[] } {
  const image = sampleImage(name).root
  const others = ['sbom', 'signature'].map(text => sampleImage(name, text).root)
  const manifests = [image, ...others].map(({ mediaType, digest, size }) => ({ mediaType, digest, size }))
  const referrers = others.map(({ digest }) => digest)
  const written = name.replace('@DIGEST', `@${image.digest}`)
  return {
    locked: {
      name: written,
      from: 'x.example/y',
      digest: image.digest,
      platforms: [],
      manifests,
      blobs: [],
      referrers,
    },
    referrers,
  }
}

describe('names of referrers', () => {
  it.each([
    ['quay.io/t/x:1', 'quay.io/t/x', 't/x'],
    ['quay.io/t/x@DIGEST', 'quay.io/t/x', 't/x'],
    ['quay.io/t/x:1@DIGEST', 'quay.io/t/x', 't/x'],
    ['r.example:5000/t/x:v1.2_3-4@DIGEST', 'r.example:5000/t/x', 't/x'],
    ['r.example:5000/x@DIGEST', 'r.example:5000/x', 'x'],
    ['docker.io/library/busybox:1@DIGEST', 'docker.io/library/busybox', 'library/busybox'],
  ])('%s: its referrers are in its repository, by digest alone', (name, repository, pushed) => {
    const { locked, referrers } = lockedImage(name)
    const artifacts = imageKind.assemble([locked])
    expect(rootsOf(artifacts).map(root => root.annotations?.['org.opencontainers.image.ref.name'])).toEqual([
      locked.name,
      ...referrers.map(digest => `${repository}@${digest}`),
    ])
    check(artifacts)
    const registry = parseRegistry('to.example')
    const targets = pushTargets(namedRoots(rootsOf(artifacts)), { registry, keepHost: false, collisions: {} })
    expect(targets.slice(1).map(({ to }) => to)).toEqual(
      referrers.map(digest => `to.example/${pushed}@${digest}`),
    )
  })

  it('are one where two entries are the same image', () => {
    const { locked } = lockedImage('quay.io/t/x:1')
    const pinned = { ...locked, name: `${locked.name}@${locked.digest}` }
    check(imageKind.assemble([locked, pinned, { ...locked, name: 'quay.io/t/x:2' }]))
  })
})

describe('a lock is refused where the site or a push would refuse its bundle', () => {
  it.each<[string, Artifact[]]>([
    ['two hosts with one path', [sampleImage('quay.io/a/b:1'), sampleImage('ghcr.io/a/b:2')]],
    [
      'one tag with two contents',
      [sampleImage('quay.io/a/b:1', 'x'), sampleReferrer('quay.io/a/b:1', sampleImage('quay.io/a/b:1', 'x'))],
    ],
    [
      'two charts of one name and version',
      [
        sampleChart('charts/demo:1.0.0', { name: 'demo', version: '1.0.0' }),
        sampleChart('quay.io/x/demo:1.0.0', { name: 'demo', version: '1.0.0' }, 'another'),
      ],
    ],
    [
      'an image where the charts are',
      [sampleChart('charts/demo:1', { name: 'demo', version: '1' }), sampleImage('quay.io/charts/demo:1')],
    ],
  ])('%s', (_, artifacts) => {
    expect(() => check(artifacts)).toThrow(expect.objectContaining({ code: 'NAME_COLLISION' }))
  })

  it('takes what `collisions` settles, and what can be pushed with --keep-host', () => {
    check([sampleImage('quay.io/a/b:1'), sampleImage('ghcr.io/a/b:2')], { 'a/b': 'ghcr.io' })
    check(
      [sampleChart('charts/demo:1', { name: 'demo', version: '1' }), sampleImage('quay.io/charts/demo:1')],
      { 'charts/demo': 'quay.io' },
    )
  })
})

describe('verify', () => {
  it('reports a finished bundle that no site can serve', async () => {
    await using bundles = new AsyncDisposableStack()
    const opened = async (path: string) => bundles.adopt(await openBundle(path), bundle => bundle.close())
    const folder = await mkdtemp(join(tmpdir(), 'airgap-names-'))
    try {
      const image = sampleImage('quay.io/t/x:1')
      const lock = (collisions: object) =>
        sampleTree('lock', { 'lock.json': JSON.stringify({ collisions }) }, 'bundle')
      const bad = join(folder, 'bad.tar')
      await writeBundle(bad, [image, sampleReferrer('quay.io/t/x:1', image), ...lock({})])
      expect((await verifyBundle(bad)).artifacts).toBe(3)
      await expect(checkBundleNames(await opened(bad))).rejects.toMatchObject({ code: 'NAME_COLLISION' })
      const good = join(folder, 'good.tar')
      const both = [image, sampleImage('ghcr.io/t/x:1', 'other')]
      await writeBundle(good, [...both, ...lock({ 't/x': 'quay.io' })])
      await checkBundleNames(await opened(good))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
