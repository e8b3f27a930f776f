import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { digestOf, hexOf } from '../../../src/core/digest.ts'
import { parseRequirement } from '../../../src/kinds/wheel/requirement.ts'
import { resolveWheels } from '../../../src/kinds/wheel/resolve.ts'
import { refused, serve, testContext } from '../support/context.ts'
import { wheelFile, wheelRequest } from './support/package-index.ts'

const [one, two, newer] = [
  'py3-none-any',
  'cp311-cp311-manylinux_2_17_x86_64',
  'cp311-cp311-manylinux_2_28_x86_64',
].map(tag => wheelFile({ name: 'a', version: '1', tag })) as [
  ReturnType<typeof wheelFile>,
  ReturnType<typeof wheelFile>,
  ReturnType<typeof wheelFile>,
]
const hash = (algorithm: string, bytes: Buffer) => createHash(algorithm).update(bytes).digest('hex')

/** Locks `a` from a page of these files, each with the fragment that `fragment` makes of it. */
async function lock(
  files: (typeof one)[],
  options: { fragment: (bytes: Buffer) => string; packages: string[]; requireHashes?: true },
) {
  const { fragment, packages, requireHashes } = options
  const links = files.map(({ filename, bytes }) => `<a href="/${filename}#${fragment(bytes)}">x</a>`)
  const upstream = await serve({
    '/simple/a/': (_, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end(links.join('')),
    ...Object.fromEntries(files.map(({ filename, bytes }) => [`/${filename}`, bytes])),
  })
  const request = wheelRequest(upstream.origin, { packages, ...(requireHashes ? { requireHashes } : {}) })
  const { distributions } = await resolveWheels(request, await testContext())
  const isHashed = packages.some(text => text.includes('--hash='))
  for (const one of distributions) expect(one.pinned).toBe(isHashed || undefined)
  return distributions.map(({ filename, sha256, firstUse }) => ({ filename, sha256, firstUse }))
}
const locked = (file: typeof one, firstUse?: true) => [
  { filename: file.filename, sha256: hexOf(digestOf(file.bytes)), firstUse },
]

describe('hashes of an index page', () => {
  it.each(['sha512', 'sha384'])('a %s alone is checked and translated', async algorithm => {
    const packages = ['a']
    expect(
      await lock([one], { packages, fragment: bytes => `${algorithm}=${hash(algorithm, bytes)}` }),
    ).toEqual(locked(one))
    await refused(
      lock([one], { packages, fragment: () => `${algorithm}=${hash(algorithm, two.bytes)}` }),
      'DIGEST_MISMATCH',
    )
  })

  it.each(['md5', 'sha1', 'sha224'])('a %s is checked, and vouches for nothing', async algorithm => {
    const packages = ['a']
    expect(
      await lock([one], { packages, fragment: bytes => `${algorithm}=${hash(algorithm, bytes)}` }),
    ).toEqual(locked(one, true))
    await refused(
      lock([one], { packages, fragment: () => `${algorithm}=${hash(algorithm, two.bytes)}` }),
      'DIGEST_MISMATCH',
    )
  })
})

describe('hashes of a requirement', () => {
  const sha256 = (bytes: Buffer) => `sha256=${hash('sha256', bytes)}`
  const nothing = () => ''

  it('beside sha256 are passed over, whatever their order', async () => {
    const list = `--hash=sha512:${hash('sha512', one.bytes)} --hash=md5:${hash('md5', one.bytes)} --hash=sha256:${hash('sha256', one.bytes)}`
    expect(await lock([one], { packages: [`a==1 ${list}`], fragment: sha256 })).toEqual(locked(one))
  })

  it.each(['sha384', 'sha512'])('of %s alone are compared with the file itself', async algorithm => {
    const list = `--hash=${algorithm}:${hash(algorithm, one.bytes)}`
    expect(await lock([one], { packages: [`a==1 ${list}`], fragment: sha256 })).toEqual(locked(one))
    const error = await refused(
      lock([two], { packages: [`a==1 ${list}`], fragment: sha256 }),
      'UPSTREAM_INVALID',
    )
    expect(error.message).toContain('no requirement lists the hash of this file')
  })

  it('vouch for a file of a page without hashes', async () => {
    const list = `--hash=sha256:${hash('sha256', one.bytes)}`
    expect(await lock([one], { packages: [`a ${list}`], fragment: nothing })).toEqual(locked(one))
    await refused(lock([two], { packages: [`a ${list}`], fragment: nothing }), 'UPSTREAM_INVALID')
  })

  it('choose among the files of one version, known or not', async () => {
    const list = `--hash=sha256:${hash('sha256', two.bytes)} --hash=sha256:${hash('sha256', one.bytes)}`
    expect(await lock([one, newer, two], { packages: [`a==1 ${list}`], fragment: sha256 })).toEqual(
      locked(two),
    )
    expect(await lock([one, newer, two], { packages: [`a==1 ${list}`], fragment: nothing })).toEqual(
      locked(two),
    )
  })

  it('are needed where --require-hashes says so', async () => {
    await refused(lock([one], { packages: ['a'], fragment: sha256, requireHashes: true }), 'UNRESOLVABLE')
  })

  it.each([
    ['md5 alone', `a --hash=md5:${hash('md5', one.bytes)}`],
    ['a digest that is too short', 'a --hash=sha256:abc'],
    ['an unknown algorithm', `a --hash=sha3:${'0'.repeat(64)}`],
  ])('with %s are refused', async (_, text) => {
    await refused(
      Promise.resolve().then(() => parseRequirement(text, { item: 'r.txt:1', code: 'MANIFEST_INVALID' })),
      'MANIFEST_INVALID',
    )
  })
})
