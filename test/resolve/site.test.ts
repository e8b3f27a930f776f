import { describe, expect, it } from 'vitest'
import { loadManifest } from '../../src/manifest/load.ts'
import { inputsDigest } from '../../src/resolve/inputs.ts'
import { factsOf, forSite, kernelsUnknown, type NamedProbe } from '../../src/resolve/site.ts'
import { stackOf } from '../assemble/support.ts'

const text = `
debs:
  - {name: ubuntu-22.04, archive: "http://x.example", suite: jammy, keys: [k], packages: [jq], kernelPackages: ["linux-headers-{kernel}", dkms]}
rpms:
  - {name: el9, repositories: [{id: baseos, baseurl: "http://y.example", keys: [k]}], packages: [jq], kernelPackages: ["kernel-devel-{kernel}"]}
`
const manifest = async () => await loadManifest((await stackOf(text)).manifest)

const node = (os: NamedProbe['probe']['os'], kernel: string, packages: string[] = []): NamedProbe => ({
  file: `${os.id}-${kernel}.json`,
  probe: {
    probeVersion: 1,
    os,
    kernel: { release: kernel },
    architecture: 'amd64',
    pci: [],
    secureBoot: 'off',
    memory: 0,
    cpus: 0,
    disks: [],
    mounts: [],
    packages: packages.map(one => {
      const [name = '', version = ''] = one.split(' ')
      return { name, version, architecture: 'amd64' }
    }),
  },
})
const jammy = { id: 'ubuntu', version: '22.04' }

describe('a site', () => {
  it('has every running kernel, and omits those that all machines have', async () => {
    const probes = [
      node(jammy, '5.15.0-91-generic', ['bash 5.1', 'curl 7.81', 'vim 8']),
      node(jammy, '5.15.0-119-generic', ['bash 5.1', 'curl 7.82']),
      node(jammy, '5.15.0-91-generic', ['bash 5.1', 'curl 7.81']),
      node({ id: 'rocky', version: '9.4', platform: 'platform:el9' }, '5.14.0-427.el9.x86_64'),
    ]
    const facts = factsOf(await manifest(), probes)
    const adjusted = forSite(await manifest(), facts)
    expect(adjusted.debs[0]).toMatchObject({
      packages: ['dkms', 'jq'],
      kernels: ['5.15.0-119-generic', '5.15.0-91-generic'],
    })
    expect(adjusted.debs[0]?.base).toEqual({
      type: 'list',
      packages: [{ name: 'bash', version: '5.1', architecture: 'amd64' }],
    })
    expect(adjusted.rpms[0]).toMatchObject({ packages: ['jq'], kernels: ['5.14.0-427.el9.x86_64'] })
    expect(kernelsUnknown(await manifest(), facts)).toEqual([])
  })

  it('changes the digest of inputs, and the same facts do not change it again', async () => {
    const facts = factsOf(await manifest(), [node(jammy, '5.15.0-91-generic')])
    const adjusted = inputsDigest(forSite(await manifest(), facts))
    expect(adjusted).not.toBe(inputsDigest(forSite(await manifest(), [])))
    expect(adjusted).toBe(inputsDigest(forSite(await manifest(), JSON.parse(JSON.stringify(facts)))))
  })

  it('without probes has packages that need no kernel, and names the entries without theirs', async () => {
    const adjusted = forSite(await manifest(), [])
    expect(adjusted.debs[0]?.packages).toEqual(['dkms', 'jq'])
    expect(kernelsUnknown(await manifest(), [])).toEqual(['ubuntu-22.04', 'el9'])
  })

  it('with a machine that no entry serves is refused, and the error names the entries', async () => {
    const probe = node({ id: 'debian', version: '13' }, '6.12.0-1-amd64')
    const stack = await manifest()
    expect(() => factsOf(stack, [probe])).toThrow(
      expect.objectContaining({
        code: 'MANIFEST_INVALID',
        item: 'debian-6.12.0-1-amd64.json',
        likely: 'it has entries for ubuntu-22.04, el9',
      }),
    )
  })
})
