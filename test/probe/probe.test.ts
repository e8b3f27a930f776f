import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isErrorCode } from '../../src/core/errors.ts'
import { probeMachine } from '../../src/probe/machine.ts'
import { type Probe, parseProbe } from '../../src/probe/schema.ts'
import { missing, must } from '../kinds/deb/support/programs.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-probe-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function root(name: string, files: Record<string, string | Buffer>): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name, path)), { recursive: true })
    await writeFile(join(folder, name, path), content)
  }
  return join(folder, name)
}

const ubuntu = {
  'etc/os-release':
    'NAME="Ubuntu"\nID=ubuntu\nVERSION_ID="22.04"\nVERSION_CODENAME=jammy\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
  'var/lib/dpkg/status': [
    'Package: bash\nStatus: install ok installed\nVersion: 5.1-6ubuntu1.1\nArchitecture: amd64\nDescription: a shell\n Package: not one\n',
    'Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: amd64\n',
    'Package: tzdata\nVersion: 2024a\nArchitecture: all\nStatus: install ok installed\n',
  ].join('\n'),
  'sys/bus/pci/devices/0000:17:00.0/vendor': '0x10de\n',
  'sys/bus/pci/devices/0000:17:00.0/device': '0x2335\n',
  'sys/bus/pci/devices/0000:17:00.0/class': '0x030200\n',
  'sys/block/nvme0n1/size': '2000409264\n',
  'sys/block/nvme0n1/device/model': 'SAMSUNG MZQL2\n',
  'sys/block/loop0/size': '8\n',
}

describe('a machine', () => {
  it('is described by its files', async () => {
    const probe = await probeMachine(await root('ubuntu', ubuntu))
    expect(probe).toMatchObject({
      probeVersion: 1,
      os: { id: 'ubuntu', version: '22.04', codename: 'jammy' },
      pci: [{ id: '10de:2335', class: '030200' }],
      secureBoot: 'none',
      disks: [{ name: 'nvme0n1', size: 2000409264 * 512, model: 'SAMSUNG MZQL2' }],
      packages: [
        { name: 'bash', version: '5.1-6ubuntu1.1', architecture: 'amd64' },
        { name: 'tzdata', version: '2024a', architecture: 'all' },
      ],
    })
    expect(parseProbe(JSON.stringify(probe), 'probe.json')).toEqual(probe)
  })

  it.each([
    ['on', 1],
    ['off', 0],
  ] as const)('says that Secure Boot is %s', async (state, value) => {
    const place = await root(`efi-${state}`, {
      ...ubuntu,
      'sys/firmware/efi/efivars/SecureBoot-8be4df61': Buffer.from([6, 0, 0, 0, value]),
    })
    expect((await probeMachine(place)).secureBoot).toBe(state)
  })

  it('is described without its name and addresses', async () => {
    const text = JSON.stringify(await probeMachine('/'))
    expect(text).not.toContain(`"${hostname()}"`)
    expect(text).not.toMatch(/"(?:\d{1,3}\.){3}\d{1,3}"/)
  })

  it('without os-release is refused', async () => {
    await expect(probeMachine(await root('empty', { 'etc/hostname': 'x' }))).rejects.toMatchObject({
      code: 'UNSUPPORTED',
    })
  })

  const lacking = missing('dpkg-query')
  it.skipIf(lacking.length > 0)(
    `has the packages that dpkg itself lists (needs ${lacking.join(', ') || 'nothing more'})`,
    async () => {
      const list = await must('dpkg-query', [
        '-W',
        '-f',
        '${db:Status-Status} ${Package} ${Version} ${Architecture}\n',
      ])
      const installed = list
        .split('\n')
        .filter(line => line.startsWith('installed '))
        .map(line => line.slice(10))
      const { packages } = await probeMachine('/')
      expect(packages.map(one => `${one.name} ${one.version} ${one.architecture}`).sort()).toEqual(
        installed.sort(),
      )
    },
  )

  const lackingRpm = missing('rpm', 'rpmbuild')
  it.skipIf(lackingRpm.length > 0)(
    `is asked for its packages by rpm (needs ${lackingRpm.join(', ') || 'nothing more'})`,
    async () => {
      const place = await root('el', {
        'etc/os-release': 'ID="rocky"\nVERSION_ID="9.4"\nPLATFORM_ID="platform:el9"\n',
      })
      await writeFile(
        join(folder, 'a.spec'),
        'Name: thing\nEpoch: 2\nVersion: 1.0~rc1\nRelease: 3.el9\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%description\nx\n%files\n',
      )
      await must('rpmbuild', ['-bb', '--define', `_topdir ${folder}/build`, join(folder, 'a.spec')])
      await must('rpm', [
        '--root',
        place,
        '-i',
        '--nodeps',
        '--noscripts',
        join(folder, 'build/RPMS/noarch/thing-1.0~rc1-3.el9.noarch.rpm'),
      ])
      const { packages, os } = await probeMachine(place)
      expect(os.platform).toBe('platform:el9')
      expect(packages).toEqual([{ name: 'thing', version: '2:1.0~rc1-3.el9', architecture: 'noarch' }])
    },
  )
})

describe('a probe file', () => {
  const good: Probe = {
    probeVersion: 1,
    os: { id: 'ubuntu', version: '22.04' },
    kernel: { release: '5.15.0-91-generic' },
    architecture: 'amd64',
    pci: [],
    secureBoot: 'off',
    memory: 1,
    cpus: 1,
    disks: [],
    mounts: [],
    packages: [],
  }

  it.each([
    ['cut short', '{"probeVersion":1,'],
    ['of another version', JSON.stringify({ ...good, probeVersion: 2 })],
    ['with a kernel that is a command', JSON.stringify({ ...good, kernel: { release: '5.15; rm -rf /' } })],
    ['with a kernel that is a path', JSON.stringify({ ...good, kernel: { release: '../../etc' } })],
    [
      'with a package that is none',
      JSON.stringify({ ...good, packages: [{ name: '$(id)', version: '1', architecture: 'amd64' }] }),
    ],
    ['that is a list', '[]'],
  ])('%s is refused', (_, text) => {
    expect(() => parseProbe(text, 'probe.json')).toThrow(
      expect.objectContaining({ code: 'MANIFEST_INVALID', item: 'probe.json' }),
    )
  })

  it('is parsed or refused with an error, whatever it contains (property)', () => {
    fc.assert(
      fc.property(fc.json(), text => {
        try {
          parseProbe(text, 'x')
        } catch (error) {
          expect(isErrorCode(error, 'MANIFEST_INVALID')).toBe(true)
        }
      }),
    )
  })
})
