import { lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { extractBundle } from '../../src/bundle/extract.ts'
import { type BundleStore, openBundle } from '../../src/bundle/reader.ts'
import { LayoutStore } from '../../src/content/layout-store.ts'
import { readAll } from '../../src/content/read.ts'
import { inlineFile, type TreeFile, treeArtifacts } from '../../src/content/tree.ts'
import { parseReference } from '../../src/core/reference.ts'
import { combine, noise, type Sample, smallSample, tempFolder, treeSample, writeBundle } from './samples.ts'

async function storeOf(sample: Sample): Promise<BundleStore> {
  const path = join(await tempFolder(), 'sample.tar')
  await writeBundle(path, sample)
  const store = await openBundle(path)
  onTestFinished(() => store.close())
  return store
}

function treeOf(files: TreeFile[], name = 'deploy'): Sample {
  return { artifacts: treeArtifacts({ name, kind: 'tree', files }), contents: new Map() }
}

const link = (path: string, target: string) => inlineFile(path, Buffer.from(target), '120000')

describe('extractBundle as files', () => {
  it('restores folders, modes and links', async () => {
    const files = [
      inlineFile('bin/run.sh', Buffer.from('#!/bin/sh\n'), '100755'),
      inlineFile('conf/a.yaml', Buffer.from('a: 1\n')),
      link('conf/current.yaml', 'a.yaml'),
      link('run', 'bin/run.sh'),
      link('conf/up', '../bin'),
    ]
    const target = await tempFolder()
    const report = await extractBundle(await storeOf(treeOf(files)), target, { as: 'files' })
    expect(report).toMatchObject({ artifacts: 1, files: 5 })
    const at = (path: string) => join(target, 'deploy', path)
    expect(await readFile(at('conf/current.yaml'), 'utf8')).toBe('a: 1\n')
    expect((await stat(at('bin/run.sh'))).mode & 0o111).toBe(0o111)
    expect((await stat(at('conf/a.yaml'))).mode & 0o111).toBe(0)
    expect(await readlink(at('conf/up'))).toBe('../bin')
    expect((await readdir(at('conf'))).sort()).toEqual(['a.yaml', 'current.yaml', 'up'])
  })

  it('can be run again over its own result', async () => {
    const store = await storeOf(treeOf([inlineFile('a', Buffer.from('1')), link('b', 'a')]))
    const target = await tempFolder()
    await extractBundle(store, target, { as: 'files' })
    await writeFile(join(target, 'deploy/a'), 'edited')
    await extractBundle(store, target, { as: 'files' })
    expect(await readFile(join(target, 'deploy/b'), 'utf8')).toBe('1')
  })

  it('joins the shards of a large tree, and keeps trees apart whose names end with a number', async () => {
    const files = ['a', 'b', 'c'].map(name => inlineFile(name, Buffer.from(name)))
    const large = { name: 'rpms/rocky-9', kind: 'rpm', files }
    const sample = combine(
      { artifacts: treeArtifacts(large, { files: 2, bytes: 4096 }), contents: new Map() },
      treeOf([inlineFile('a', Buffer.from('other'))], 'rpms/rocky-9.2'),
      treeOf([inlineFile('a', Buffer.from('another'))], 'rpms/rocky-9.4'),
    )
    const store = await storeOf(sample)
    const target = await tempFolder()
    expect(await extractBundle(store, target, { as: 'files' })).toMatchObject({ artifacts: 3, files: 5 })
    expect((await readdir(join(target, 'rpms/rocky-9'))).sort()).toEqual(['a', 'b', 'c'])
    expect(await readFile(join(target, 'rpms/rocky-9.2/a'), 'utf8')).toBe('other')
    const selected = await tempFolder()
    await extractBundle(store, selected, { as: 'files', select: ({ name }) => name === 'rpms/rocky-9' })
    expect(await readdir(join(selected, 'rpms'))).toEqual(['rocky-9'])
    const layout = join(await tempFolder(), 'layout')
    await extractBundle(store, layout, { as: 'layout', select: ({ name }) => name === 'rpms/rocky-9' })
    const { manifests } = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8'))
    expect(manifests).toHaveLength(2)
  })

  it.each([
    ['an absolute target', [link('a', '/etc/passwd')]],
    ['a target above the tree', [link('d/a', '../../x')]],
    [
      'a target that goes down and up again',
      [inlineFile('d/f', Buffer.from('')), link('d/e/up', '../..'), link('a', 'd/e/up/../..')],
    ],
    ['an empty target', [link('a', '')]],
    [
      'a file below a link',
      [link('a', 'b'), inlineFile('a/x', Buffer.from('x')), inlineFile('b/y', Buffer.from(''))],
    ],
  ])('fault 70: refuses a tree with %s', async (_what, files) => {
    const target = await tempFolder()
    const store = await storeOf(treeOf(files))
    await expect(extractBundle(store, target, { as: 'files' })).rejects.toMatchObject({
      code: 'BUNDLE_CORRUPT',
    })
    expect(await readdir(target)).toEqual([])
  })

  it('does not write through a link that existed before', async () => {
    const target = await tempFolder()
    const outside = await tempFolder()
    await writeFile(join(outside, 'victim'), 'keep')
    await mkdir(join(target, 'deploy'))
    await symlink(outside, join(target, 'deploy/folder'))
    await symlink(join(outside, 'victim'), join(target, 'deploy/file'))
    for (const path of ['folder/x', 'file']) {
      const store = await storeOf(treeOf([inlineFile(path, Buffer.from('evil'))]))
      await expect(extractBundle(store, target, { as: 'files' })).rejects.toMatchObject({
        code: 'PERMISSION',
      })
    }
    expect(await readdir(outside)).toEqual(['victim'])
    expect(await readFile(join(outside, 'victim'), 'utf8')).toBe('keep')
  })

  it('leaves no file if the content is wrong', async () => {
    const bytes = noise(3000, 5)
    const sample = treeSample('files', { a: bytes })
    const path = join(await tempFolder(), 'x.tar')
    await writeBundle(path, sample)
    const tar = await readFile(path)
    tar[tar.indexOf(bytes)]! ^= 1
    await writeFile(path, tar)
    const store = await openBundle(path)
    onTestFinished(() => store.close())
    const target = await tempFolder()
    await expect(extractBundle(store, target, { as: 'files' })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    })
    expect(await readdir(join(target, 'files'))).toEqual([])
  })

  it('refuses images, and an empty selection', async () => {
    const store = await storeOf(smallSample())
    const target = await tempFolder()
    await expect(extractBundle(store, target, { as: 'files' })).rejects.toMatchObject({ code: 'USAGE' })
    await expect(extractBundle(store, target, { as: 'files', select: () => false })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
    await extractBundle(store, target, { as: 'files', select: ({ isTree }) => isTree })
    expect((await readdir(target)).sort()).toEqual(['lock', 'offline-deploy'])
    expect((await lstat(join(target, 'offline-deploy/offline-deploy/run'))).mode & 0o777).toBe(0o755)
  })
})

describe('extractBundle as layout', () => {
  it('restores an OCI layout of the selection', async () => {
    const sample = combine(smallSample(), treeSample('files', { a: noise(4000, 3) }))
    const target = join(await tempFolder(), 'layout')
    const report = await extractBundle(await storeOf(sample), target, {
      as: 'layout',
      select: ({ kind }) => kind === 'image',
    })
    expect(report).toMatchObject({ artifacts: 2, files: 5 })
    const layout = await LayoutStore.open(target)
    const app = await layout.resolve(parseReference('registry.example/app:1'))
    expect(JSON.parse((await readAll(layout, app)).toString()).layers).toHaveLength(2)
    expect(await readdir(join(target, 'blobs/sha256'))).toHaveLength(5)
  })
})
