import { describe, expect, it } from 'vitest'
import { inputsDigest } from '../../../src/resolve/inputs.ts'
import { load, refused } from '../../manifest/support.ts'

const rpms = (repository: string, entry = 'name: el9') =>
  `rpms:\n  - {${entry}, packages: [jq], repositories: [{id: base, keys: [k.asc], ${repository}}]}\n`

describe('what vouches for a repository', () => {
  it('is the signature of its list, that of its packages, or both; never neither', async () => {
    const url = 'baseurl: "http://mirror.example/el9"'
    const [repository] = (await load(rpms(url))).rpms[0]!.repositories
    expect(repository).toMatchObject({ metadata: 'signed', packages: 'signed' })
    for (const one of ['metadata', 'packages']) {
      const manifest = await load(rpms(`${url}, ${one}: unsigned`))
      expect(manifest.rpms[0]!.repositories[0]).toMatchObject({ [one]: 'unsigned' })
    }
    const error = await refused(
      load(rpms(`${url}, metadata: unsigned, packages: unsigned`)),
      'MANIFEST_INVALID',
    )
    expect(error.message).toContain('neither the packages of the repository nor their list are signed')
  })

  it('counts for the digest of the inputs only where it is not the default', async () => {
    const url = 'baseurl: "http://mirror.example/el9"'
    const digest = async (text: string) => inputsDigest(await load(rpms(text)))
    expect(await digest(`${url}, packages: signed`)).toBe(await digest(url))
    expect(await digest(`${url}, packages: unsigned`)).not.toBe(await digest(url))
  })
})

describe('the address of a repository', () => {
  const places = async (repository: string, entry?: string) =>
    (await load(rpms(repository, entry))).rpms[0]!.repositories.map(
      ({ id, baseurl, mirrorlist, metalink }) => [id, baseurl ?? mirrorlist ?? metalink],
    )

  it('has variables as dnf.conf(5) has them', async () => {
    const url = (path: string) => `baseurl: "http://x.example/${path}"`
    expect(await places(url('$releasever/$basearch/$arch'))).toEqual([
      ['base', 'http://x.example/9/x86_64/x86_64'],
    ])
    expect(await places(url('$releasever_major.$releasever_minor'), 'name: rocky-9.4')).toEqual([
      ['base', 'http://x.example/9.'],
    ])
    const own = 'name: rocky-9, variables: {releasever: "9.4", region: "", tier: gold}'
    const written = url('$releasever/${releasever_minor}/${tier}x/${region:-eu}/${tier:+$tier-}z')
    expect(await places(written, own)).toEqual([['base', 'http://x.example/9.4/4/goldx/eu/gold-z']])
    expect(await places('baseurl: "https://yum$region.x.example/"', own)).toEqual([
      ['base', 'https://yum.x.example'],
    ])
  })

  it('makes a repository for each architecture, where it depends on that', async () => {
    const entry = 'name: el9, architectures: [x86_64, aarch64]'
    expect(await places('baseurl: "http://x.example/$basearch"', entry)).toEqual([
      ['base-x86_64', 'http://x.example/x86_64'],
      ['base-aarch64', 'http://x.example/aarch64'],
    ])
    expect(await places('baseurl: "http://x.example/noarch"', entry)).toEqual([
      ['base', 'http://x.example/noarch'],
    ])
    const taken = `baseurl: "http://x.example/$basearch"}, {id: base-aarch64, keys: [k.asc], baseurl: "http://x.example/own"`
    expect((await refused(load(rpms(taken, entry)), 'MANIFEST_INVALID')).message).toContain('has the same id')
  })

  it('may be a list of mirrors, which keeps the variables of what it lists', async () => {
    const list = 'metalink: "https://x.example/metalink?repo=epel-$releasever&arch=$basearch"'
    expect((await load(rpms(list))).rpms[0]!.repositories[0]).toMatchObject({
      metalink: 'https://x.example/metalink?repo=epel-9&arch=x86_64',
      variables: { basearch: 'x86_64', releasever: '9' },
    })
  })

  it.each([
    ['baseurl: "http://x.example/$realease"', /unknown variable in the address: \$realease/],
    ['metadata: signed', /the repository has no address/],
    ['baseurl: "http://x.example", mirrorlist: "http://x.example"', /several addresses/],
    ['baseurl: "ftp://x.example/"', /not an http or https URL/],
    ['mirrorlist: "http://me:secret@x.example/"', /contains a user name or a password/],
    ['metalink: "http://x.example/?to${none:-ken}=secret"', /contains a credential/],
    ['mirrorlist: "http://x.example/", client: {certificate: a, key: b}', /sent to one server only/],
  ])('%s is a mistake', async (repository, message) => {
    const error = await refused(load(rpms(repository)), 'MANIFEST_INVALID')
    expect(error.message).toMatch(message)
    if (repository.includes('me:secret')) expect(error.next).toMatch(/netrc.*username=/)
    expect(JSON.stringify(error)).not.toContain('secret')
  })

  it('keeps secret variables out of the lock', async () => {
    const own = 'name: el9, variables: {token: secret, tier: gold}'
    const { rpms: entries } = await load(rpms('mirrorlist: "http://x.example/"', own))
    expect(entries[0]!.repositories[0]!.variables).toEqual({
      arch: 'x86_64',
      basearch: 'x86_64',
      releasever: '9',
      releasever_major: '9',
      releasever_minor: '',
      tier: 'gold',
    })
  })

  it('has an id of its own', async () => {
    const two = 'id: base, keys: [k.asc], baseurl: "http://x.example"'
    const text = `rpms:\n  - {name: el9, packages: [jq], repositories: [{${two}}, {${two}}]}\n`
    expect((await refused(load(text), 'MANIFEST_INVALID')).message).toContain('has the same id')
  })
})
