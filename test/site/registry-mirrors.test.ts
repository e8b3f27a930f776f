import { describe, expect, it } from 'vitest'
import { hostsToml, kubesprayMirrors, registryMirrors } from '../../src/site/registry-mirrors.ts'

const address = { scheme: 'http', host: '10.77.0.1', registryPort: 35000, httpPort: 8080 } as const

describe('mirrors of upstream registries', () => {
  it('are the site alone, for each registry once, for itself and for any other', () => {
    const list = registryMirrors({ address, upstreams: ['docker.io', 'quay.io', '10.77.0.1:35000'] })
    expect(list.map(({ registry }) => registry)).toEqual([
      'docker.io',
      'quay.io',
      '10.77.0.1:35000',
      '_default',
    ])
    for (const { mirrors } of list) expect(mirrors).toEqual([{ registry: '10.77.0.1:35000', scheme: 'http' }])
  })

  it('keep their order in every form, and a miss goes to the last', () => {
    const mirrors = [
      { registry: 'harbor.site', scheme: 'https' as const },
      { registry: '10.77.0.1:35000', scheme: 'http' as const },
    ]
    const toml = hostsToml({ registry: 'docker.io', mirrors })
    expect(toml.match(/^server = .*$/m)?.[0]).toBe('server = "http://10.77.0.1:35000"')
    expect([...toml.matchAll(/^\[host\."(.*)"\]$/gm)].map(([, url]) => url)).toEqual([
      'https://harbor.site',
      'http://10.77.0.1:35000',
    ])
    const variables = kubesprayMirrors([{ registry: 'docker.io', mirrors }])
    expect(variables).toMatchObject({
      containerd_registries_mirrors: [
        {
          prefix: 'docker.io',
          server: 'http://10.77.0.1:35000',
          mirrors: [
            { host: 'https://harbor.site', skip_verify: false },
            { host: 'http://10.77.0.1:35000', skip_verify: true },
          ],
        },
      ],
      crio_registries: [
        {
          prefix: 'docker.io',
          mirrors: [
            { location: 'harbor.site', insecure: false },
            { location: '10.77.0.1:35000', insecure: true },
          ],
        },
      ],
      crio_insecure_registries: ['10.77.0.1:35000'],
    })
  })

  it('name the CA for https alone, in every form', () => {
    const mirrors = [
      { registry: '10.77.0.1:35000', scheme: 'https' as const },
      { registry: 'plain.site', scheme: 'http' as const },
    ]
    const trust = { caFile: '/ca.crt' }
    expect(hostsToml({ registry: 'docker.io', mirrors }, trust)).toBe(
      'server = "http://plain.site"\n\n[host."https://10.77.0.1:35000"]\n  capabilities = ["pull", "resolve"]\n  ca = "/ca.crt"\n\n[host."http://plain.site"]\n  capabilities = ["pull", "resolve"]\n',
    )
    const { containerd_registries_mirrors: variables } = kubesprayMirrors(
      [{ registry: 'docker.io', mirrors }],
      trust,
    )
    expect(variables).toMatchObject([
      {
        mirrors: [
          { host: 'https://10.77.0.1:35000', skip_verify: false, ca: '/ca.crt' },
          { host: 'http://plain.site', skip_verify: true },
        ],
      },
    ])
    expect(JSON.stringify(variables).match(/ca\.crt/g)).toHaveLength(1)
  })

  it('are reached as the site is', () => {
    const secured = registryMirrors({ address: { ...address, scheme: 'https' }, upstreams: [] })
    expect(secured[0]?.mirrors).toEqual([{ registry: '10.77.0.1:35000', scheme: 'https' }])
  })

  it('leave out for kubespray what is containerd’s alone', () => {
    const { containerd_registries_mirrors: mirrors } = kubesprayMirrors(
      registryMirrors({ address, upstreams: [] }),
    )
    expect(mirrors).toMatchObject([{ prefix: '10.77.0.1:35000' }])
  })
})
