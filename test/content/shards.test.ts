import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findTree, treesOf } from '../../src/content/shards.ts'
import { inlineFile, readTree, treeArtifacts } from '../../src/content/tree.ts'
import type { Descriptor } from '../../src/core/descriptor.ts'
import { annotationKeys } from '../../src/core/media-types.ts'
import { contentOf } from '../site/support/sample-site.ts'

const files = (count: number) =>
  Array.from({ length: count }, (_, i) => inlineFile(`d/${String(i).padStart(4, '0')}`, Buffer.from(`${i}`)))
const artifactsOf = (name: string, count = 1, perShard = 8_000) =>
  treeArtifacts({ name, kind: 'tree', files: files(count) }, { files: perShard, bytes: 1 << 20 })
const rootsOf = (...of: Parameters<typeof artifactsOf>) => artifactsOf(...of).map(({ root }) => root)
const summary = (roots: readonly Descriptor[]) => treesOf(roots).map(tree => [tree.name, tree.roots.length])
const change = (root: Descriptor, annotations: Record<string, string>): Descriptor => ({
  ...root,
  annotations: { ...root.annotations, ...annotations },
})
const without = (root: Descriptor, ...keys: string[]): Descriptor => ({
  ...root,
  annotations: Object.fromEntries(
    Object.entries(root.annotations ?? {}).filter(([key]) => !keys.includes(key)),
  ),
})

describe('treesOf', () => {
  it('takes a name that ends in a number for a name', () => {
    const names = [
      'files',
      'files.2',
      'files.3',
      'rpms/rocky-9',
      'rpms/rocky-9.2',
      'rpms/rocky-9.4',
      'tree/a.2',
    ]
    expect(summary(names.flatMap(name => rootsOf(name)))).toEqual(names.map(name => [name, 1]))
  })

  it('joins the shards of a tree in order, beside a tree with the name that a shard could have', async () => {
    const artifacts = [
      ...artifactsOf('rpms/rocky-9', 25, 2),
      ...artifactsOf('rpms/rocky-9.2', 3),
      ...artifactsOf('rpms/rocky-9.4', 5, 2),
    ]
    const content = await contentOf(artifacts.toReversed())
    expect(summary(content.roots())).toEqual([
      ['rpms/rocky-9', 13],
      ['rpms/rocky-9.2', 1],
      ['rpms/rocky-9.4', 3],
    ])
    const paths = files(25).map(({ path }) => path)
    const tree = findTree(content.roots(), 'rpms/rocky-9')
    expect([...(await readTree(content, tree!.roots)).keys()]).toEqual(paths)
  })

  it('finds again every set of trees, whatever their names and sizes', () => {
    const name = fc.stringMatching(/^[a-c](?:[.][1-3]|-[1-3])?(?:[.][1-3])?$/)
    const trees = fc.uniqueArray(fc.tuple(name, fc.integer({ min: 0, max: 9 })), { selector: ([one]) => one })
    fc.assert(
      fc.property(trees, trees => {
        const roots = trees.flatMap(([name, count]) => rootsOf(`tree/${name}`, count, 2))
        expect(Object.fromEntries(summary(roots))).toEqual(
          Object.fromEntries(
            trees.map(([name, count]) => [`tree/${name}`, Math.max(1, Math.ceil(count / 2))]),
          ),
        )
        expect(new Set(roots.map(root => root.annotations?.[annotationKeys.refName])).size).toBe(roots.length)
      }),
    )
  })

  it('keeps manifests below the limit of registries, with the longest paths', () => {
    const long = Array.from({ length: 5000 }, (_, i) =>
      inlineFile(`${`${'x'.repeat(249)}/`.repeat(4)}${String(i).padStart(4, '0')}`, Buffer.from('')),
    )
    const roots = treeArtifacts({ name: 'files', kind: 'file', files: long }).map(({ root }) => root)
    expect(summary(roots)).toEqual([['files', 2]])
    expect(Math.max(...roots.map(({ size }) => size))).toBeLessThan(4 << 20)
  })

  const [first, second, third] = rootsOf('rpms/rocky-9', 6, 2) as [Descriptor, Descriptor, Descriptor]
  const whole = rootsOf('rpms/rocky-9')[0]!
  const { tree, shard, kind, refName } = annotationKeys
  it.each<[string, Descriptor[]]>([
    ['the first shard missing', [second, third]],
    ['a shard missing in between', [first, third]],
    ['the last shard missing', [first, second]],
    ['a shard twice', [first, second, third, second]],
    ['a shard twice in place of another one', [first, second, second]],
    ['shards of another number', [first, second, change(third, { [shard]: '3/4' })]],
    ['shards of two builds', [...[first, second, third], ...rootsOf('rpms/rocky-9', 8, 2)]],
    ['a shard of another kind', [first, second, change(third, { [kind]: 'file' })]],
    ['a whole tree of the same name', [first, second, third, whole]],
    ['a tree twice', [whole, whole]],
    ['a shard without the name of its tree', [first, second, without(third, tree)]],
    ['a shard that only names its tree', [first, second, without(third, shard)]],
    ['a tree without a name', [without(whole, refName)]],
    ['a tree that leads out of its folder', [change(whole, { [refName]: 'tree/..' })]],
    ['a shard with the name of another one', [first, change(second, { [refName]: 'rpms/rocky-9+3' }), third]],
    ['a shard with the name of another tree', [first, change(second, { [refName]: 'files+2' }), third]],
    ['a tree with an absolute name', [change(whole, { [refName]: '/etc' })]],
    [
      'shards that lead out of their folder',
      [first, second, third].map(one => change(one, { [tree]: 'tree/../..' })),
    ],
    ['a shard of something that is no tree', [{ ...change(first, {}), artifactType: 'application/x' }]],
    ...[
      '0/3',
      '4/3',
      '1/1',
      '01/3',
      '1/03',
      '1',
      '',
      '1/3/3',
      '-1/3',
      '1/3 ',
      '1e0/3',
      '1/9999999',
      '١/٣',
      '1/3\n',
    ].map((position): [string, Descriptor[]] => [
      `the position ${JSON.stringify(position)}`,
      [change(first, { [shard]: position }), second, third],
    ]),
  ])('refuses %s', (_what, roots) => {
    expect(() => treesOf(roots)).toThrow(expect.objectContaining({ code: 'BUNDLE_CORRUPT' }))
  })
})
