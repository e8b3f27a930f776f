import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { beforeEach, describe, expect, it } from 'vitest'
import { MemoryStore } from '../../../src/content/memory-store.ts'
import { digestOf } from '../../../src/core/digest.ts'
import { packet } from '../../../src/kinds/git/pkt-line.ts'
import type { SiteContent } from '../../../src/site/content.ts'
import { openSiteKey, type SiteKey } from '../../../src/site/site-key.ts'
import { type TestContext, testContext } from '../support/context.ts'
import { git, repository, type TestRepository, temporary } from './support/repository.ts'
import { lock } from './support/resolve.ts'
import { bundleOf, serveContents } from './support/site.ts'

const run = promisify(execFile)

let context: TestContext
let key: SiteKey
beforeEach(async () => {
  context = await testContext()
  key = await openSiteKey({ folder: temporary(), now: () => new Date() })
})

const serving = (...contents: SiteContent[]) => serveContents(contents, key)

/** A stock client: no configuration but what the test passes. */
async function client(args: readonly string[], { smart = true, cwd = '/' } = {}): Promise<string> {
  const env = {
    PATH: process.env['PATH'],
    HOME: '/nonexistent',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    ...(smart ? {} : { GIT_SMART_HTTP: '0' }),
  }
  const { stdout } = await run('git', [...args], { env, cwd })
  return stdout.replace(/\n$/, '')
}

const three = (): TestRepository & { commits: string[] } => {
  const upstream = repository()
  const commits = [1, 2, 3].map(n =>
    upstream.commit({ [`f${n}`]: `${n}`, 'charts/values.yaml': `n: ${n}\n` }),
  )
  upstream.git('tag', '-a', 'v1', '-m', 'the first')
  upstream.push('--tags')
  return { ...upstream, commits }
}

const versions = ['0', '1', '2'] as const
const protocol = (version: string) => ['-c', `protocol.version=${version}`]

describe('a repository on the site', () => {
  it.each([...versions, 'dumb'])('is cloned with its whole history (protocol %s)', async version => {
    const upstream = three()
    const locked = await lock(upstream.url, 'main', { context, history: 'full' })
    const { url } = await serving(await bundleOf([locked], context))
    const smart = version !== 'dumb'
    for (const name of smart ? ['a', 'a.git', 'a/'] : ['a']) {
      const folder = join(temporary(), 'clone')
      await client([...protocol(smart ? version : '0'), 'clone', '--quiet', `${url}/git/${name}`, folder], {
        smart,
      })
      expect(git(folder, ['rev-list', 'HEAD']).split('\n')).toEqual(upstream.commits.toReversed())
      expect(git(folder, ['symbolic-ref', 'HEAD'])).toBe('refs/heads/main')
      expect(git(folder, ['status', '--porcelain'])).toBe('')
      expect(git(folder, ['fsck', '--full', '--strict'])).toBe('')
      expect(await readFile(join(folder, 'charts/values.yaml'), 'utf8')).toBe('n: 3\n')
    }
  })

  it.each(versions)('is cloned where its history is cut (protocol %s)', async version => {
    const upstream = three()
    const { url } = await serving(await bundleOf([await lock(upstream.url, 'main', { context })], context))
    for (const depth of [[], ['--depth=1'], ['--depth=5'], ['--single-branch', '--no-tags']]) {
      const folder = join(temporary(), 'clone')
      await client([...protocol(version), 'clone', '--quiet', ...depth, `${url}/git/a`, folder])
      expect(git(folder, ['rev-list', 'HEAD'])).toBe(upstream.commits[2])
      expect(git(folder, ['rev-parse', '--is-shallow-repository'])).toBe('true')
      expect(git(folder, ['fsck', '--full', '--strict'])).toBe('')
    }
  })

  it.each(versions)(
    'with its whole history gives one commit with --depth 1, and the rest later (protocol %s)',
    async version => {
      const upstream = three()
      const locked = await lock(upstream.url, 'main', { context, history: 'full' })
      const { url } = await serving(await bundleOf([locked], context))
      const folder = join(temporary(), 'clone')
      await client([...protocol(version), 'clone', '--quiet', '--depth=1', `${url}/git/a`, folder])
      expect(git(folder, ['rev-list', 'HEAD'])).toBe(upstream.commits[2])
      expect(git(folder, ['rev-parse', '--is-shallow-repository'])).toBe('true')
      await client([...protocol(version), 'fetch', '--quiet', '--unshallow'], { cwd: folder })
      expect(git(folder, ['rev-list', 'HEAD']).split('\n')).toHaveLength(3)
      expect(git(folder, ['fsck', '--full', '--strict'])).toBe('')
    },
  )

  it.each(versions)('is updated from the next bundle (protocol %s)', async version => {
    const upstream = three()
    const first = await bundleOf([await lock(upstream.url, 'main', { context, history: 'full' })], context)
    const folder = join(temporary(), 'clone')
    {
      const { url } = await serving(first)
      await client(['clone', '--quiet', `${url}/git/a`, folder])
    }
    const commit = upstream.commit({ new: 'new' })
    const second = await bundleOf([await lock(upstream.url, 'main', { context, history: 'full' })], context)
    // both bundles are served: the newer one decides
    const { url } = await serving(first, second)
    await client([...protocol(version), 'pull', '--quiet', '--ff-only', `${url}/git/a`, 'main'], {
      cwd: folder,
    })
    expect(git(folder, ['rev-parse', 'HEAD'])).toBe(commit)
    expect(git(folder, ['fsck', '--full', '--strict'])).toBe('')
  })

  it.each(versions)('shows the tag or the commit that was locked (protocol %s)', async version => {
    const upstream = three()
    const items = [
      await lock(upstream.url, 'v1', { context, name: 'tag' }),
      await lock(upstream.url, upstream.commits[1]!, { context, name: 'commit', history: 'full' }),
      await lock(upstream.url, upstream.commits[1]!, { context, name: 'cut' }),
    ]
    const { url } = await serving(await bundleOf(items, context))
    const list = async (name: string) =>
      (await client([...protocol(version), 'ls-remote', `${url}/git/${name}`]))
        .split('\n')
        .map(line => line.split('\t'))
    const tag = upstream.git('rev-parse', 'v1')
    expect(await list('tag')).toEqual([
      [upstream.commits[2], 'HEAD'],
      [upstream.commits[2], 'refs/heads/bundle'],
      [tag, 'refs/tags/v1'],
      [upstream.commits[2], 'refs/tags/v1^{}'],
    ])
    expect(await list('commit')).toEqual([
      [upstream.commits[1], 'HEAD'],
      [upstream.commits[1], 'refs/heads/bundle'],
    ])
    const folder = join(temporary(), 'clone')
    await client([...protocol(version), 'clone', '--quiet', '--branch', 'v1', `${url}/git/tag`, folder])
    expect(git(folder, ['describe', '--exact-match'])).toBe('v1')
    const detached = join(temporary(), 'clone')
    await client([...protocol(version), 'clone', '--quiet', `${url}/git/commit`, detached])
    expect(git(detached, ['rev-parse', 'HEAD'])).toBe(upstream.commits[1])
    expect(git(detached, ['symbolic-ref', 'HEAD'])).toBe('refs/heads/bundle')
    for (const [name, depth] of [
      ['commit', []],
      ['cut', ['--depth=1']],
    ] as const) {
      const fetched = temporary()
      git(fetched, ['init', '--quiet'])
      const address = `${url}/git/${name}`
      await client([...protocol(version), 'fetch', '--quiet', ...depth, address, upstream.commits[1]!], {
        cwd: fetched,
      })
      expect(git(fetched, ['rev-parse', 'FETCH_HEAD'])).toBe(upstream.commits[1])
    }
  })

  it('is a repository on disk, too, when the bundle is unpacked', async () => {
    const upstream = three()
    const locked = await lock(upstream.url, 'main', { context })
    const content = await bundleOf([locked], context)
    const site = await serving(content)
    const mount = site.mounts.find(({ prefix }) => prefix === '/git')
    expect([...(mount?.entries?.keys() ?? [])].filter(path => !path.includes('pack-'))).toEqual([
      'a/HEAD',
      'a/config',
      'a/info/refs',
      'a/objects/info/packs',
      'a/refs/heads/main',
      'a/shallow',
    ])
  })

  it('clones its submodules from the site where their addresses are relative', async () => {
    const root = temporary()
    const [sub, main] = ['sub', 'main'].map(name => repository({ name, root }))
    sub!.commit({ sub: 'sub' })
    main!.commit({ main: 'main' })
    main!.git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', sub!.url, 'modules/sub')
    main!.git('submodule', '--quiet', 'set-url', 'modules/sub', '../sub.git')
    main!.commit({})
    const locked = await lock(main!.url, 'main', { context, name: 'team/main', submodules: 'follow' })
    const { url } = await serving(await bundleOf([locked], context))
    const folder = join(temporary(), 'clone')
    await client(['clone', '--quiet', '--recurse-submodules', `${url}/git/team/main`, folder])
    expect(await readFile(join(folder, 'modules/sub/sub'), 'utf8')).toBe('sub')
  })

  it('takes no push, and says so', async () => {
    const upstream = three()
    const { url } = await serving(await bundleOf([await lock(upstream.url, 'main', { context })], context))
    const folder = join(temporary(), 'clone')
    await client(['clone', '--quiet', `${url}/git/a`, folder])
    git(folder, ['commit', '--quiet', '--allow-empty', '-m', 'mine'])
    await expect(client(['push', '--quiet'], { cwd: folder })).rejects.toThrow(/405/)
    const answer = await fetch(`${url}/git/a/git-receive-pack`, { method: 'POST', body: '0000' })
    expect([answer.status, await answer.text()]).toEqual([405, expect.stringContaining('reading only')])
  })
})

describe('the git server', () => {
  async function served(): Promise<{ url: string; commit: string }> {
    const upstream = three()
    const locked = await lock(upstream.url, 'main', { context, history: 'full' })
    const { url } = await serving(await bundleOf([locked], context))
    return { url: `${url}/git/a`, commit: locked.commit }
  }
  const post = (url: string, body: Uint8Array, headers: Record<string, string> = {}) =>
    fetch(`${url}/git-upload-pack`, { method: 'POST', body, headers })
  const message = (...lines: string[]) =>
    Buffer.concat(lines.map(line => (/^000[01]$/.test(line) ? Buffer.from(line) : packet(line))))

  it('refuses to give what it does not have', async () => {
    const { url } = await served()
    const unknown = 'f'.repeat(40)
    const requests: [Buffer, Record<string, string>][] = [
      [message(`want ${unknown} side-band-64k\n`, '0000', 'done\n'), {}],
      [
        message('command=fetch', '0001', `want ${unknown}\n`, 'done\n', '0000'),
        { 'git-protocol': 'version=2' },
      ],
    ]
    for (const [body, headers] of requests) {
      const answer = await post(url, body, headers)
      expect(await answer.text()).toMatch(/ERR upload-pack: not our ref f{40}/)
    }
  })

  it.each([
    ['nonsense', Buffer.from('nonsense')],
    ['a packet that is longer than the request', Buffer.from('ffffwant')],
    [
      'an unknown command',
      Buffer.concat([packet('command=object-info\n'), Buffer.from('0000')]),
      'version=2',
    ],
    ['compressed nonsense', Buffer.from('nonsense'), undefined, 'gzip'],
    ['an unknown encoding', Buffer.from('0000'), undefined, 'br'],
    ['a compressed bomb', gzipSync(Buffer.alloc(64 << 20)), undefined, 'gzip'],
    ['a large body', Buffer.alloc(9 << 20)],
  ])('answers %s with 400', async (_name, body, version?: string, encoding?: string) => {
    const { url } = await served()
    const headers = {
      ...(version === undefined ? {} : { 'git-protocol': version }),
      ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
    }
    expect((await post(url, body, headers)).status).toBe(400)
  })

  it('reads compressed requests', async () => {
    const { url, commit } = await served()
    const body = message(
      `want ${commit} side-band-64k\n`,
      '0000',
      ...Array(100).fill(`have ${'1'.repeat(40)}\n`),
      'done\n',
    )
    const plain = Buffer.from(await (await post(url, body)).arrayBuffer())
    const packed = await post(url, gzipSync(body), { 'content-encoding': 'gzip' })
    expect(Buffer.from(await packed.arrayBuffer())).toEqual(plain)
    expect(plain.toString('latin1')).toContain('PACK')
  })

  it('takes POST nowhere else', async () => {
    const { url } = await served()
    for (const path of ['', '/HEAD', '/info/refs', '/objects/info/packs', '/../../files/x'])
      expect((await fetch(`${url}${path}`, { method: 'POST', body: '0000' })).status, path).toBe(405)
    for (const method of ['PUT', 'DELETE', 'PATCH'])
      expect((await fetch(`${url}/git-upload-pack`, { method, body: '0000' })).status).toBe(405)
  })

  it('never sends the end of a damaged pack', async () => {
    const upstream = three()
    const locked = await lock(upstream.url, 'main', { context, history: 'full' })
    const content = await bundleOf([locked], context)
    const { digest, size } = locked.packs[0]!
    const open = content.open.bind(content)
    content.open = async (descriptor, range) => {
      if (descriptor.digest !== digest) return await open(descriptor, range)
      const chunks: Uint8Array[] = []
      for await (const chunk of (await open(descriptor)) as AsyncIterable<Uint8Array>)
        chunks.push(Buffer.from(chunk))
      const bytes = Buffer.concat(chunks)
      bytes[Math.floor(size / 2)]! ^= 1
      const store = new MemoryStore()
      const damaged = await store.push({ ...descriptor, digest: digestOf(bytes) }, Readable.from([bytes]))
      void damaged
      if (range !== undefined) return await store.open({ ...descriptor, digest: digestOf(bytes) }, range)
      return Readable.from(
        (async function* () {
          yield bytes
          throw new Error('the digest is wrong')
        })(),
      )
    }
    const { url } = await serving(content)
    const folder = join(temporary(), 'clone')
    await expect(client(['clone', '--quiet', `${url}/git/a`, folder])).rejects.toThrow()
  })
})
