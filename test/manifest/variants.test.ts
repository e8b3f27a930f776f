import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formatPlatform } from '../../src/core/platform.ts'
import { formatReference } from '../../src/core/reference.ts'
import { loadManifest } from '../../src/manifest/load.ts'

const text = `apiVersion: airgap/v1
name: stack
version: 1.0.0
images: [quay.io/a/own:1]
variants:
  arm64:
    description: nodes of arm64
    platforms: [linux/arm64]
    files:
      - url: https://get.example/arm64/tool
  extra:
    description: more of it
    images:
      - quay.io/a/more:1
      - list: more.txt
`

describe('variants', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'airgap-variants-'))
    await writeFile(join(folder, 'stack.yaml'), text)
    await writeFile(join(folder, 'more.txt'), 'quay.io/a/listed:1\n')
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const load = async (...variants: string[]) => {
    const {
      images,
      files,
      platforms,
      variants: all,
    } = await loadManifest(join(folder, 'stack.yaml'), { variants })
    return {
      images: images.map(
        ({ reference, at }) => `${formatReference(reference)} ${at.slice(folder.length + 1)}`,
      ),
      files: files.map(({ url, at }) => `${url} ${at.slice(folder.length + 1)}`),
      platforms: platforms.map(formatPlatform),
      included: all.filter(one => one.included).map(({ name }) => name),
    }
  }
  const own = 'quay.io/a/own:1 stack.yaml:4:10'

  it('are left out by default', async () => {
    expect(await load()).toEqual({ images: [own], files: [], platforms: ['linux/amd64'], included: [] })
  })

  it('add their entries after those of the manifest, each with its place', async () => {
    expect(await load('extra', 'arm64', 'extra')).toEqual({
      images: [own, 'quay.io/a/more:1 stack.yaml:14:9', 'quay.io/a/listed:1 more.txt:1:1'],
      files: ['https://get.example/arm64/tool stack.yaml:10:9'],
      platforms: ['linux/amd64', 'linux/arm64'],
      included: ['arm64', 'extra'],
    })
  })

  it.each(['amr64', 'toString', '__proto__'])('refuse the unknown name %s', async name => {
    await expect(load(name)).rejects.toMatchObject({
      code: 'USAGE',
      item: name,
      next: expect.stringContaining('arm64 (nodes of arm64), extra (more of it)'),
    })
  })
})
