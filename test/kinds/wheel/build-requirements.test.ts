import { describe, expect, it } from 'vitest'
import { resolveWheels } from '../../../src/kinds/wheel/resolve.ts'
import { refused, testContext } from '../support/context.ts'
import { type ServedFile, startIndex, wheelFile, wheelRequest } from './support/package-index.ts'
import { sourceDistribution } from './support/source-distribution.ts'

const wheel = (name: string, version: string, requires: string[] = []) =>
  wheelFile({ name, version, requires })
const pyproject = (requires: string[], backend = 'setuptools.build_meta') =>
  `[build-system]\nrequires = ${JSON.stringify(requires)}\nbuild-backend = "${backend}"\n`
const app = { name: 'app', version: '1.0' }

async function lock(files: readonly ServedFile[], packages: string[], sdists = ['*']) {
  const upstream = await startIndex(files)
  const context = await testContext()
  const locked = await resolveWheels(wheelRequest(upstream.origin, { packages, sdists }), context)
  return {
    chosen: locked.distributions.map(one =>
      [one.project, one.version, one.requested ? 'requested' : one.because].join(' '),
    ),
    notes: context.progress.notes.join('\n'),
  }
}

describe('a source distribution', () => {
  it('with a wrong digest stops everything before it is read, though an older version could be chosen', async () => {
    const changed = sourceDistribution({ name: 'app', version: '2.0' }, undefined)
    for (const bytes of [Buffer.from('not an archive'), sourceDistribution(app, undefined).bytes]) {
      const files = [{ ...changed, bytes, sha256: 'a'.repeat(64) }, wheel('app', '1.0')]
      expect((await refused(lock(files, ['app']), 'DIGEST_MISMATCH')).item).toContain('app-2.0.tar.gz')
    }
  })

  it('brings what pyproject.toml requires for its build, with its closure', async () => {
    const { chosen, notes } = await lock(
      [
        sourceDistribution(
          { ...app, requires: ['lib'] },
          pyproject(['hatchling>=1', 'win; os_name == "nt"'], 'hatchling.build'),
        ),
        wheel('hatchling', '1.2', ['packaging']),
        wheel('hatchling', '0.9'),
        wheel('packaging', '24'),
        wheel('lib', '1'),
      ],
      ['app'],
    )
    expect(chosen).toEqual(['app 1.0 requested', 'hatchling 1.2 app', 'lib 1 app', 'packaging 24 hatchling'])
    expect(notes).toContain('app-1.0.tar.gz is carried as source, with what its build requires (hatchling>=1')
  })

  it('builds in an environment of its own: neither versions nor constraints of the closure count', async () => {
    const { chosen } = await lock(
      [
        sourceDistribution(app, pyproject(['setuptools>=75'])),
        wheel('setuptools', '80'),
        wheel('setuptools', '71'),
      ],
      ['app', 'setuptools<75'],
    )
    expect(chosen).toEqual(['app 1.0 requested', 'setuptools 71 requested', 'setuptools 80 app'])
  })

  it.each([
    ['no pyproject.toml', undefined],
    ['no build system in it', '[project]\nname = "app"\n'],
  ])('with %s is built by setuptools, as pip does', async (_, text) => {
    const files = [sourceDistribution(app, text), wheel('setuptools', '80'), wheel('wheel', '0.45')]
    expect((await lock(files, ['app'])).chosen).toEqual(['app 1.0 requested', 'setuptools 80 app'])
  })

  it('brings wheel where setuptools is too old to do without', async () => {
    const files = [
      sourceDistribution(app, pyproject(['setuptools<70'])),
      wheel('setuptools', '69'),
      wheel('wheel', '0.45'),
    ]
    expect((await lock(files, ['app'])).chosen).toEqual([
      'app 1.0 requested',
      'setuptools 69 app',
      'wheel 0.45 app',
    ])
  })

  it('may need another source distribution for its build', async () => {
    const files = [
      sourceDistribution(app, pyproject(['backend'], 'backend')),
      sourceDistribution({ name: 'backend', version: '2' }, pyproject(['flit_core'], 'flit_core.buildapi')),
      wheel('flit-core', '3'),
    ]
    expect((await lock(files, ['app'])).chosen).toEqual([
      'app 1.0 requested',
      'backend 2 app',
      'flit-core 3 backend',
    ])
    const error = await refused(lock(files, ['app'], ['app']), 'UNRESOLVABLE')
    expect(error.message).toContain('required by app 1.0, to build it')
    expect(error.message).toContain('only a source distribution')
  })

  it('whose pyproject.toml is invalid is refused', async () => {
    for (const text of ['[build-system', '[build-system]\nrequires = "setuptools"\n', '[build-system]\n'])
      await refused(lock([sourceDistribution(app, text)], ['app']), 'UPSTREAM_INVALID')
  })
})
