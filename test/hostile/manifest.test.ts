import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { AirgapError } from '../../src/core/errors.ts'
import { loadManifest } from '../../src/manifest/load.ts'
import { folderWith, head, load, refused } from '../manifest/support.ts'

async function readOrRefused(loading: Promise<unknown>): Promise<void> {
  const error = await loading.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error === undefined) return
  if (!(error instanceof AirgapError)) throw error
  expect(error.exitCode, error.message).toBe(2)
  expect(error.item).toBeTruthy()
}

describe('fault 59: malicious YAML', () => {
  it('fault 59: exponential aliases', async () => {
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

  it('fault 59: a few aliases are accepted', async () => {
    const manifest = await load(
      'debs:\n  - &d {name: a, archive: "http://x.example", suite: s, keys: &k [k.asc], packages: &p [jq]}\n  - {name: b, archive: "http://x.example", suite: s, keys: *k, packages: *p}\n',
    )
    expect(manifest.debs).toHaveLength(2)
  })

  it('fault 59: duplicate keys, at the top and nested', async () => {
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

  it('fault 59: keys that would change prototypes', async () => {
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

  it.each(['[', '{a: ', '- '])('fault 59: deep nesting of %j', async opening => {
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

  it('fault 59: very many keys, aliases and mistakes take bounded time', async () => {
    const many = (line: (i: number) => string) => Array.from({ length: 15_000 }, (_, i) => line(i)).join('')
    for (const text of [
      many(i => `k${i}: 1\n`),
      `images:\n${many(i => `- &a${i} b\n- *a${i}\n`)}`,
      `images:\n${many(() => '- {r: x}\n')}`,
      `images: ["${'a'.repeat(900_000)}"]\n`,
    ]) {
      const started = performance.now()
      const error = await refused(load(text), 'MANIFEST_INVALID')
      expect(error.message.length).toBeLessThan(30_000)
      expect(performance.now() - started).toBeLessThan(8_000)
    }
  })

  it('fault 59: any text is read or refused (property)', async () => {
    const folder = await folderWith({ 'l.txt': '' })
    const path = join(folder, 'stack.yaml')
    const scrap = fc.constantFrom(
      'images:',
      'debs:',
      'name: ',
      '  - ',
      '- ',
      '\n',
      ' ',
      '\t',
      '{',
      '}',
      '[',
      ']',
      ',',
      ': ',
      '? ',
      '&a ',
      '*a',
      '!!set ',
      '!x ',
      '|',
      '>-',
      '"',
      "'",
      '#',
      '%YAML 1.1',
      '---',
      '...',
      '<<',
      '\u0000',
      'list: l.txt',
      'ref: busybox:1',
      '\r',
      '\ud800',
      '__proto__',
      'constructor',
      '~',
      '1e999',
      '0x1f',
    )
    const text = fc.oneof(
      fc.string({ maxLength: 60, unit: 'binary' }),
      fc.array(scrap).map(parts => parts.join('')),
    )
    await fc.assert(
      fc.asyncProperty(fc.boolean(), text, async (headed, body) => {
        await writeFile(path, headed ? head + body : body)
        await readOrRefused(loadManifest(path))
      }),
      { numRuns: 400 },
    )
  })

  it('fault 59: any values are read or refused (property)', async () => {
    const folder = await folderWith({ 'l.txt': 'busybox:1\n' })
    const path = join(folder, 'stack.yaml')
    const key = fc.constantFrom(
      'images',
      'charts',
      'files',
      'debs',
      'trees',
      'sources',
      'collisions',
      'platforms',
      'firstUse',
      'list',
      'ref',
      'from',
      'to',
      'url',
      'path',
      'name',
      'repo',
      'version',
      'sha256',
      'keys',
      'packages',
      'lists',
      'archive',
      'suite',
      'components',
      'exclude',
      '__proto__',
      'toString',
    )
    const { value } = fc.letrec(tie => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom('busybox:1', 'l.txt', 'https://x.example/a', 'oci://x.example', 'linux/amd64', '.'),
        fc.string({ maxLength: 8 }),
        fc.double(),
        fc.constant(null),
        fc.boolean(),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(key, tie('value'), { maxKeys: 5 }),
      ),
    }))
    await fc.assert(
      fc.asyncProperty(fc.dictionary(key, value, { maxKeys: 4 }), async body => {
        await writeFile(path, stringify({ apiVersion: 'airgap/v1', name: 'a', version: '1', ...body }))
        await readOrRefused(loadManifest(path))
      }),
      { numRuns: 400 },
    )
  })

  it('fault 59: a device as the manifest', async () => {
    expect((await refused(loadManifest('/dev/zero'), 'MANIFEST_INVALID')).message).toContain('larger than')
  })
})
