import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadManifest } from '../../src/manifest/load.ts'
import { folderWith, head, load, refused } from '../manifest/support.ts'

describe('fault 59: YAML that means harm', () => {
  it('fault 59: aliases that explode', async () => {
    const levels = Array.from(
      { length: 9 },
      (_, i) =>
        `${'abcdefghi'[i]}: &${'abcdefghi'[i]} [${
          i === 0
            ? '"x"'
            : Array(9)
                .fill(`*${'abcdefghi'[i - 1]}`)
                .join(', ')
        }]\n`,
    )
    const started = performance.now()
    const error = await refused(load(levels.join('')), 'MANIFEST_INVALID')
    expect(error.message).toMatch(/alias/i)
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it('fault 59: a few aliases are fine', async () => {
    const manifest = await load(
      'debs:\n  - &d {name: a, archive: "http://x.example", suite: s, keys: &k [k.asc], packages: &p [jq]}\n  - {name: b, archive: "http://x.example", suite: s, keys: *k, packages: *p}\n',
    )
    expect(manifest.debs).toHaveLength(2)
  })

  it('fault 59: duplicate keys, at the top and inside', async () => {
    const top = await refused(load('images: []\nimages: [busybox:1]\n'), 'MANIFEST_INVALID')
    expect(top.message).toMatch(/stack\.yaml:5:1: .*unique/)
    const inside = await refused(
      load('files:\n  - url: https://x.example/a\n    url: https://x.example/b\n'),
      'MANIFEST_INVALID',
    )
    expect(inside.message).toMatch(/stack\.yaml:6:5/)
  })

  it.each([
    '!!js/function "function(){}"',
    '!!python/object/apply:os.system ["id"]',
    '!ruby/object:Gem::Installer {}',
    '!!binary aGk=',
  ])('fault 59: the tag %s', async value => {
    const error = await refused(load(`collisions:\n  a: ${value}\n`), 'MANIFEST_INVALID')
    expect(error.message).toMatch(/stack\.yaml:5:6: .*tag/i)
  })

  it('fault 59: keys that would change objects', async () => {
    const error = await refused(load('__proto__: {polluted: true}\n'), 'MANIFEST_INVALID')
    expect(error.message).toContain('unknown key "__proto__"')
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })

  it('fault 59: a second document, a merge key, values of other types', async () => {
    await refused(load('---\nname: other\n'), 'MANIFEST_INVALID')
    await refused(load('<<: {name: other}\n'), 'MANIFEST_INVALID')
    await refused(load('images: {a: b}\n'), 'MANIFEST_INVALID')
    await refused(load('collisions: [a]\n'), 'MANIFEST_INVALID')
  })

  it.each(['[', '{a: ', '- '])('fault 59: nesting without end of %j', async opening => {
    const started = performance.now()
    await refused(load(`images: ${opening.repeat(20_000)}\n`), 'MANIFEST_INVALID')
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  it('fault 59: a file of 20 MB', async () => {
    const folder = await folderWith({
      'stack.yaml': `${head}images:\n${'  - busybox:1\n'.repeat(1_500_000)}`,
      'small.yaml': `${head}images: [{list: big.txt}]\n`,
      'big.txt': 'busybox:1\n'.repeat(2_000_000),
    })
    expect((await refused(loadManifest(join(folder, 'stack.yaml')), 'MANIFEST_INVALID')).message).toContain(
      'larger than',
    )
    expect((await refused(loadManifest(join(folder, 'small.yaml')), 'MANIFEST_INVALID')).item).toMatch(
      /big\.txt$/,
    )
  })

  it('fault 59: a device as manifest', async () => {
    expect((await refused(loadManifest('/dev/zero'), 'MANIFEST_INVALID')).message).toContain('larger than')
  })
})
