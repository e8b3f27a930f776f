import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { configForHost, dockerCredentials } from '../../src/remote/docker-config.ts'
import { failure, noteTaking } from './support/clients.ts'

/** A folder with a config.json and, on PATH, credential helpers as shell scripts. */
function setUp(config: unknown, helpers: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'airgap-docker-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const text = typeof config === 'string' ? config : JSON.stringify(config)
  writeFileSync(join(folder, 'config.json'), text)
  mkdirSync(join(folder, 'bin'))
  for (const [name, script] of Object.entries(helpers)) {
    const path = join(folder, 'bin', name)
    writeFileSync(path, `#!/bin/sh\n${script}\n`)
    chmodSync(path, 0o755)
  }
  const progress = noteTaking()
  const env = { DOCKER_CONFIG: folder, PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, TEST_FOLDER: folder }
  return { folder, progress, env, store: dockerCredentials({ env, progress }) }
}

const at = (name: string) => {
  const [host = '', ...path] = name.split('/')
  return { host, repository: path.join('/') || 'team/app' }
}
const encoded = (text: string) => Buffer.from(text).toString('base64')
const answering = (username: string, secret: string) =>
  `cat > "$TEST_FOLDER/asked"; printf '{"ServerURL":"x","Username":"%s","Secret":"%s"}' '${username}' '${secret}'`

describe("docker's config.json", () => {
  it('reads auth, username and password, identity tokens, and passwords with colons', async () => {
    const { store } = setUp({
      auths: {
        'a.example': { auth: encoded('me:pass:word') },
        'b.example:5000': { username: 'you', password: '' },
        'c.example': { auth: encoded('00000000:'), identitytoken: 'refresh' },
        'https://d.example/v1/': { auth: encoded('old:style') },
        'e.example': {},
        'https://index.docker.io/v1/': { auth: encoded('hub:pw\0') },
      },
    })
    expect(await store.find(at('a.example'))).toEqual({
      type: 'basic',
      username: 'me',
      password: 'pass:word',
    })
    expect(await store.find(at('b.example:5000'))).toEqual({ type: 'basic', username: 'you', password: '' })
    expect(await store.find(at('c.example'))).toEqual({ type: 'identity-token', identityToken: 'refresh' })
    expect(await store.find(at('d.example'))).toEqual({ type: 'basic', username: 'old', password: 'style' })
    expect(await store.find(at('e.example'))).toBeUndefined()
    expect(await store.find(at('b.example'))).toBeUndefined()
    expect(await store.find(at('docker.io'))).toEqual({ type: 'basic', username: 'hub', password: 'pw' })
  })

  it('is read from ~/.docker; without it there is no login', async () => {
    const home = mkdtempSync(join(tmpdir(), 'airgap-home-'))
    onTestFinished(() => rmSync(home, { recursive: true, force: true }))
    mkdirSync(join(home, '.docker'))
    const text = JSON.stringify({ auths: { 'a.example': { auth: encoded('me:pw') } } })
    writeFileSync(join(home, '.docker', 'config.json'), text)
    const found = dockerCredentials({ env: { HOME: home }, progress: noteTaking() })
    expect(await found.find(at('a.example'))).toMatchObject({ username: 'me' })
    const none = dockerCredentials({ env: { HOME: join(home, 'nobody') }, progress: noteTaking() })
    expect(await none.find(at('a.example'))).toBeUndefined()
  })

  it('runs a helper once, with the host on stdin', async () => {
    const { store, folder } = setUp(
      { credHelpers: { 'a.example': 'good' }, auths: { 'b.example': { auth: encoded('b:b') } } },
      { 'docker-credential-good': `echo x >> "$TEST_FOLDER/count"; ${answering('me', 's3cret')}` },
    )
    const expected = { type: 'basic', username: 'me', password: 's3cret' }
    expect(await Promise.all([store.find(at('a.example')), store.find(at('a.example'))])).toEqual([
      expected,
      expected,
    ])
    expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe('a.example')
    expect(readFileSync(join(folder, 'count'), 'utf8')).toBe('x\n')
    expect(await store.find(at('b.example'))).toMatchObject({ username: 'b' })
  })

  it("queries the store for other hosts, for Docker Hub by its key, and reads '<token>' as an identity token", async () => {
    const { store, folder } = setUp(
      { credsStore: 'all' },
      { 'docker-credential-all': answering('<token>', 'refresh') },
    )
    expect(await store.find(at('docker.io'))).toEqual({ type: 'identity-token', identityToken: 'refresh' })
    expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe('https://index.docker.io/v1/')
  })

  it.each([
    ['none', 'credentials not found', 'echo "credentials not found in native keychain"; exit 1', ''],
    ['broken', 'a failure', 'echo s3cret; exit 3', 'exit code 3'],
    ['odd', 'nonsense', 'echo s3cret', 'an invalid answer'],
    ['missing', 'no such program', undefined, 'not on PATH'],
    ['../evil', 'a path', undefined, 'invalid credential helper'],
    ['a;touch x', 'a command', undefined, 'invalid credential helper'],
  ])('a helper (%s) that answers with %s counts as no login', async (name, _what, script, note) => {
    const helpers: Record<string, string> =
      script === undefined ? {} : { [`docker-credential-${name}`]: script }
    const { store, progress } = setUp({ credsStore: name, auths: {} }, helpers)
    expect(await store.find(at('a.example'))).toBeUndefined()
    expect(progress.notes.join()).toContain(note)
    expect(progress.notes).toHaveLength(note === '' ? 0 : 1)
    expect(progress.notes.join()).not.toContain('s3cret')
  })

  it.each(['{', '[]', '{"auths":{"a":5}}', '{"auths":{"a":{"auth":"c2VjcmV0OnNlY3JldA=="}}'])(
    'names a damaged file (%s) without quoting it',
    async text => {
      const { store } = setUp(text)
      const error = await failure(store.find(at('a.example')), 'USAGE')
      expect(error.item).toContain('config.json')
      expect(JSON.stringify(error) + String(error.cause)).not.toContain('c2Vj')
    },
  )

  it('takes the longest path that covers the repository, then the host, never another path', async () => {
    const entry = (name: string) => ({ auth: encoded(`${name}:pw`) })
    const { store } = setUp({
      auths: {
        'r.example/other': entry('other'),
        'r.example/team': entry('team'),
        'r.example/team/app': entry('app'),
        'R.example/team/app/deep': entry('deep'),
        'r.example': entry('host'),
        'https://r.example/v2/': entry('api'),
        'only.example:5000/other': entry('other'),
        'https://url.example/other': entry('other'),
        'https://url.example/v1': entry('url'),
        'http://old.example/': entry('old'),
        'docker.io/library': entry('library'),
        'index.docker.io/v1/': entry('hub'),
      },
    })
    const users: Record<string, string | undefined> = {}
    for (const name of [
      'r.example/team/app',
      'r.example/team/app/deep/x',
      'r.example/team/apple',
      'r.example/teams/x',
      'r.example/x',
      'only.example:5000/team/x',
      'only.example:5000/other',
      'only.example/other',
      'url.example/other/x',
      'url.example/x',
      'old.example/x',
      'docker.io/library/busybox',
      'docker.io/team/app',
    ]) {
      const found = await store.find(at(name))
      users[name] = found?.type === 'basic' ? found.username : undefined
    }
    expect(users).toEqual({
      'r.example/team/app': 'app',
      'r.example/team/app/deep/x': 'deep',
      'r.example/team/apple': 'team',
      'r.example/teams/x': 'host',
      'r.example/x': 'host',
      'only.example:5000/team/x': undefined,
      'only.example:5000/other': 'other',
      'only.example/other': undefined,
      'url.example/other/x': 'other',
      'url.example/x': 'url',
      'old.example/x': 'old',
      'docker.io/library/busybox': 'library',
      'docker.io/team/app': 'hub',
    })
  })

  it('with null where Go writes it, and logins of paths before the helper of the host', async () => {
    const { store, folder } = setUp(
      {
        auths: {
          'a.example/team': { auth: encoded('team:pw'), identitytoken: null },
          'a.example/x': {},
          'b.example': null,
        },
        credsStore: null,
        credHelpers: { 'a.example': 'good', 'b.example': null },
      },
      { 'docker-credential-good': answering('helper', 's3cret') },
    )
    expect(await store.find(at('a.example/team/app'))).toMatchObject({ username: 'team' })
    expect(await store.find(at('a.example/y'))).toMatchObject({ username: 'helper' })
    expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe('a.example')
    expect(await store.find(at('a.example/x/y'))).toMatchObject({ username: 'helper' })
    expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe('a.example/x')
    expect(await store.find(at('b.example/y'))).toBeUndefined()
  })

  it('is reduced to one login for a program that knows hosts only', () => {
    const team = { auth: encoded('team:pw') }
    const config = { auths: { 'r.example/other': { auth: 'x' }, 'r.example/team': team, 'b.example': {} } }
    const of = (host: string, repository: string) => configForHost(config, { host, repository })
    expect(of('r.example', 'team/app')).toEqual({ auths: { 'r.example': team } })
    expect(of('r.example', 'third/app')).toEqual({ auths: {} })
    expect(of('b.example', 'team/app')).toBeUndefined()
    const helped = { ...config, credHelpers: { 'r.example': 'good' } }
    expect(configForHost(helped, { host: 'r.example', repository: 'third/app' })).toEqual({
      auths: { 'r.example': {} },
      credHelpers: { 'r.example': 'good' },
    })
  })
})
