import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { checkGitUrl, resolveSubmoduleUrl } from '../../../src/kinds/git/url.ts'
import { refused } from '../support/context.ts'
import { git, repository, temporary } from './support/repository.ts'
import { lock } from './support/resolve.ts'
import { serveRepositories } from './support/server.ts'

/** A bare repository whose branch `main` has a tree as `git mktree` gets it: names that `git add` refuses. */
function crafted(...entries: { mode?: string; path: string; content: string }[]): string {
  const folder = join(temporary(), 'crafted.git')
  git('/', ['init', '--quiet', '--bare', '--initial-branch=main', folder])
  const write = (content: string) => git(folder, ['hash-object', '-w', '--stdin'], content)
  // each folder on its own: mktree takes no path
  const treeOf = (list: { mode?: string; path: string; content: string }[]): string => {
    const names = new Map<string, typeof list>()
    for (const entry of list) {
      const [name = '', ...rest] = entry.path.split('/')
      names.set(name, [...(names.get(name) ?? []), { ...entry, path: rest.join('/') }])
    }
    const lines = [...names].map(([name, own]) => {
      const [only] = own
      if (own.length === 1 && only?.path === '')
        return (
          Buffer.from(`${only.mode ?? '100644'} ${name}\0`, 'utf8').toString('latin1') +
          bytesOf(write(only.content))
        )
      return Buffer.from(`40000 ${name}\0`, 'utf8').toString('latin1') + bytesOf(treeOf(own))
    })
    // as git sorts them: a folder like its name with a slash
    const sorted = lines.sort((a, b) => (sortName(a) < sortName(b) ? -1 : 1))
    const tree = Buffer.from(sorted.join(''), 'latin1')
    return git(folder, ['hash-object', '-w', '--stdin', '-t', 'tree', '--literally'], tree)
  }
  const commit = git(folder, ['commit-tree', treeOf(entries), '-m', 'x'])
  git(folder, ['update-ref', 'refs/heads/main', commit])
  return `file://${folder}`
}

const bytesOf = (id: string) => Buffer.from(id, 'hex').toString('latin1')
const sortName = (line: string) => {
  const [, mode, name] = /^(\d+) ([^\0]*)\0/.exec(line) ?? []
  return mode === '40000' ? `${name}/` : `${name}`
}

describe('a malicious repository', () => {
  it.each([
    '.git/config',
    '.git/hooks/post-checkout',
    'a/.git/config',
    '.GIT/config',
    '.git /config',
    '.git./config',
    'git~1/config',
    '.g\u200cit/config',
    '.git::$INDEX_ALLOCATION/config',
    '../x',
    'a/../x',
    './x',
    'a\\b',
  ])('with the path %j is refused', async path => {
    await refused(lock(crafted({ path, content: 'x' }), 'main'), 'UPSTREAM_INVALID')
  })

  it.each(['.git', '.git/hooks', 'a/../.git/config', '.GIT/hooks', '../.git/x'])(
    'with a link to %s is refused',
    async content => {
      await refused(lock(crafted({ path: 'a/l', content, mode: '120000' }), 'main'), 'UPSTREAM_INVALID')
    },
  )

  it('with a link that becomes a folder where case does not count is refused (CVE-2021-21300, CVE-2024-32002)', async () => {
    const link = { path: 'a', content: 'somewhere', mode: '120000' }
    await refused(
      lock(crafted(link, { path: 'A/modules/x/hooks/post-checkout', content: 'x' }), 'main'),
      'UPSTREAM_INVALID',
    )
    await refused(lock(crafted(link, { path: 'A', content: 'x' }), 'main'), 'UPSTREAM_INVALID')
    // files that differ by case alone harm nobody
    await lock(crafted({ path: 'README', content: 'x' }, { path: 'readme', content: 'y' }), 'main')
  })

  it('with a link of unlimited length is refused', async () => {
    await refused(
      lock(crafted({ path: 'l', content: 'x'.repeat(5000), mode: '120000' }), 'main'),
      'UPSTREAM_INVALID',
    )
  })

  it('with names of other languages, blanks and line breaks is carried as it is', async () => {
    const paths = ['한국어 파일.txt', 'a b', 'new\nline', '-option', 'tab\there', 'quote"s']
    const url = crafted(...paths.map(path => ({ path, content: path })))
    expect((await lock(url, 'main', { history: 'full' })).packs[0]?.objects).toBe(paths.length + 2)
  })

  it.each([
    ['ext::sh -c "touch PWNED"', 'UPSTREAM_INVALID'],
    ['--upload-pack=touch PWNED', 'UPSTREAM_INVALID'],
    ['-c core.sshCommand=touch', 'UPSTREAM_INVALID'],
    ['ssh://-oProxyCommand=touch/x', 'UPSTREAM_INVALID'],
    ['file:///etc', 'UPSTREAM_INVALID'],
    ['/etc', 'UPSTREAM_INVALID'],
    ['https://user:hunter2@127.0.0.1:9/x', 'UPSTREAM_INVALID'],
  ] as const)('with the submodule %s runs nothing and reads nothing of this host', async (url, code) => {
    const upstream = repository()
    const marker = join(temporary(), 'PWNED')
    const text = `[submodule "s"]\n\tpath = s\n\turl = ${JSON.stringify(url.replace('PWNED', marker))}\n`
    upstream.commit({ '.gitmodules': text })
    upstream.git('update-index', '--add', '--cacheinfo', `160000,${'a'.repeat(40)},s`)
    upstream.git('commit', '--quiet', '-m', 'a submodule')
    upstream.push('main')
    const server = await serveRepositories(join(upstream.bare, '..'))
    const error = await refused(lock(`${server.url}/upstream.git`, 'main', { submodules: 'follow' }), code)
    expect(JSON.stringify(error.toJSON())).not.toContain('hunter2')
    expect(existsSync(marker)).toBe(false)
  })

  it('with a submodule that has no address is refused', async () => {
    const upstream = repository()
    upstream.commit({ a: 'a' })
    upstream.git('update-index', '--add', '--cacheinfo', `160000,${'a'.repeat(40)},s`)
    upstream.git('commit', '--quiet', '-m', 'a submodule')
    upstream.push('main')
    await refused(lock(upstream.url, 'main', { submodules: 'follow' }), 'UPSTREAM_INVALID')
  })

  it('runs no hook and no program of the configuration of this host', async () => {
    const upstream = repository()
    upstream.commit({ a: 'a' })
    const marker = join(temporary(), 'PWNED')
    const hooks = temporary()
    for (const hook of ['reference-transaction', 'post-checkout', 'post-merge'])
      writeFileSync(join(hooks, hook), `#!/bin/sh\ntouch ${marker}\n`, { mode: 0o755 })
    vi.stubEnv('GIT_CONFIG_COUNT', '2')
    vi.stubEnv('GIT_CONFIG_KEY_0', 'core.hooksPath')
    vi.stubEnv('GIT_CONFIG_VALUE_0', hooks)
    vi.stubEnv('GIT_CONFIG_KEY_1', 'protocol.ext.allow')
    vi.stubEnv('GIT_CONFIG_VALUE_1', 'always')
    vi.stubEnv('GIT_DIR', '/nonexistent')
    vi.stubEnv('GIT_TRACE', marker)
    onTestFinished(() => void vi.unstubAllEnvs())
    await lock(upstream.url, 'main')
    expect(existsSync(marker)).toBe(false)
  })
})

describe('addresses of submodules', () => {
  it.each([
    ['https://git.example/team/a.git', '../b.git', 'https://git.example/team/b.git'],
    ['https://git.example/team/a.git', '../../other/b', 'https://git.example/other/b'],
    ['https://git.example/team/a.git/', './b', 'https://git.example/team/a.git/b'],
    ['git@git.example:team/a.git', '../b.git', 'git@git.example:team/b.git'],
    ['ssh://git@git.example/team/a', '../../b', 'ssh://git@git.example/b'],
    ['file:///srv/git/a.git', '../b.git', 'file:///srv/git/b.git'],
    ['https://git.example/a.git', 'https://other.example/b', 'https://other.example/b'],
    ['https://git.example/a.git', '../../b', undefined],
  ])('%s with %s', (repository, url, wanted) => {
    expect(resolveSubmoduleUrl(repository, url)).toBe(wanted)
  })

  it('follow the rules of addresses in the manifest', () => {
    const check = (url: string) => checkGitUrl(url, { where: 'x', code: 'UPSTREAM_INVALID', file: 'refused' })
    expect(check('https://git.example/a.git')).toBe('https://git.example/a.git')
    for (const url of ['file:///etc', 'ext::sh', '-u', 'https://a:b@c/d'])
      expect(() => check(url)).toThrow(expect.objectContaining({ code: 'UPSTREAM_INVALID' }))
  })
})
