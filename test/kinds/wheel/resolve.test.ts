import { describe, expect, it } from 'vitest'
import { digestOf, hexOf } from '../../../src/core/digest.ts'
import { wheelKind } from '../../../src/kinds/wheel/index.ts'
import { resolveWheels } from '../../../src/kinds/wheel/resolve.ts'
import { expectKindContract, refused, testContext } from '../support/context.ts'
import {
  chosen,
  type Release,
  type ServedFile,
  startIndex,
  wheelFile,
  wheelRequest,
} from './support/package-index.ts'

const release = (
  name: string,
  version: string,
  requires: string[] = [],
  more: Partial<Release> = {},
): ServedFile => wheelFile({ name, version, requires, ...more })

describe.each(['html', 'json'] as const)('wheels of an index in %s', format => {
  it('are the newest compatible versions of the requirements and their dependencies', async () => {
    const upstream = await startIndex(
      [
        release('Flask', '2.0', ['Jinja2>=3', 'old; python_version < "3"', 'win; sys_platform == "win32"']),
        release('Flask', '3.0rc1', ['Jinja2>=3']),
        release('Jinja2', '3.1', ['MarkupSafe>=2,<3']),
        release('MarkupSafe', '2.1'),
        release('MarkupSafe', '3.0'),
      ],
      { format },
    )
    const request = wheelRequest(upstream.origin, { packages: ['flask'] })
    const locked = await resolveWheels(request, await testContext())
    expect(locked.distributions.map(one => [one.project, one.version, one.requested, one.because])).toEqual([
      ['flask', '2.0', true, undefined],
      ['jinja2', '3.1', undefined, 'flask'],
      ['markupsafe', '2.1', undefined, 'jinja2'],
    ])
    const [artifact] = await expectKindContract(wheelKind, locked)
    const index = artifact!.inline.map(one => one.bytes.toString()).find(text => text.startsWith('{"files"'))
    expect(JSON.parse(index!)).toMatchObject({
      files: [
        {
          project: 'flask',
          version: '2.0',
          filename: 'Flask-2.0-py3-none-any.whl',
          sha256: locked.distributions[0]!.sha256,
        },
        { project: 'jinja2' },
        { project: 'markupsafe', metadataSha256: hexOf(digestOf(locked.distributions[2]!.metadata!)) },
      ],
    })
    expect(wheelKind.describe(locked)[0]).toMatchObject({
      name: 'pypi/Flask-2.0-py3-none-any.whl',
      version: '2.0',
    })
  })

  it('report every line of the requirements that is not one', async () => {
    const lines = ['flask==', 'foo @@ bar', 'ok==1.0', 'x[']
    const request = wheelRequest('http://127.0.0.1:1', { packages: lines })
    await expect(resolveWheels(request, await testContext())).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
      message: expect.stringMatching(/3 mistakes(?=[\s\S]*:1: )(?=[\s\S]*:2: )[\s\S]*:4: /),
    })
  })

  it('take a choice back that led nowhere', async () => {
    const upstream = await startIndex(
      [
        release('app', '2', ['lib>=2', 'other']),
        release('app', '1', ['lib>=1', 'other']),
        release('lib', '2'),
        release('lib', '1'),
        release('other', '1', ['lib<2']),
      ],
      { format },
    )
    expect(await chosen(upstream, { packages: ['app'] })).toEqual(['app 1', 'lib 1', 'other 1'])
  })

  it('bring what their extras bring, those of extras too', async () => {
    const upstream = await startIndex(
      [
        release('web', '1', ['socks; extra == "proxy"', 'web[proxy]; extra == "all"'], {
          extras: ['proxy', 'all'],
        }),
        release('socks', '1'),
        release('user', '1', ['Web[ALL]']),
      ],
      { format },
    )
    expect(await chosen(upstream, { packages: ['web'] })).toEqual(['web 1'])
    expect(await chosen(upstream, { packages: ['web[all]'] })).toEqual(['socks 1', 'web 1'])
    expect(await chosen(upstream, { packages: ['web', 'user'] })).toEqual(['socks 1', 'user 1', 'web 1'])
  })

  it('are not those withdrawn, unless one is pinned; fault 52: a yanked release', async () => {
    const upstream = await startIndex([release('a', '1'), release('a', '2', [], { yanked: 'broken' })], {
      format,
    })
    expect(await chosen(upstream, { packages: ['a'] })).toEqual(['a 1'])
    const request = wheelRequest(upstream.origin, { packages: ['a==2'] })
    const { distributions } = await resolveWheels(request, await testContext())
    expect(distributions[0]).toMatchObject({ version: '2', yanked: 'broken' })
    const error = await refused(
      resolveWheels(wheelRequest(upstream.origin, { packages: ['a>1'] }), await testContext()),
      'UNRESOLVABLE',
    )
    expect(error.message).toContain('2: yanked: broken')
  })

  it('are of the Python and platform of each target', async () => {
    const upstream = await startIndex(
      [
        release('c', '2', [], { tag: 'cp312-cp312-manylinux_2_17_x86_64' }),
        release('c', '1', [], { tag: 'cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64' }),
        release('c', '1', [], { tag: 'cp311-cp311-manylinux_2_28_aarch64' }),
        release('d', '2', [], { requiresPython: '>=3.12' }),
        release('d', '1', ['tomli; python_version < "3.12"']),
        release('tomli', '1'),
      ],
      { format },
    )
    const request = wheelRequest(upstream.origin, {
      packages: ['c', 'd'],
      pythons: ['3.11', '3.12'],
    })
    const { distributions } = await resolveWheels(request, await testContext())
    expect(distributions.map(one => [one.filename.split('-').slice(0, 3).join('-'), ...one.targets])).toEqual(
      [
        ['c-1-cp311', 'cp311-manylinux_2_28_x86_64'],
        ['c-2-cp312', 'cp312-manylinux_2_28_x86_64'],
        ['d-1-py3', 'cp311-manylinux_2_28_x86_64'],
        ['d-2-py3', 'cp312-manylinux_2_28_x86_64'],
        ['tomli-1-py3', 'cp311-manylinux_2_28_x86_64'],
      ],
    )
    const arm = wheelRequest(upstream.origin, { packages: ['c'], platforms: ['manylinux_2_28_aarch64'] })
    expect((await resolveWheels(arm, await testContext())).distributions[0]!.filename).toContain('aarch64')
  })
})

describe('wheels', () => {
  it('keep to constraints and hashes', async () => {
    const [one, two] = [release('a', '1'), release('a', '2')]
    const upstream = await startIndex([one, two])
    const constraints = [
      { text: 'a<2', at: 'c.txt:1' },
      { text: 'unused==9', at: 'c.txt:2' },
    ]
    expect(await chosen(upstream, { packages: ['a'], constraints })).toEqual(['a 1'])
    const hash = `--hash=sha256:${hexOf(digestOf(one.bytes))}`
    expect(await chosen(upstream, { packages: [`a>=1 ${hash}`] })).toEqual(['a 1'])
  })

  it('need a hash each, where one requirement has one', async () => {
    const one = release('a', '1', ['b'])
    const upstream = await startIndex([one, release('b', '1')])
    const request = wheelRequest(upstream.origin, {
      packages: [`a==1 --hash=sha256:${hexOf(digestOf(one.bytes))}`],
    })
    const error = await refused(resolveWheels(request, await testContext()), 'UNRESOLVABLE')
    expect(error.message).toMatch(/\bb\b/)
    expect(error.message).toMatch(/hash/)
  })

  it('takes pre-releases where they are allowed, or where there is nothing else', async () => {
    const upstream = await startIndex([release('a', '1'), release('a', '2rc1'), release('b', '1b1')])
    expect(await chosen(upstream, { packages: ['a', 'b'] })).toEqual(['a 1', 'b 1b1'])
    expect(await chosen(upstream, { packages: ['a'], prereleases: true })).toEqual(['a 2rc1'])
    expect(await chosen(upstream, { packages: ['a>=2rc1'] })).toEqual(['a 2rc1'])
  })

  it('that nothing satisfies are told with the whole chain', async () => {
    const upstream = await startIndex([
      release('top', '1', ['middle']),
      release('middle', '1', ['leaf>=2']),
      release('leaf', '1'),
      release('leaf', '2', [], { tag: 'cp312-cp312-manylinux_2_17_x86_64' }),
    ])
    const request = wheelRequest(upstream.origin, { packages: ['top'] })
    const error = await refused(resolveWheels(request, await testContext()), 'UNRESOLVABLE')
    expect(error.exitCode).toBe(4)
    expect(error.message).toContain('leaf>=2 (required by middle 1')
    expect(error.message).toContain('middle 1 ← top 1 ← requirements.txt:1')
    expect(error.message).toContain('requirements.txt:1')
    expect(error.message).toMatch(/2: .*cp312/)
  })

  it('of an index without metadata are read in parts; without hashes once, whole', async () => {
    const files = [release('a', '1', ['b']), { ...release('b', '1'), sha256: '' }]
    const upstream = await startIndex(files, { apart: false })
    const { distributions } = await resolveWheels(
      wheelRequest(upstream.origin, { packages: ['a'] }),
      await testContext(),
    )
    expect(distributions.map(one => [one.project, one.firstUse, one.sha256])).toEqual([
      ['a', undefined, hexOf(digestOf(files[0]!.bytes))],
      ['b', true, hexOf(digestOf(files[1]!.bytes))],
    ])
    expect(
      upstream.seen
        .filter(one => one.url.endsWith('/a-1-py3-none-any.whl'))
        .every(one => one.headers.range || one.method === 'HEAD'),
    ).toBe(true)
  })

  it('are those that every patch release takes, where there are such', async () => {
    const upstream = await startIndex([
      release('a', '2', [], { requiresPython: '>=3.11.5' }),
      release('a', '1'),
      release('b', '1', [], { requiresPython: '!=3.11.0' }),
    ])
    expect(await chosen(upstream, { packages: ['a'] })).toEqual(['a 1'])
    expect(await chosen(upstream, { packages: ['b'] })).toEqual(['b 1'])
  })

  it('go back to an older version where only the metadata says that the newest is for other Pythons', async () => {
    const upstream = await startIndex(
      [
        release('top', '1', ['a']),
        release('a', '2', [], { requiresPython: '>=3.12' }),
        release('a', '1', [], { requiresPython: '>=3.8' }),
      ],
      { silent: true },
    )
    const request = wheelRequest(upstream.origin, { packages: ['top'], pythons: ['3.11', '3.12'] })
    const { distributions, leftOut } = await resolveWheels(request, await testContext())
    expect(distributions.map(one => [one.project, one.version, one.requiresPython, ...one.targets])).toEqual([
      ['a', '1', '>=3.8', 'cp311-manylinux_2_28_x86_64'],
      ['a', '2', '>=3.12', 'cp312-manylinux_2_28_x86_64'],
      ['top', '1', undefined, 'cp311-manylinux_2_28_x86_64', 'cp312-manylinux_2_28_x86_64'],
    ])
    expect(leftOut).toBeUndefined()
    const pinned = wheelRequest(upstream.origin, { packages: ['a==2'] })
    const error = await refused(resolveWheels(pinned, await testContext()), 'UNRESOLVABLE')
    expect(error.message).toContain('2: needs Python >=3.12')
  })

  it('name what is wrong with a newer version that they leave out', async () => {
    const invalid = wheelFile({ name: 'a', version: '3', requires: ['b (>dev)'] })
    const liar = wheelFile({ name: 'a', version: '2' }, 'Name: a\nVersion: 9\n')
    const upstream = await startIndex([release('a', '1'), liar, invalid], { apart: false })
    const { distributions, leftOut } = await resolveWheels(
      wheelRequest(upstream.origin, { packages: ['a'] }),
      await testContext(),
    )
    expect(distributions.map(one => one.version)).toEqual(['1'])
    expect(leftOut).toEqual([
      {
        name: 'a 2 (a-2-py3-none-any.whl)',
        reason: 'it cannot be used: a file of a 2 claims to be a 9',
      },
      { name: 'a 3 (a-3-py3-none-any.whl)', reason: 'it cannot be used: invalid version specifiers' },
    ])
  })

  it('may be another file of a version whose best file is damaged', async () => {
    const [best, other] = ['cp311-cp311-manylinux_2_17_x86_64', 'py3-none-any'].map(tag =>
      release('a', '1', [], { tag }),
    ) as [ServedFile, ServedFile]
    const upstream = await startIndex([{ ...best, bytes: Buffer.from('not a wheel') }, other], {
      apart: false,
    })
    const { distributions } = await resolveWheels(
      wheelRequest(upstream.origin, { packages: ['a'] }),
      await testContext(),
    )
    expect(distributions.map(one => one.filename)).toEqual(['a-1-py3-none-any.whl'])
  })

  it('come from the first index that has the project', async () => {
    const own = await startIndex([release('a', '1')])
    const other = await startIndex([release('a', '9'), release('b', '1')])
    const indexes = [own, other].map(({ origin }) => ({ url: `${origin}/simple/` }))
    expect(await chosen(own, { packages: ['a', 'b'], indexes })).toEqual(['a 1', 'b 1'])
  })
})
