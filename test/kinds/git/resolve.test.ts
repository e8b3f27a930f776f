import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { AirgapError } from '../../../src/core/errors.ts'
import { assembleGit } from '../../../src/kinds/git/assemble.ts'
import { gitKind } from '../../../src/kinds/git/index.ts'
import { expectCleanCache, expectKindContract, refused, testContext } from '../support/context.ts'
import { git, repository, type TestRepository, temporary } from './support/repository.ts'
import { createAgain, lock } from './support/resolve.ts'
import { serveRepositories } from './support/server.ts'

const three = (): TestRepository & { commits: string[] } => {
  const upstream = repository()
  const commits = [1, 2, 3].map(n =>
    upstream.commit({ [`f${n}`]: `${n}`, 'charts/values.yaml': `n: ${n}\n` }),
  )
  return { ...upstream, commits }
}

describe('resolving a repository', () => {
  it('finds branches, tags, the default branch and commits', async () => {
    const upstream = three()
    upstream.git('tag', '-a', 'v1', '-m', 'the first', upstream.commits[0]!)
    upstream.git('tag', 'light', upstream.commits[1]!)
    upstream.git('branch', 'release/1.x', upstream.commits[1]!)
    upstream.push('--tags', 'release/1.x')
    const found = async (ref: string) => {
      const { commit, tag, ref: name } = await lock(upstream.url, ref)
      return [name, commit, tag]
    }
    const [first, second, third] = upstream.commits
    const tag = upstream.git('rev-parse', 'v1')
    expect(await found('main')).toEqual(['refs/heads/main', third, undefined])
    expect(await found('HEAD')).toEqual(['refs/heads/main', third, undefined])
    expect(await found('refs/heads/release/1.x')).toEqual(['refs/heads/release/1.x', second, undefined])
    expect(await found('v1')).toEqual(['refs/tags/v1', first, tag])
    expect(await found('light')).toEqual(['refs/tags/light', second, undefined])
    expect(await found(first!)).toEqual([undefined, first, undefined])
  })

  it('carries the commit alone or all its ancestors, as the manifest says', async () => {
    const upstream = three()
    const shallow = await lock(upstream.url, 'main')
    expect([shallow.cut, shallow.packs.length]).toEqual([true, 1])
    const full = await lock(upstream.url, 'main', { history: 'full' })
    expect([full.cut, full.packs.length]).toEqual([undefined, 2])
    // the commit's own objects are stored once, whatever the history
    expect(full.packs[0]).toEqual(shallow.packs[0])
    const root = await lock(upstream.url, upstream.commits[0]!)
    expect(root.cut).toBeUndefined()
    for (const locked of [shallow, full, root]) await expectKindContract(gitKind, locked)
  })

  it('gives the same packs on another machine, and leaves nothing but content in the cache', async () => {
    const upstream = three()
    upstream.git('tag', '-a', 'v1', '-m', 'the first')
    upstream.push('--tags')
    const context = await testContext()
    for (const [ref, history] of [
      ['main', 'shallow'],
      ['v1', 'full'],
      [upstream.commits[1]!, 'full'],
    ] as const)
      await createAgain(await lock(upstream.url, ref, { history, context }))
    await expectCleanCache(context)
  })

  it('reports a ref that does not exist, and one that is ambiguous', async () => {
    const upstream = three()
    upstream.git('tag', 'main')
    upstream.push('--tags')
    expect((await refused(lock(upstream.url, 'none'), 'NOT_FOUND_UPSTREAM')).item).toContain('stack.yaml:5:5')
    await refused(lock(upstream.url, upstream.commits[0]!.slice(0, 7)), 'NOT_FOUND_UPSTREAM')
    const error = await lock(upstream.url, 'main').catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'UNRESOLVABLE',
      next: expect.stringContaining('refs/heads/main or refs/tags/main'),
    })
    await refused(lock(upstream.url, 'a'.repeat(40)), 'NOT_FOUND_UPSTREAM')
  })

  it('refuses a tag of a file, and a repository with SHA-256 names', async () => {
    const upstream = three()
    upstream.git('tag', 'blob', `${upstream.commits[0]}:f1`)
    upstream.push('--tags')
    await refused(lock(upstream.url, 'blob'), 'UNSUPPORTED')
    const folder = join(temporary(), 'sha256.git')
    git('/', ['init', '--quiet', '--bare', '--object-format=sha256', '--initial-branch=main', folder])
    const tree = git(folder, ['mktree'])
    const commit = git(folder, ['commit-tree', tree, '-m', 'x'])
    git(folder, ['update-ref', 'refs/heads/main', commit])
    for (const ref of ['main', 'HEAD'])
      expect((await refused(lock(`file://${folder}`, ref), 'UNSUPPORTED')).message).toContain('SHA-256')
  })

  it('reads 10,000 files in seconds', { timeout: 120_000 }, async () => {
    const upstream = repository()
    const files = Array.from({ length: 10_000 }, (_, i) => {
      const content = `content ${i}\n`.repeat(20)
      return `M 100644 inline d${i % 100}/f${i}\ndata ${content.length}\n${content}\n`
    })
    const head = 'commit refs/heads/main\ncommitter A <a@example.com> 1767323045 +0000\ndata 1\nx\n'
    git(upstream.bare, ['fast-import', '--quiet'], head + files.join(''))
    const started = performance.now()
    const locked = await lock(upstream.url, 'main')
    expect(locked.packs[0]?.objects).toBe(10_000 + 100 + 2)
    expect(performance.now() - started).toBeLessThan(60_000)
  })
})

describe('servers', () => {
  it.each([
    ['git http-backend', {}],
    ['a server that speaks protocol version 0', { version: 0 as const }],
    ['files without a git server', { dumb: true }],
  ])('%s', async (_name, options) => {
    const upstream = three()
    git(upstream.bare, ['update-server-info'])
    const { url } = await serveRepositories(join(upstream.bare, '..'), options)
    const address = `${url}/upstream.git`
    for (const history of ['shallow', 'full'] as const) {
      const locked = await lock(address, 'main', { history })
      expect(locked.commit).toBe(upstream.commits[2])
      expect(locked.packs).toEqual((await lock(upstream.url, 'main', { history })).packs)
      await createAgain(locked)
    }
  })

  it('are asked with the credentials of a credential helper, which are shown nowhere', async () => {
    const upstream = three()
    const login = { user: 'robot', password: 'hunter2-secret' }
    const { url, requests } = await serveRepositories(join(upstream.bare, '..'), { login })
    const address = `${url}/upstream.git`
    const context = await testContext()
    const error = await refused(lock(address, 'main', { context }), 'UNAUTHORIZED')
    expect(error.next).toContain('credential helper')
    const helper = join(temporary(), 'helper')
    writeFileSync(
      helper,
      `#!/bin/sh\n[ "$1" = get ] && printf 'username=robot\\npassword=hunter2-secret\\n'\n`,
    )
    chmodSync(helper, 0o755)
    vi.stubEnv('GIT_CONFIG_COUNT', '1')
    vi.stubEnv('GIT_CONFIG_KEY_0', 'credential.helper')
    vi.stubEnv('GIT_CONFIG_VALUE_0', helper)
    onTestFinished(() => void vi.unstubAllEnvs())
    const locked = await lock(address, 'main', { context })
    expect(requests.some(request => request.endsWith('as robot'))).toBe(true)
    expect(JSON.stringify([locked, context.progress.notes, error.toJSON()])).not.toContain('hunter2')
    writeFileSync(
      helper,
      `#!/bin/sh\n[ "$1" = get ] && printf 'username=robot\\npassword=hunter2-wrong\\n'\n`,
    )
    const wrong = await refused(lock(address, 'main'), 'UNAUTHORIZED')
    expect(JSON.stringify(wrong.toJSON())).not.toContain('hunter2')
  })

  it.each([
    (path: string) => `git@git.example:${path}`,
    (path: string) => `ssh://git@git.example:2222${path}`,
  ])('are reached by ssh, which finds no terminal and gets the agent of the user', async address => {
    const upstream = three()
    const log = join(temporary(), 'log')
    const ssh = join(temporary(), 'ssh')
    // in place of ssh and its server: reports what it gets, and runs the command here
    const script = `#!/bin/sh
echo "$SSH_AUTH_SOCK $*" >> ${log}
sh -c 'exec 3< /dev/tty' 2> /dev/null && echo terminal >> ${log}
case " $* " in *" -G "*) exit 0;; esac
for last; do :; done; exec sh -c "$last"
`
    writeFileSync(ssh, script, { mode: 0o755 })
    vi.stubEnv('GIT_SSH', ssh)
    vi.stubEnv('GIT_SSH_VARIANT', 'ssh')
    vi.stubEnv('SSH_AUTH_SOCK', '/run/agent')
    onTestFinished(() => void vi.unstubAllEnvs())
    const locked = await lock(address(upstream.bare), 'main')
    expect(locked.commit).toBe(upstream.commits[2])
    await createAgain(locked)
    const calls = readFileSync(log, 'utf8')
    expect(calls).toMatch(/^\/run\/agent .*git@git\.example git-upload-pack '/m)
    expect(calls).not.toContain('terminal')
  })

  it('are remapped like any other source: the lock names the publisher', async () => {
    const upstream = three()
    const { url } = await serveRepositories(join(upstream.bare, '..'))
    const sources = [{ from: 'https://git.example/team', to: ['http://127.0.0.1:9', url] }]
    const context = await testContext({ sources })
    const locked = await lock('https://git.example/team/upstream.git', 'main', { context })
    expect(JSON.stringify(locked)).not.toContain('127.0.0.1')
    expect(locked.url).toBe('https://git.example/team/upstream.git')
    await createAgain(locked, await testContext({ sources }))
  })

  it('that are not there, or have no repository, are reported as what they are', async () => {
    const upstream = three()
    const { url } = await serveRepositories(join(upstream.bare, '..'))
    await refused(lock(`${url}/none.git`, 'main'), 'NOT_FOUND_UPSTREAM')
    await refused(lock('http://127.0.0.1:9/a.git', 'main'), 'NETWORK')
    await refused(lock('https://no-such-host.invalid/a.git', 'main'), 'DNS_FAILED')
    await refused(lock(`file://${temporary()}/none.git`, 'main'), 'NOT_FOUND_UPSTREAM')
  })

  it('are left when the run is stopped', async () => {
    const upstream = three()
    const stop = new AbortController()
    const context = await testContext({ signal: stop.signal })
    const work = lock(upstream.url, 'main', { context })
    stop.abort(new AirgapError('USAGE', 'stopped by the test'))
    await expect(work).rejects.toMatchObject({ message: 'stopped by the test' })
    await expectCleanCache(context)
  })

  it('whose git is not installed are reported with what to install', async () => {
    vi.stubEnv('PATH', '/nonexistent')
    onTestFinished(() => void vi.unstubAllEnvs())
    await refused(lock('file:///srv/a.git', 'main'), 'TOOL_MISSING')
  })
})

describe('a repository that changed after it was locked', () => {
  it('still gives the locked commit where the branch has moved on', async () => {
    const upstream = three()
    const { url } = await serveRepositories(join(upstream.bare, '..'))
    const address = `${url}/upstream.git`
    const locked = [await lock(address, 'main'), await lock(address, 'main', { history: 'full' })]
    upstream.commit({ new: 'new' })
    for (const one of locked) await createAgain(one)
    expect((await lock(address, 'main')).commit).not.toBe(locked[0]?.commit)
  })

  it.each([{}, { version: 0 as const }, { dumb: true }])(
    'still gives it where the server shows only branches and tags (%j)',
    async options => {
      const upstream = three()
      const { url } = await serveRepositories(join(upstream.bare, '..'), options)
      const update = () => git(upstream.bare, ['update-server-info'])
      update()
      const address = `${url}/upstream.git`
      const locked = [await lock(address, 'main'), await lock(address, upstream.commits[1]!)]
      upstream.commit({ new: 'new' })
      update()
      for (const one of locked) await createAgain(one)
      // the branch is gone, but another one has the commit
      upstream.git('branch', '-m', 'main', 'trunk')
      upstream.push('trunk')
      git(upstream.bare, ['symbolic-ref', 'HEAD', 'refs/heads/trunk'])
      upstream.push(':main')
      update()
      for (const one of locked) await createAgain(one)
    },
  )

  it('is reported as gone where a force push removed the commit', async () => {
    const upstream = three()
    const { url } = await serveRepositories(join(upstream.bare, '..'))
    const address = `${url}/upstream.git`
    const locked = await lock(address, 'main')
    upstream.git('reset', '--quiet', '--hard', upstream.commits[0]!)
    upstream.commit({ f2: 'another history' })
    git(upstream.bare, ['reflog', 'expire', '--expire=now', '--all'])
    git(upstream.bare, ['gc', '--quiet', '--prune=now'])
    const error = await refused(createAgain(locked), 'NOT_FOUND_UPSTREAM')
    expect(error.message).toBe('the repository no longer has the locked commit')
    expect(error.item).toContain(locked.commit)
    expect(error.next).toMatch(/airgap lock.*--reuse/)
  })

  it('gives the locked tag where the tag was moved', async () => {
    const upstream = three()
    upstream.git('tag', '-a', 'v1', '-m', 'one')
    upstream.push('v1')
    const { url } = await serveRepositories(join(upstream.bare, '..'))
    const locked = await lock(`${url}/upstream.git`, 'v1')
    upstream.git('tag', '-f', '-a', 'v1', '-m', 'two', upstream.commits[0]!)
    upstream.push('v1')
    await createAgain(locked)
  })
})

describe('Git LFS', () => {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 12345\n`

  it('is refused with the files that are only pointers, unless the manifest accepts them', async () => {
    const upstream = repository()
    upstream.commit({ 'models/a.bin': pointer, 'models/b.bin': pointer, 'docs/about': `see:\n${pointer}` })
    const error = await refused(lock(upstream.url, 'main'), 'UNSUPPORTED')
    expect(error.message).toContain('2 files')
    expect(error.item).toContain('"models/a.bin", "models/b.bin"')
    expect(error.next).toContain('lfs: pointers')
    expect((await lock(upstream.url, 'main', { lfs: 'pointers' })).lfsPointers).toBe(2)
  })

  it('in older commits does not matter', async () => {
    const upstream = repository()
    upstream.commit({ 'a.bin': pointer })
    upstream.commit({ 'a.bin': undefined, b: 'b' })
    expect((await lock(upstream.url, 'main', { history: 'full' })).lfsPointers).toBeUndefined()
  })
})

describe('submodules', () => {
  const withSubmodules = () => {
    const root = temporary()
    const [inner, sub, main] = ['inner', 'sub', 'main'].map(name => repository({ name, root }))
    const add = (to: TestRepository, url: string, path: string) => {
      to.git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', url, path)
      return to.commit({})
    }
    const innerCommit = inner!.commit({ inner: 'inner' })
    sub!.commit({ sub: 'sub' })
    const subCommit = add(sub!, inner!.url, 'deep/inner')
    main!.commit({ main: 'main' })
    add(main!, sub!.url, 'modules/sub')
    return { main: main!, sub: sub!, inner: inner!, innerCommit, subCommit, root }
  }

  it('are refused with their paths, unless the manifest follows them', async () => {
    const { main } = withSubmodules()
    const error = await refused(lock(main.url, 'main'), 'UNSUPPORTED')
    expect(error.item).toContain('"modules/sub"')
    expect(error.next).toContain('submodules: follow')
  })

  it('are followed at their commits, those of submodules too', async () => {
    const { main, innerCommit, subCommit } = withSubmodules()
    const locked = await lock(main.url, 'main', { submodules: 'follow' })
    expect(locked.submodules?.map(({ path, name, commit }) => [path, name, commit])).toEqual([
      ['modules/sub', 'a.modules/modules/sub', subCommit],
      ['modules/sub/deep/inner', 'a.modules/modules/sub.modules/deep/inner', innerCommit],
    ])
    await expectKindContract(gitKind, locked)
    await createAgain(locked)
    expect(gitKind.describe(locked).map(({ name }) => name)).toContain('a.modules/modules/sub')
  })

  it('with relative addresses are where a clone of the site looks for them', async () => {
    const { main, sub } = withSubmodules()
    main.git('submodule', '--quiet', 'set-url', 'modules/sub', '../sub.git')
    main.commit({})
    const { url } = await serveRepositories(join(main.bare, '..'))
    const named = async (name: string) => {
      const locked = await lock(`${url}/main.git`, 'main', { name, submodules: 'follow', history: 'full' })
      return locked.submodules?.map(one => one.name)
    }
    // the submodule of the submodule has a file address, which an http repository must not lead to
    await refused(named('a'), 'UPSTREAM_INVALID')
    sub.git('submodule', '--quiet', 'set-url', 'deep/inner', '../inner.git')
    const commit = sub.commit({})
    git(main.folder, ['-C', 'modules/sub', 'fetch', '--quiet', sub.bare])
    git(main.folder, ['-C', 'modules/sub', 'checkout', '--quiet', commit])
    main.commit({})
    expect(await named('a')).toEqual(['sub', 'inner'])
    expect(await named('team/a')).toEqual(['team/sub', 'team/inner'])
    main.git('submodule', '--quiet', 'set-url', 'modules/sub', '../../sub.git')
    main.commit({})
    const error = await named('a').catch((reason: unknown) => reason)
    // one level above the server's root there is nothing
    expect(error).toBeInstanceOf(AirgapError)
  })

  it('of two repositories that would have one name are a collision', async () => {
    const { main } = withSubmodules()
    const locked = await lock(main.url, 'main', { submodules: 'follow' })
    const [submodule] = locked.submodules!
    const other = {
      ...(await lock(main.url, 'main', { submodules: 'follow' })),
      name: 'a.modules/modules/sub',
    }
    expect(() => assembleGit([locked, { ...other, submodules: [] }])).toThrow(/in one folder of the site/)
    expect(assembleGit([locked, { ...locked, name: 'b' }])).toHaveLength(1)
    expect(submodule?.url).toContain('sub.git')
  })
})
