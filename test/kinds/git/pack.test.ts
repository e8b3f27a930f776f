import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { LayoutStore } from '../../../src/content/layout-store.ts'
import { objectsOfCommit, objectsOfHistory, readObjects } from '../../../src/kinds/git/objects.ts'
import { writePack } from '../../../src/kinds/git/pack.ts'
import { storedZlib } from '../../../src/kinds/git/stored-zlib.ts'
import { git, repository, temporary } from './support/repository.ts'

const { signal } = new AbortController()

async function packOf(bare: string, ids: string[]) {
  const cache = await LayoutStore.open(join(temporary(), 'cache'))
  const pack = await writePack(readObjects(ids, { repository: bare, signal }), { count: ids.length, cache })
  const pathOf = ({ digest }: { digest: `sha256:${string}` }) => cache.pathOf({ digest })
  return { pack, file: pathOf(pack), index: pathOf(pack.index) }
}

describe('a pack', () => {
  it('is a function of its objects, and git makes the same index of it', async () => {
    const upstream = repository()
    const random = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7919) % 251))
    upstream.commit({ 'a.txt': 'text\n'.repeat(1000), empty: '', 'bin/random': random, link: '→ a.txt' })
    const commit = upstream.commit({ 'a.txt': 'other\n' })
    const place = { repository: upstream.bare, signal }
    const ids = await objectsOfHistory(commit, place)
    const first = await packOf(upstream.bare, ids)
    // packed by git in another way, the objects are the same
    git(upstream.bare, ['repack', '-adf', '--depth=50', '--window=50'])
    const second = await packOf(upstream.bare, ids)
    expect(second.pack).toEqual(first.pack)
    const copy = join(temporary(), `pack-${first.pack.id}.pack`)
    await copyFile(first.file, copy)
    git('/', ['index-pack', '--strict', '-o', `${copy}.idx`, copy])
    expect(await readFile(`${copy}.idx`)).toEqual(await readFile(first.index))
    expect(await objectsOfCommit(commit, place)).toHaveLength(7)
  })

  it('has these bytes, on any machine and with any git', async () => {
    const upstream = repository()
    const commit = upstream.commit({ 'a.txt': 'text\n'.repeat(1000), 'b/c': 'x' }, 'the first')
    const { pack } = await packOf(
      upstream.bare,
      await objectsOfCommit(commit, { repository: upstream.bare, signal }),
    )
    expect(pack).toMatchInlineSnapshot(`
      {
        "digest": "sha256:8555706a1deeec514f9c460d0aa937f489449ae2f5142433fbd8cf5579e265f2",
        "id": "1375a97aa2bf06426c00b4d3ce7ace64aee457e3",
        "index": {
          "digest": "sha256:222bc11e2e683cfe75654840c502460dda5d4142080cd7b0a96ba060392ef84b",
          "size": 1212,
        },
        "objects": 5,
        "size": 304,
      }
    `)
  })

  it('stores large objects in blocks that do not depend on how the content arrives', async () => {
    const content = Buffer.from(Array.from({ length: 200_001 }, (_, i) => i % 256))
    async function* chunks(size: number) {
      for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size)
    }
    const collect = async (stream: AsyncIterable<Buffer>) => {
      const parts: Buffer[] = []
      for await (const part of stream) parts.push(Buffer.from(part))
      return Buffer.concat(parts)
    }
    const one = await collect(storedZlib(chunks(200_001), content.length))
    expect(await collect(storedZlib(chunks(977), content.length))).toEqual(one)
    expect(inflateSync(one)).toEqual(content)
    const exact = content.subarray(0, 2 * 65_535)
    async function* whole() {
      yield exact
    }
    expect(inflateSync(await collect(storedZlib(whole(), exact.length)))).toEqual(exact)
    async function* none() {}
    expect(inflateSync(await collect(storedZlib(none(), 0)))).toEqual(Buffer.alloc(0))
  })

  it('of a large file is read by git', async () => {
    const upstream = repository()
    const commit = upstream.commit({ large: Buffer.alloc(20 << 20, 'large ') })
    const ids = await objectsOfCommit(commit, { repository: upstream.bare, signal })
    const { pack, file } = await packOf(upstream.bare, ids)
    const folder = temporary()
    git(folder, ['init', '--quiet', '--bare'])
    await writeFile(join(folder, 'x.pack'), await readFile(file))
    git(folder, ['unpack-objects', '-q', '--strict'], await readFile(file))
    expect(git(folder, ['cat-file', '-s', `${commit}:large`])).toBe(String(20 << 20))
    expect(pack.size).toBeGreaterThan(20 << 20)
  })

  it('is refused where the repository is damaged', async () => {
    const upstream = repository()
    upstream.commit({ a: 'a' })
    const lost = 'f'.repeat(40)
    await expect(packOf(upstream.bare, [lost])).rejects.toMatchObject({
      code: 'UPSTREAM_INVALID',
      item: lost,
    })
  })
})
