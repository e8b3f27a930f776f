import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { baseOf } from '../../../src/kinds/deb/base.ts'
import { debKind } from '../../../src/kinds/deb/index.ts'
import { Universe } from '../../../src/kinds/deb/universe.ts'
import { Gpg, signArchive } from './support/archive.ts'
import { both, type Machine, ourOutcome } from './support/both.ts'
import { missing, tempFolder } from './support/programs.ts'
import { errorOf, lockDebs, sourceOf } from './support/resolve.ts'
import { type FileServer, serveFolder } from './support/server.ts'
import { listOf, type WorldPackage, writeWorld } from './support/world.ts'

const lacking = missing('apt-get', 'gpg')
const built = (one: WorldPackage): WorldPackage[] => [one, { ...one, architecture: 'i386' }]

const wine: WorldPackage[] = [
  ...built({ name: 'libc', multiArch: 'same', version: '2' }),
  { name: 'wine', depends: 'wine64 | wine32, loader' },
  { name: 'wine64', depends: 'libc' },
  { name: 'wine32', architecture: 'i386', depends: 'libc, perl:any, data' },
  { name: 'loader', depends: 'data, perl' },
  { name: 'data', architecture: 'all', multiArch: 'foreign' },
  { name: 'plain', architecture: 'all' },
  ...built({ name: 'perl', multiArch: 'allowed', depends: 'libc' }),
  ...built({ name: 'tool' }),
  ...built({ name: 'skewed', multiArch: 'same' }).map((one, i) => ({ ...one, version: String(i + 1) })),
  { name: 'needs-plain', architecture: 'i386', depends: 'plain' },
  { name: 'named', depends: 'tool:i386, libc:amd64' },
]

describe.skipIf(lacking.length > 0)(
  `machines as apt sees them (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    const two: Machine = { suites: { stable: { packages: wine } }, foreign: ['i386'] }

    it.each([
      [
        ['wine'],
        ['data_1_all', 'libc_2_amd64', 'loader_1_amd64', 'perl_1_amd64', 'wine64_1_amd64', 'wine_1_amd64'],
      ],
      // Multi-Arch: same beside itself, foreign and allowed for both
      [
        ['wine', 'wine32:i386'],
        [
          'data_1_all',
          'libc_2_amd64',
          'libc_2_i386',
          'loader_1_amd64',
          'perl_1_amd64',
          'wine32_1_i386',
          'wine64_1_amd64',
          'wine_1_amd64',
        ],
      ],
      [['tool', 'tool:i386'], 'refused'],
      [['tool:i386'], ['tool_1_i386']],
      [['skewed', 'skewed:i386'], 'refused'],
      [['needs-plain:i386'], 'refused'],
      [['named'], ['libc_2_amd64', 'named_1_amd64', 'tool_1_i386']],
      [['named', 'tool'], 'refused'],
    ])('fault 44: %j on amd64 with i386', async (names, expected) => {
      await using sides = await both(two)
      expect(await sides.apts({ names }), await sides.tell({ names })).toEqual(expected)
      expect(sides.ours({ names })).toEqual(expected)
    })

    it('an architecture that the machine does not have is named', async () => {
      await using sides = await both({ suites: two.suites })
      expect(sides.ours({ names: ['tool:i386'] })).toBe('refused')
      expect(await sides.apts({ names: ['tool:i386'] })).toBe('refused')
    })

    const server: WorldPackage[] = [
      { name: 'app', depends: 'lib (>= 2), mta, shell' },
      { name: 'lib', version: '1' },
      { name: 'lib', version: '2', breaks: 'old-app (<< 2)' },
      { name: 'old-app', version: '2' },
      { name: 'mail', provides: 'mta' },
      { name: 'other-mail', provides: 'mta' },
      { name: 'shell', version: '2' },
    ]

    it.each([
      [[], ['app_1_amd64', 'lib_2_amd64', 'mail_1_amd64', 'shell_2_amd64']],
      // an installed package that will do, whatever its version
      [
        [
          { name: 'mail', provides: 'mta' },
          { name: 'shell', version: '1' },
        ],
        ['app_1_amd64', 'lib_2_amd64'],
      ],
      // one that is too old, and what the new one breaks
      [
        [
          { name: 'lib', version: '1' },
          { name: 'old-app', version: '1' },
        ],
        ['app_1_amd64', 'lib_2_amd64', 'mail_1_amd64', 'old-app_2_amd64', 'shell_2_amd64'],
      ],
      [
        server.filter(
          one => !['other-mail', 'old-app'].includes(one.name) && (one.name !== 'lib' || one.version === '2'),
        ),
        [],
      ],
    ])('leaves out what is installed: %j', async (installed, withoutProviders) => {
      await using sides = await both({ suites: { stable: { packages: server } }, installed })
      const theirs = await sides.apts({ names: ['app'] })
      expect(sides.ours({ names: ['app'] })).toEqual(theirs)
      const names = (outcome: typeof theirs) =>
        outcome !== 'refused' && outcome.map(one => one.replace('other-mail', 'mail')).sort()
      expect(names(theirs)).toEqual(withoutProviders)
    })

    it('what is installed in a version that is nowhere any more stands for itself and what it provides', () => {
      const lists = [listOf(server)]
      const packages = [
        { name: 'other-mail', version: '0.9', architecture: 'amd64' },
        { name: 'shell', version: '3', architecture: 'amd64' },
        { name: 'unheard-of', version: '1', architecture: 'all' },
        { name: 'elsewhere', version: '1', architecture: 'arm64' },
      ]
      const options = { architecture: 'amd64', foreign: [], at: 'test' }
      const installed = baseOf({ type: 'list', packages }, lists, options)
      expect(installed.map(one => one.name)).toEqual(['other-mail', 'shell', 'unheard-of'])
      const universe = new Universe(lists, { architecture: 'amd64', installed })
      expect(ourOutcome(universe, { names: ['app'], recommends: false, at: '' })).toEqual([
        'app_1_amd64',
        'lib_2_amd64',
      ])
    })

    describe('in the lock', () => {
      const resources = new AsyncDisposableStack()
      let folder: string
      let archive: FileServer
      let key: string
      const packages: WorldPackage[] = [
        ...wine,
        { name: 'essential', essential: true, priority: 'required', depends: 'libc' },
        { name: 'nano', priority: 'important' },
        { name: 'less', priority: 'standard' },
        { name: 'wants-all', depends: 'essential, nano, less, fresh' },
        { name: 'fresh', version: '1' },
      ]
      const updates: WorldPackage[] = [
        { name: 'nano', version: '1.1' },
        { name: 'fresh', version: '1.1', depends: 'essential (>= 1)' },
      ]

      beforeAll(async () => {
        folder = resources.use(await tempFolder()).path
        const gpg = resources.use(await Gpg.open(join(folder, 'gnupg')))
        await gpg.makeKey('archive')
        key = await gpg.exportTo(join(folder, 'archive.asc'), 'archive')
        const root = join(folder, 'archive')
        const suites = { stable: { packages }, 'stable-updates': { packages: updates } }
        await writeWorld(root, suites, { architectures: ['amd64', 'i386'] })
        for (const suite of Object.keys(suites)) await signArchive(root, { gpg, suite, users: ['archive'] })
        archive = resources.use(await serveFolder(root))
      })
      afterAll(() => resources.disposeAsync())

      const lock = (names: string[], more: Parameters<typeof lockDebs>[0] | object = {}) => {
        const sources = ['stable', 'stable-updates'].map(suite =>
          sourceOf({ archive: archive.url, suite, keys: [key] }),
        )
        return lockDebs({ archive: archive.url, keys: [key], packages: names, sources, ...more }, { folder })
      }

      it('each package has its source; both architectures have their index', async () => {
        const locked = await lock(['fresh', 'wine32:i386'], { foreignArchitectures: ['i386'] })
        expect(locked.foreignArchitectures).toEqual(['i386'])
        expect(debKind.schema.parse(locked)).toEqual(locked)
        const told = locked.packages.map(
          one => `${one.name} ${one.version} ${one.architecture} ${one.source} ${one.because ?? '-'}`,
        )
        expect(told).toEqual([
          'data 1 all 0 wine32',
          'essential 1 amd64 0 fresh',
          'fresh 1.1 amd64 1 -',
          'libc 2 amd64 0 essential',
          'libc 2 i386 0 wine32',
          'perl 1 amd64 0 wine32',
          'wine32 1 i386 0 -',
        ])
        const [artifact] = debKind.assemble([locked])
        const manifest = Buffer.from(artifact!.inline[0]!.bytes).toString()
        for (const index of ['stable/main/binary-i386', 'stable-updates/main/binary-amd64'])
          expect(manifest).toContain(`dists/${index}/Packages`)
      })

      it.each([
        ['minimal', 3, ['fresh 1.1', 'less 1', 'wants-all 1']],
        ['server', 4, ['fresh 1.1', 'wants-all 1']],
        ['cloud', 4, ['fresh 1.1', 'wants-all 1']],
      ] as const)('base: %s', async (name, leftOut, expected) => {
        const locked = await lock(['wants-all'], { base: { type: 'named', name } })
        // libc, too, is there: essential needs it
        expect(locked.base).toEqual({ name, leftOut })
        expect(locked.packages.map(one => `${one.name} ${one.version}`)).toEqual(expected)
      })

      it('carries a requested package that has been updated, although the base has it', async () => {
        const locked = await lock(['nano'], { base: { type: 'named', name: 'minimal' } })
        expect(locked.packages.map(one => `${one.name} ${one.version}`)).toEqual(['nano 1.1'])
      })

      it('says so where the first source is not the release', async () => {
        const sources = [sourceOf({ archive: archive.url, suite: 'stable-updates', keys: [key] })]
        const error = await errorOf(lock(['nano'], { sources, base: { type: 'named', name: 'minimal' } }))
        expect(error.message).toContain('has no essential packages')
        expect([error.code, error.item]).toEqual(['UNRESOLVABLE', 'stack.yaml:7:5'])
      })

      it('names the suites of the versions that will not do', async () => {
        const error = await errorOf(lock(['fresh=9']))
        expect(error.message).toContain('available: 1.1 (stable-updates), 1 (stable)')
      })
    })
  },
)
