import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { extractTree } from '../../../src/bundle/extract-tree.ts'
import { MemoryStore } from '../../../src/content/memory-store.ts'
import { readTree } from '../../../src/content/tree.ts'
import { digestOf } from '../../../src/core/digest.ts'
import { silentProgress } from '../../../src/core/progress.ts'
import { layDown } from '../../../src/install/lay-down.ts'
import { treeKind } from '../../../src/kinds/tree/index.ts'
import { expectKindContract, temporaryFolder, testContext } from '../support/context.ts'

async function write(folder: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
}

async function lock(folder: string, exclude: string[] = []) {
  const request = { at: 'stack.yaml:5:5', name: 'deploy', from: 'deploy', folder, exclude }
  return await treeKind.resolve(request, await testContext())
}

const paths = (locked: Awaited<ReturnType<typeof lock>>) => locked.files.map(file => file.path)

describe('a folder', () => {
  it('is locked file by file, sorted, with modes and links', async () => {
    const folder = await temporaryFolder()
    await write(folder, { 'b/run.sh': '#!/bin/sh\n', 'a.txt': 'a', 'b/z': '', '.hidden': 'h' })
    await chmod(join(folder, 'b/run.sh'), 0o755)
    await chmod(join(folder, 'a.txt'), 0o600)
    await symlink('../a.txt', join(folder, 'b/link'))
    await symlink('not-yet-there', join(folder, 'dangling'))
    const locked = await lock(folder)
    const file = (path: string, mode: string, text: string) => ({
      path,
      mode,
      digest: digestOf(text),
      size: text.length,
    })
    expect(locked).toEqual({
      name: 'deploy',
      from: 'deploy',
      files: [
        file('.hidden', '100644', 'h'),
        file('a.txt', '100644', 'a'),
        { path: 'b/link', target: '../a.txt' },
        file('b/run.sh', '100755', '#!/bin/sh\n'),
        file('b/z', '100644', ''),
        { path: 'dangling', target: 'not-yet-there' },
      ],
    })
    const [artifact] = await expectKindContract(treeKind, locked)
    expect(artifact?.root.annotations).toMatchObject({
      'org.opencontainers.image.ref.name': 'tree/deploy',
      'io.astrago.airgap.kind': 'tree',
    })
    const sources = artifact?.blobs.flatMap(blob => blob.sources)
    expect(sources).toContainEqual({ type: 'path', path: 'deploy/b/run.sh' })
  })

  it('has links as people write them, and what is locked can be laid down on the site', async () => {
    const folder = await temporaryFolder()
    await write(folder, { 'v1/values.yaml': 'a: 1\n' })
    const links = { current: './v1', again: 'v1/', 'v1/same': './/values.yaml', 'v1/up': './../current' }
    for (const [path, target] of Object.entries(links)) await symlink(target, join(folder, path))
    const locked = await lock(folder)
    const [artifact] = treeKind.assemble([locked])
    const store = new MemoryStore()
    for (const { descriptor, bytes } of artifact!.inline) await store.push(descriptor, Readable.from([bytes]))
    for (const { descriptor } of artifact!.blobs)
      await store.push(descriptor, Readable.from([Buffer.from('a: 1\n')]))
    const entries = await readTree(store, [artifact!.root])
    const site = await temporaryFolder()
    const { signal } = new AbortController()
    const place = { folder: join(site, 'laid'), record: join(site, 'record') }
    await layDown(store, entries, { ...place, progress: silentProgress, signal })
    await extractTree(store, entries, { folder: join(site, 'extracted') })
    for (const path of ['laid/current/values.yaml', 'extracted/again/same', 'laid/v1/up/values.yaml'])
      expect(await readFile(join(site, path), 'utf8')).toBe('a: 1\n')
  })

  it('that is empty, or a link to a folder, is a tree, too', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'real/empty'), { recursive: true })
    await symlink('real', join(folder, 'link'))
    expect((await lock(join(folder, 'link'))).files).toEqual([])
    await expectKindContract(treeKind, await lock(join(folder, 'real')))
  })

  it('never carries version control, and leaves out what is excluded', async () => {
    const folder = await temporaryFolder()
    await write(folder, {
      '.git/config': 'x',
      'sub/.git/HEAD': 'x',
      'keep.txt': 'k',
      'a.bak': 'x',
      'sub/b.bak': 'x',
      'sub/deep/c.log': 'x',
      'sub/deep/keep': 'k',
      'node_modules/x/y': 'x',
      'sub/a+b(c).txt': 'x',
    })
    const locked = await lock(folder, ['*.bak', 'sub/**.log', 'node_modules/', 'sub/a+b(c).txt'])
    expect(paths(locked)).toEqual(['keep.txt', 'sub/deep/keep'])
  })

  it('has the same lock wherever it stands (property)', async () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_가-힣 -]{1,12}$/).filter(text => text.trim() !== '')
    const tree = fc.dictionary(
      fc.tuple(name, name).map(([a, b]) => `d${a}/${b}`),
      fc.string(),
      { maxKeys: 8 },
    )
    await fc.assert(
      fc.asyncProperty(tree, async files => {
        const [one, two] = [await temporaryFolder(), await temporaryFolder()]
        await write(one, files)
        await write(two, Object.fromEntries(Object.entries(files).reverse()))
        const locked = await lock(one)
        expect(locked).toEqual(await lock(two))
        expect(paths(locked)).toEqual(Object.keys(files).sort())
        for (const file of locked.files)
          expect('digest' in file && file.digest).toBe(digestOf(Buffer.from(files[file.path]!)))
      }),
      { numRuns: 20 },
    )
  })
})

describe('what cannot be carried', () => {
  it.each([
    ['/etc/passwd', 'leaves'],
    ['..', 'leaves'],
    ['../../x', 'leaves'],
    ['a/../../../x', 'leaves'],
    ['a/l/../x', 'goes up'],
    ['x\u001b[2Jy', 'control'],
    ['x/'.repeat(600), 'too long'],
  ])('a link to %s', async (target, what) => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'sub'))
    await symlink(target, join(folder, target === '..' ? 'link' : 'sub/link'))
    const error = await refusedTree(folder)
    expect(error.message).toContain(what)
    expect(error.item).toContain('link (stack.yaml:5:5)')
  })

  const refusedTree = async (folder: string, exclude: string[] = []) => {
    const error = await lock(folder, exclude).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toMatchObject({ code: 'MANIFEST_INVALID', next: expect.stringContaining('exclude') })
    return error as { message: string; item: string }
  }

  it('a pipe, a socket', async () => {
    const folder = await temporaryFolder()
    execFileSync('mkfifo', [join(folder, 'pipe')])
    expect((await refusedTree(folder)).item).toContain('pipe')
    expect((await lock(folder, ['pipe'])).files).toEqual([])
    const server = createServer().listen(join(folder, 'socket'))
    onTestFinished(() => void server.close())
    await new Promise(resolve => server.once('listening', resolve))
    expect((await refusedTree(folder, ['pipe'])).item).toContain('socket')
  })

  it.each([['new\nline'], ['back\\slash'], ['tab\there'], [Buffer.from([0x66, 0xff])]])(
    'the name %j',
    async name => {
      const folder = await temporaryFolder()
      await writeFile(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name)]), 'x')
      expect((await refusedTree(folder)).message).toContain('name')
    },
  )

  it('a folder that is not there', async () => {
    const folder = await temporaryFolder()
    const error = await lock(join(folder, 'none')).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'FILE_NOT_FOUND', item: expect.stringContaining('stack.yaml:5:5') })
  })
})
