import { chmod, mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openBundle } from '../../src/bundle/reader.ts'
import { readTree } from '../../src/content/tree.ts'
import { digestOf } from '../../src/core/digest.ts'
import { annotationKeys } from '../../src/core/media-types.ts'
import { treeKind } from '../../src/kinds/tree/index.ts'
import { buildFrom, layoutOf, lockOf, stackOf } from '../assemble/support.ts'
import { refused, temporaryFolder, testContext } from '../kinds/support/context.ts'
import { withoutPrivileges } from '../without-privileges.ts'

const lock = async (folder: string, exclude: string[] = []) =>
  await treeKind.resolve(
    { at: 'stack.yaml:5:5', name: 't', from: 'deploy', folder, exclude },
    await testContext(),
  )

describe('malicious folders', () => {
  it('fault 70: 3,000 files in 300 folders with Korean names are one tree, reproducibly', async () => {
    const folder = await temporaryFolder()
    const content = (i: number) => (i % 10 === 0 ? '' : `파일 ${i % 50}`)
    for (let dir = 0; dir < 300; dir++) {
      const path = join(folder, `배포 ${dir % 3}`, `폴더-${dir}`)
      await mkdir(path, { recursive: true })
      await Promise.all(
        Array.from({ length: 10 }, (_, i) => writeFile(join(path, `값 ${i}.yaml`), content(dir * 10 + i))),
      )
    }
    const started = performance.now()
    const locked = await lock(folder)
    expect(performance.now() - started).toBeLessThan(10_000)
    expect(locked.files).toHaveLength(3_000)
    expect(await lock(folder)).toEqual(locked)
    // each content once, even where many files share it
    const [artifact] = treeKind.assemble([locked])
    const contents = new Set(artifact!.blobs.map(blob => blob.descriptor.digest))
    expect(contents.size).toBe(new Set(Array.from({ length: 3_000 }, (_, i) => content(i))).size)
  })

  it('fault 81: Korean paths arrive in the bundle unchanged, composed or not', async () => {
    // the same syllable, composed and decomposed: two names on Linux
    const files = { 'deploy/한.txt': 'nfc', [`deploy/${'한'.normalize('NFD')}.txt`]: 'nfd', 'deploy/🚀': '' }
    const stack = await stackOf('trees: [{name: t, from: deploy}]\n', files)
    const bundle = await openBundle(await buildFrom(stack, await lockOf(stack)))
    try {
      const roots = bundle.roots().filter(root => root.annotations?.[annotationKeys.kind] === 'tree')
      const entries = await readTree(bundle, roots)
      expect(
        [...entries].map(([path, { descriptor }]) => [`deploy/${path}`, descriptor.digest]).sort(),
      ).toEqual(
        Object.entries(files)
          .map(([path, text]) => [path, digestOf(text)])
          .sort(),
      )
    } finally {
      await bundle.close()
    }
  })

  it('an unreadable file and folder are refused by name', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'sub'))
    await writeFile(join(folder, 'sub/secret'), 'x')
    await chmod(folder, 0o755)
    await chmod(join(folder, 'sub/secret'), 0)
    const context = await testContext()
    const request = { at: 'stack.yaml:5:5', name: 't', from: 'deploy', folder, exclude: [] }
    const refused = () =>
      withoutPrivileges(() => treeKind.resolve(request, context).catch((reason: unknown) => reason))
    expect(await refused()).toMatchObject({
      code: 'PERMISSION',
      exitCode: 7,
      item: join(folder, 'sub/secret'),
    })
    await chmod(join(folder, 'sub'), 0)
    expect(await refused()).toMatchObject({
      code: 'PERMISSION',
      item: expect.stringContaining(join(folder, 'sub')),
    })
  })

  it('links in a circle stay links, and are not followed', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'a'))
    await symlink('b', join(folder, 'a/c'))
    await symlink('c', join(folder, 'a/b'))
    await symlink('.', join(folder, 'a/self'))
    expect((await lock(folder)).files).toEqual([
      { path: 'a/b', target: 'c' },
      { path: 'a/c', target: 'b' },
      { path: 'a/self', target: '.' },
    ])
  })

  it('fault 70: a path over 1,024 bytes is refused by name', async () => {
    const folder = await temporaryFolder()
    const name = '가'.repeat(80)
    const path = [name, name, name, name, name].join('/')
    await mkdir(join(folder, path), { recursive: true })
    await writeFile(join(folder, path, 'x'), 'x')
    const error = await lock(folder).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'MANIFEST_INVALID', message: expect.stringContaining('too long') })
  })

  it('patterns are globs, not regular expressions, and take bounded time', async () => {
    const folder = await temporaryFolder()
    for (const name of ['a.b', 'axb', '(a+)+$', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', '[x]', 'x'])
      await writeFile(join(folder, name), name)
    const paths = async (...exclude: string[]) => (await lock(folder, exclude)).files.map(({ path }) => path)
    expect(await paths('a.b', '(a+)+$', '\\[x]')).toEqual([
      'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!',
      'axb',
      'x',
    ])
    expect(await paths('*')).toEqual([])
    const started = performance.now()
    await paths(`${'*a'.repeat(12)}b`, `${'**'.repeat(12)}b`)
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  it('a file that grows while it is hashed is never locked with a wrong digest', async () => {
    const stack = await stackOf('trees: [{name: t, from: deploy}]\n', { 'deploy/log': 'x'.repeat(3_000_000) })
    const path = join(stack.folder, 'deploy/log')
    const growing = setInterval(() => void writeFile(path, 'y'.repeat(4096), { flag: 'a' }), 1)
    let locked: Awaited<ReturnType<typeof lockOf>>
    try {
      locked = await lockOf(stack)
    } finally {
      clearInterval(growing)
    }
    await writeFile(path, 'end', { flag: 'a' })
    await refused(buildFrom(stack, locked), 'LOCK_OUT_OF_DATE')
    const [tree] = locked.items['tree'] as { files?: { digest: string; size: number }[] }[]
    const [file] = tree!.files!
    expect(digestOf((await readFile(path)).subarray(0, file!.size))).toBe(file!.digest)
  })

  it('a file that is replaced by a link out of the folder brings in nothing', async () => {
    const stack = await stackOf('trees: [{name: t, from: deploy}]\n', {
      'deploy/conf': 'the conf',
      secret: 'shh, sec',
    })
    const locked = await lockOf(stack)
    await rename(join(stack.folder, 'deploy/conf'), join(stack.folder, 'old'))
    await symlink('../secret', join(stack.folder, 'deploy/conf'))
    await refused(buildFrom(stack, locked), 'LOCK_OUT_OF_DATE')
    expect(layoutOf(locked).entries.some(({ digest }) => digest === digestOf('shh, sec'))).toBe(false)
  })
})
