import { describe, expect, it } from 'vitest'
import type { DebPin, PolicySource } from '../../../src/kinds/deb/pin.ts'
import { priorities } from '../../../src/kinds/deb/policy.ts'
import { both, type Machine, universeOf } from './support/both.ts'
import { missing } from './support/programs.ts'
import { candidateOf, type WorldPackage } from './support/world.ts'

const lacking = missing('apt-get')

const stable: WorldPackage[] = [
  { name: 'app', version: '1.0', depends: 'lib (>= 1)' },
  { name: 'lib', version: '1.0' },
  { name: 'tool', version: '1.0' },
]
const updates: WorldPackage[] = [
  { name: 'lib', version: '1.0+u1' },
  { name: 'tool', version: '1.0' },
]
const backports: WorldPackage[] = [
  { name: 'app', version: '2.0~bpo1', depends: 'lib (>= 2), extra' },
  { name: 'lib', version: '2.0~bpo1' },
  { name: 'extra', version: '2.0~bpo1' },
]
const vendor: WorldPackage[] = [
  { name: 'lib', version: '9', architecture: 'all' },
  { name: 'driver-550', version: '550.1', builtFrom: 'nvidia' },
  { name: 'driver-550', version: '550.2', builtFrom: 'nvidia' },
]
const both386: WorldPackage[] = ['1', '2'].flatMap(version =>
  ['amd64', 'i386'].map(architecture => ({ name: 'shared', version, architecture })),
)
const suites = {
  stable: { release: { Origin: 'Debian', Codename: 'solid', Version: '12.4' }, packages: stable },
  'stable-updates': { release: { Origin: 'Debian' }, packages: updates },
  'stable-backports': {
    release: { Origin: 'Debian', NotAutomatic: 'yes', ButAutomaticUpgrades: 'yes' },
    packages: backports,
  },
  experimental: { release: { NotAutomatic: 'yes' }, packages: [{ name: 'tool', version: '9' }] },
}
const withVendor = {
  ...suites,
  vendor: { release: { Origin: 'Vendor', Label: 'Vendor CUDA' }, packages: vendor },
}
const pin = (priority: number, rest: Partial<DebPin>): DebPin => ({ packages: ['*'], priority, ...rest })

/** What is asked, and what apt answers: both sides are compared, and the answer is written down. */
const cases: [string, Machine, string, string[] | 'refused'][] = [
  ['the newest of suites of one priority', { suites }, 'app', ['app_1.0_amd64', 'lib_1.0+u1_amd64']],
  ['what two suites have counts once', { suites }, 'tool', ['tool_1.0_amd64']],
  ['a NotAutomatic suite where nothing else has it', { suites }, 'extra', ['extra_2.0~bpo1_amd64']],
  [
    'package/suite, and what it needs from there',
    { suites },
    'app/stable-backports',
    ['app_2.0~bpo1_amd64', 'extra_2.0~bpo1_amd64', 'lib_2.0~bpo1_amd64'],
  ],
  ['package/codename', { suites }, 'app/solid', ['app_1.0_amd64', 'lib_1.0+u1_amd64']],
  ['package=version', { suites }, 'lib=1.0', ['lib_1.0_amd64']],
  ['package=version whose needs are not the candidates', { suites }, 'app=2.0~bpo1', 'refused'],
  ['a newer version of another origin', { suites: withVendor }, 'lib', ['lib_9_all']],
  [
    'a source pinned down',
    { suites: withVendor, pins: [pin(400, { origin: 'Vendor' })] },
    'lib',
    ['lib_1.0+u1_amd64'],
  ],
  ['a source never', { suites: withVendor, pins: [pin(-1, { origin: 'Vendor' })] }, 'driver-550', 'refused'],
  [
    'the first pin that fits, for all packages',
    { suites: withVendor, pins: [pin(-1, { origin: 'Vendor' }), pin(900, { origin: 'Vendor' })] },
    'driver-550',
    'refused',
  ],
  [
    'a package by its version',
    { suites: withVendor, pins: [{ packages: ['driver-*'], version: '550.1*', priority: 600 }] },
    'driver-550',
    ['driver-550_550.1_amd64'],
  ],
  [
    'a package from a suite, by wildcard',
    { suites, pins: [{ packages: ['ap*', 'lib', 'extra'], suite: 'stable-backports', priority: 990 }] },
    'app',
    ['app_2.0~bpo1_amd64', 'extra_2.0~bpo1_amd64', 'lib_2.0~bpo1_amd64'],
  ],
  [
    'a pin with a name before one for all',
    {
      suites: withVendor,
      pins: [pin(1001, { origin: 'Vendor' }), { packages: ['lib'], suite: 'stable-updates', priority: 1002 }],
    },
    'lib',
    ['lib_1.0+u1_amd64'],
  ],
  [
    'a package by a regular expression, in either case of letters',
    {
      suites: withVendor,
      pins: [{ packages: ['/^DRIVER-[0-9]+$/'], version: '550.1*', priority: 600 }],
    },
    'driver-550',
    ['driver-550_550.1_amd64'],
  ],
  [
    'a regular expression that fits no package',
    { suites: withVendor, pins: [{ packages: ['/^river/'], version: '550.1*', priority: 600 }] },
    'driver-550',
    ['driver-550_550.2_amd64'],
  ],
  [
    'a version by a regular expression',
    { suites: withVendor, pins: [{ packages: ['driver-550'], version: '/\\.1$/', priority: 600 }] },
    'driver-550',
    ['driver-550_550.1_amd64'],
  ],
  [
    'a source by its label',
    { suites: withVendor, pins: [pin(-1, { label: 'Vendor CUDA' })] },
    'driver-550',
    'refused',
  ],
  [
    'a source by the start of its label alone',
    { suites: withVendor, pins: [pin(-1, { label: 'Vendor' })] },
    'driver-550',
    ['driver-550_550.2_amd64'],
  ],
  [
    'a source by a pattern',
    { suites: withVendor, pins: [pin(-1, { label: 'vendor*' })] },
    'driver-550',
    'refused',
  ],
  [
    'a source by its codename',
    { suites, pins: [pin(1001, { codename: 'solid' })] },
    'lib',
    ['lib_1.0_amd64'],
  ],
  [
    'a source by its archive, which a codename is not',
    { suites, pins: [pin(1001, { archive: 'solid' })] },
    'lib',
    ['lib_1.0+u1_amd64'],
  ],
  [
    'a source by the version of the release',
    { suites, pins: [pin(1001, { releaseVersion: '12*' })] },
    'lib',
    ['lib_1.0_amd64'],
  ],
  [
    'a source by component and label',
    { suites: withVendor, pins: [pin(-1, { component: 'main', label: 'Vendor CUDA' })] },
    'driver-550',
    'refused',
  ],
  [
    'a source by a component that it lacks',
    { suites: withVendor, pins: [pin(-1, { component: 'contrib', label: 'Vendor CUDA' })] },
    'driver-550',
    ['driver-550_550.2_amd64'],
  ],
  [
    'packages by their source package',
    { suites: withVendor, pins: [{ packages: ['src:nvidia'], version: '550.1', priority: 600 }] },
    'driver-550',
    ['driver-550_550.1_amd64'],
  ],
  [
    'a name without an architecture is of the native one',
    {
      suites: { stable: { packages: both386 } },
      foreign: ['i386'],
      pins: [{ packages: ['shared'], version: '1', priority: 600 }],
    },
    'shared:i386',
    ['shared_2_i386'],
  ],
  [
    'a name of another architecture',
    {
      suites: { stable: { packages: both386 } },
      foreign: ['i386'],
      pins: [{ packages: ['shared:i386'], version: '1', priority: 600 }],
    },
    'shared:i386',
    ['shared_1_i386'],
  ],
  ['package=version with a star', { suites: withVendor }, 'driver-550=550.1*', ['driver-550_550.1_amd64']],
  ['package=*: the newest version', { suites: withVendor }, 'driver-550=550*', ['driver-550_550.2_amd64']],
  ['package=version by a pattern', { suites: withVendor }, 'driver-550=*.[1]', ['driver-550_550.1_amd64']],
  ['package=version that fits none', { suites: withVendor }, 'driver-550=551*', 'refused'],
  ['package/pattern', { suites }, 'lib/*-updates', ['lib_1.0+u1_amd64']],
  ['package/version of the release', { suites }, 'lib/12*', ['lib_1.0_amd64']],
  [
    'package:architecture/suite',
    { suites: { stable: { packages: both386 } }, foreign: ['i386'] },
    'shared:i386/stable',
    ['shared_2_i386'],
  ],
  [
    'package:architecture=version',
    { suites: { stable: { packages: both386 } }, foreign: ['i386'] },
    'shared:i386=1*',
    ['shared_1_i386'],
  ],
  [
    'backports for what comes from there already',
    { suites, installed: [{ name: 'extra', version: '1.9~bpo1' }] },
    'extra',
    ['extra_2.0~bpo1_amd64'],
  ],
  [
    'a downgrade at 1000 and more',
    {
      suites,
      installed: [{ name: 'lib', version: '5' }],
      pins: [{ packages: ['lib'], suite: 'stable', priority: 1001 }],
    },
    'lib',
    ['lib_1.0_amd64'],
  ],
  ['no downgrade below', { suites, installed: [{ name: 'lib', version: '5' }] }, 'app', ['app_1.0_amd64']],
]

describe.skipIf(lacking.length > 0)(
  `priorities as apt has them (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    it.each(cases)('%s', async (_, machine, name, expected) => {
      await using sides = await both(machine)
      const request = { names: [name] }
      expect(await sides.apts(request), await sides.tell(request)).toEqual(expected)
      expect(sides.ours(request)).toEqual(expected)
    })

    const phased = {
      stable: {
        packages: [
          { name: 'app', version: '1' },
          { name: 'base', version: '1' },
        ],
      },
      'stable-updates': {
        packages: [
          { name: 'app', version: '2', phased: 30 },
          { name: 'base', version: '2', phased: 0 },
          { name: 'fresh', version: '2', phased: 50 },
        ],
      },
    }
    // apt's own way where phasing is decided by policy, on a machine that takes none (apt.conf(5))
    const settings = {
      'APT::Get::Phase-Policy': 'true',
      'APT::Get::Never-Include-Phased-Updates': 'true',
    }

    it.each([
      ['app', [], ['app_1_amd64']],
      ['app=2', [], ['app_2_amd64']],
      ['fresh', [], ['fresh_2_amd64']],
      ['base', [{ name: 'base', version: '1' }], []],
      ['base', [{ name: 'base', version: '2' }], []],
    ])('phased updates are held back: %s', async (name, installed, expected) => {
      await using sides = await both({ suites: phased, installed, settings })
      expect(await sides.apts({ names: [name] })).toEqual(expected)
      expect(sides.ours({ names: [name] })).toEqual(expected)
    })
  },
)

describe('priorities', () => {
  const sources = [
    { archive: 'http://a.example/x', suite: 'stable', release: { Origin: 'A' }, priority: 700 },
    { archive: 'http://b.example', suite: 'other', release: { Origin: 'B', NotAutomatic: 'yes' } },
  ] satisfies PolicySource[]

  it('a source has its own where no pin fits', () => {
    const of = priorities(sources, [])
    expect([of(candidateOf({ name: 'x' }, 0)), of(candidateOf({ name: 'x' }, 1))]).toEqual([700, 1])
    expect(of({ ...candidateOf({ name: 'x' }, 1), alsoIn: [0] })).toBe(700)
    expect(priorities(sources, [pin(5, { suite: 'stable' })])(candidateOf({ name: 'x' }, 0))).toBe(5)
  })

  it.each([
    ['linux-*', 'linux-image', true],
    ['linux-*', 'linu', false],
    ['*-dev', 'libc-dev', true],
    ['a*b*c', 'axxbxxc', true],
    ['a*b*c', 'acb', false],
    ['aa*aa', 'aaa', false],
    ['x', 'x', true],
    ['x', 'xx', false],
    [`${'*a'.repeat(40)}b`, 'a'.repeat(5_000), false],
  ])('%s and %s: %s', (pattern, name, fits) => {
    const of = priorities(sources, [{ packages: [pattern], suite: 'stable', priority: 42 }])
    expect(of(candidateOf({ name }, 0)) === 42).toBe(fits)
  })

  it('what a message says of versions names the suites', () => {
    const universe = universeOf({ suites })
    const there = universe.find('lib')!.versions.map(version => universe.describe(version))
    expect(there).toEqual(['2.0~bpo1 (stable-backports)', '1.0+u1 (stable-updates)', '1.0 (stable)'])
  })
})
