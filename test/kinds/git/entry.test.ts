import { describe, expect, it } from 'vitest'
import { inputsDigest } from '../../../src/resolve/inputs.ts'
import { load, refused } from '../../manifest/support.ts'

const entry = (fields: string) =>
  `git:\n  - {name: a, url: "https://git.example/a.git", ref: main${fields}}\n`
const withUrl = (url: string) => `git:\n  - {name: a, url: ${JSON.stringify(url)}, ref: main}\n`
const withRef = (ref: string) =>
  `git:\n  - {name: a, url: "https://git.example/a.git", ref: ${JSON.stringify(ref)}}\n`

describe('the manifest entry of a git repository', () => {
  it('has defaults that carry the commit alone, and nothing from elsewhere', async () => {
    const { git } = await load(entry(''))
    expect(git).toMatchObject([
      {
        name: 'a',
        ref: { type: 'name', name: 'main' },
        history: 'shallow',
        submodules: 'refuse',
        lfs: 'refuse',
      },
    ])
  })

  it.each([
    'https://git.example/team/a.git',
    'https://git.example:8443/a',
    'http://127.0.0.1:8080/a.git',
    'ssh://git@git.example/a.git',
    'ssh://git.example:2222/~me/a.git',
    'git@git.example:team/a.git',
    'git.example:a.git',
    'git://git.example/a.git',
    'file:///srv/git/a.git',
  ])('takes the address %s', async url => {
    expect((await load(withUrl(url))).git[0]?.url).toBe(url)
  })

  it.each([
    'ext::sh -c touch% /tmp/pwned',
    'ext::sh',
    'fd::17',
    'foo::bar',
    '--upload-pack=touch /tmp/pwned',
    '-u',
    'ssh://-oProxyCommand=touch/a',
    'ssh://-oProxyCommand@host/a',
    'ssh://host/-oProxyCommand=x',
    '-oProxyCommand=x:a',
    'host:-x',
    'git@host:--upload-pack=x',
    'https://git.example',
    'https://git.example/',
    'https://git.example/a?x=1',
    'https://git.example/a#main',
    'https://git.example/a\n.git',
    'https://git.example/a b',
    'ftp://git.example/a',
    'file://host/a',
    'file:///',
    '/srv/git/a.git',
    '../a.git',
    'C:\\a',
  ])('refuses the address %j', async url => {
    const error = await refused(load(withUrl(url)), 'MANIFEST_INVALID')
    expect(error.item).toMatch(/stack\.yaml:5:/)
  })

  it.each([
    'https://me:hunter2@git.example/a.git',
    'https://hunter2@git.example/a.git',
    'ssh://git:hunter2@git.example/a.git',
  ])('refuses credentials in an address without showing them: %s', async url => {
    const error = await refused(load(withUrl(url)), 'MANIFEST_INVALID')
    expect(JSON.stringify(error.toJSON())).not.toContain('hunter2')
    expect(error.next).toContain('credential helpers')
  })

  it.each([
    'main',
    'v1.2',
    'release/1.x',
    'refs/heads/main',
    'HEAD',
    'a'.repeat(40),
    'ünïcode',
    'feature/#12',
  ])('takes the ref %s', async ref => {
    expect((await load(withRef(ref))).git).toHaveLength(1)
  })

  it.each([
    '--upload-pack=x',
    '-f',
    '../x',
    'a..b',
    'a@{1}',
    '@',
    '@{-1}',
    'a b',
    'a\nb',
    'a:b',
    'a^',
    'a~1',
    'a*',
    'a?',
    'a[b',
    'a\\b',
    '.hidden',
    'a/.b',
    'a.lock',
    'a.lock/b',
    '/a',
    'a/',
    'a//b',
    'a.',
    'a'.repeat(64),
    'x'.repeat(251),
  ])('refuses the ref %j', async ref => {
    const error = await refused(load(withRef(ref)), 'MANIFEST_INVALID')
    expect(error.item).toMatch(/stack\.yaml:5:/)
  })

  it('names repositories by paths that cannot collide', async () => {
    const named = (...names: string[]) =>
      load(
        `git:\n${names.map(name => `  - {name: "${name}", url: "https://git.example/a.git", ref: main}\n`).join('')}`,
      )
    expect((await named('a', 'team/charts', 'team/values')).git.map(({ name }) => name)).toHaveLength(3)
    await refused(named('team', 'team/charts'), 'NAME_COLLISION')
    for (const name of ['../x', 'a/', '/a', 'A', 'a//b', '.git', 'a/.git', 'a.git', 'a.modules', 'a/b/c/d/e'])
      await refused(named(name), 'MANIFEST_INVALID')
  })

  it('counts in the digest of inputs, and a manifest without it keeps its digest', async () => {
    const digests = await Promise.all(
      [
        '',
        entry(''),
        entry(', history: full'),
        entry(', submodules: follow'),
        entry(', lfs: pointers'),
        withRef('v2'),
      ].map(async text => inputsDigest(await load(text))),
    )
    expect(new Set(digests).size).toBe(digests.length)
    expect(inputsDigest(await load('git: []\n'))).toBe(digests[0])
  })
})
