import { describe, expect, it } from 'vitest'
import { digestOf, hexOf } from '../../../src/core/digest.ts'
import { resolveWheels } from '../../../src/kinds/wheel/resolve.ts'
import { refused, serve, testContext } from '../support/context.ts'
import { type ServedFile, startIndex, wheelFile, wheelRequest } from './support/package-index.ts'
import { sourceDistribution } from './support/source-distribution.ts'

const fork = wheelFile({ name: 'lib', version: '2.0+fork', requires: ['leaf'] })

async function served(...files: ServedFile[]) {
  const { origin } = await serve(
    Object.fromEntries(files.map(file => [`/dl/${encodeURIComponent(file.filename)}`, file.bytes])),
  )
  return (file: ServedFile, fragment = `#sha256=${hexOf(digestOf(file.bytes))}`) =>
    `${origin}/dl/${encodeURIComponent(file.filename)}${fragment}`
}

async function lock(packages: string[], files: ServedFile[] = [], change: { pythons?: string[] } = {}) {
  const upstream = await startIndex(files)
  const { distributions } = await resolveWheels(
    wheelRequest(upstream.origin, { packages, ...change }),
    await testContext(),
  )
  return distributions
}
const names = (distributions: Awaited<ReturnType<typeof lock>>) =>
  distributions.map(one =>
    [one.filename, one.requested ? 'requested' : one.because, one.firstUse ?? 'vouched'].join(' '),
  )

describe('a requirement by URL', () => {
  it('is that file, and no version of any index', async () => {
    const url = await served(fork)
    const index = [
      wheelFile({ name: 'app', version: '1', requires: ['lib>=1'] }),
      wheelFile({ name: 'lib', version: '9' }),
      wheelFile({ name: 'leaf', version: '1' }),
    ]
    const distributions = await lock([`lib @ ${url(fork)}`, 'app'], index)
    expect(names(distributions)).toEqual([
      'app-1-py3-none-any.whl requested vouched',
      'leaf-1-py3-none-any.whl lib vouched',
      'lib-2.0+fork-py3-none-any.whl requested vouched',
    ])
    expect(distributions[2]!.url).toBe(url(fork, ''))
    const error = await refused(lock([`lib@${url(fork)}`, 'app', 'lib<2'], index), 'UNRESOLVABLE')
    expect(error.message).toContain('2.0+fork: not lib<2')
  })

  it('without a hash is trusted on first use; with a wrong one refused', async () => {
    const url = await served(fork)
    const leaf = [wheelFile({ name: 'leaf', version: '1' })]
    expect(names(await lock([`lib @ ${url(fork, '')}`], leaf))[1]).toBe(
      'lib-2.0+fork-py3-none-any.whl requested true',
    )
    const hash = `--hash=sha256:${hexOf(digestOf(fork.bytes))}`
    const pinned = `leaf==1 --hash=sha256:${hexOf(digestOf(leaf[0]!.bytes))}`
    expect(names(await lock([`lib @ ${url(fork, '')} ${hash}`, pinned], leaf))[1]).toContain('vouched')
    await refused(lock([`lib @ ${url(fork, `#sha512=${'0'.repeat(128)}`)}`], leaf), 'DIGEST_MISMATCH')
    await refused(
      lock([`lib @ ${url(fork, '')} --hash=sha256:${'0'.repeat(64)}`, pinned], leaf),
      'UPSTREAM_INVALID',
    )
  })

  it('may have extras and a marker, one file for each Python', async () => {
    const [old, current] = ['311', '312'].map(tag =>
      wheelFile({
        name: 'c',
        version: '1',
        tag: `cp${tag}-cp${tag}-manylinux_2_17_x86_64`,
        requires: ['x; extra == "more"'],
        extras: ['more'],
      }),
    ) as [ServedFile, ServedFile]
    const url = await served(old, current)
    const packages = [
      `c[more] @ ${url(old)} ; python_version < "3.12"`,
      `c[more] @ ${url(current)} ; python_version >= "3.12"`,
    ]
    const found = await lock(packages, [wheelFile({ name: 'x', version: '1' })], {
      pythons: ['3.11', '3.12'],
    })
    expect(found.map(one => [one.filename, ...one.targets].join(' '))).toEqual([
      'c-1-cp311-cp311-manylinux_2_17_x86_64.whl cp311-manylinux_2_28_x86_64',
      'c-1-cp312-cp312-manylinux_2_17_x86_64.whl cp312-manylinux_2_28_x86_64',
      'x-1-py3-none-any.whl cp311-manylinux_2_28_x86_64 cp312-manylinux_2_28_x86_64',
    ])
    const error = await refused(lock([`c @ ${url(current)}`]), 'UNRESOLVABLE')
    expect(error.message).toContain('has wheels for cp312')
    await refused(lock([`c @ ${url(old)}`, `c @ ${url(current)}`]), 'MANIFEST_INVALID')
  })

  it('is refused where another Python takes a different file of the same name', async () => {
    const own = wheelFile({ name: 'c', version: '1', requires: ['x'] })
    const [public_, x] = [wheelFile({ name: 'c', version: '1' }), wheelFile({ name: 'x', version: '1' })]
    const url = await served(own)
    const packages = [`c @ ${url(own)} ; python_version < "3.12"`, 'c ; python_version >= "3.12"']
    const pythons = { pythons: ['3.11', '3.12'] }
    const error = await refused(lock(packages, [public_, x], pythons), 'NAME_COLLISION')
    expect(error.item).toContain(url(own, ''))
    // the same file in two places is one
    expect((await lock(packages, [own, x], pythons))[0]!.targets).toHaveLength(2)
  })

  it('may be a source distribution, with what its build requires', async () => {
    const source = sourceDistribution({ name: 'src', version: '1' }, undefined)
    const url = await served(source)
    expect(
      names(await lock([`src @ ${url(source)}`], [wheelFile({ name: 'setuptools', version: '80' })])),
    ).toEqual(['setuptools-80-py3-none-any.whl src vouched', 'src-1.tar.gz requested vouched'])
  })

  it.each([
    ['git+https://x.example/lib', 'build a wheel'],
    ['file:///tmp/lib-1-py3-none-any.whl', 'build a wheel'],
    ['../lib-1-py3-none-any.whl', 'build a wheel'],
    ['https://user:secret@x.example/lib-1-py3-none-any.whl', '~/.netrc'],
    ['https://x.example/archive/main.tar.gz', 'name a file such as'],
    ['https://x.example/other-1-py3-none-any.whl', 'name a file such as'],
    ['https://x.example/lib-1.tar.gz#subdirectory=python', 'build a wheel'],
  ])('%s is refused', async (url, next) => {
    const error = await refused(lock([`lib @ ${url}`]), 'MANIFEST_INVALID')
    expect(error.next).toContain(next)
    expect(JSON.stringify([error.message, error.item, error.likely])).not.toContain('secret')
  })

  it('is not followed from the metadata of a package: the site’s pip would', async () => {
    const error = await refused(
      lock(
        ['app'],
        [wheelFile({ name: 'app', version: '1', requires: ['lib @ https://x.example/lib-1.tar.gz'] })],
      ),
      'UPSTREAM_INVALID',
    )
    expect(error.message).toContain('a requirement by URL')
  })
})
