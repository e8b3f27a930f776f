import { describe, expect, it } from 'vitest'
import { httpServerOf, onlyAddress, parseHost, registryOf } from '../../src/site/address.ts'

describe('addresses', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1:35000', 'http://10.0.0.1:8080'],
    ['FD00::1', '[fd00::1]:35000', 'http://[fd00::1]:8080'],
    ['[fd00::1]', '[fd00::1]:35000', 'http://[fd00::1]:8080'],
    ['Registry.Site.local', 'registry.site.local:35000', 'http://registry.site.local:8080'],
  ])('%s', (host, registry, http) => {
    const address = { scheme: 'http', host: parseHost(host), registryPort: 35000, httpPort: 8080 } as const
    expect(registryOf(address)).toBe(registry)
    expect(httpServerOf(address)).toBe(http)
  })

  it('leave out the default port of HTTP', () => {
    expect(httpServerOf({ scheme: 'http', host: 'a', registryPort: 1, httpPort: 80 })).toBe('http://a')
  })

  it.each([
    '',
    '-a',
    'a b',
    'http://a',
    'a:80',
    '10.0.0.256',
    '1.2.3',
    '$(id)',
    'a\nb',
    '`id`',
    'a/b',
    'fe80::1%eth0',
    'x'.repeat(300),
  ])('fault 96: refuses %j', text => {
    expect(() => parseHost(text)).toThrowError(expect.objectContaining({ code: 'USAGE' }))
  })

  it('of this host: the only IPv4 address, or an error with the choices', () => {
    const four = (address: string) => ({ interface: 'eth0', address, family: 4 as const })
    expect(onlyAddress([four('10.0.0.1'), { interface: 'eth0', address: 'fd00::1', family: 6 }])).toBe(
      '10.0.0.1',
    )
    expect(() => onlyAddress([four('10.0.0.1'), four('10.0.0.2')])).toThrowError(
      expect.objectContaining({ code: 'USAGE', item: expect.stringContaining('10.0.0.2') }),
    )
    expect(() => onlyAddress([])).toThrowError(expect.objectContaining({ code: 'USAGE' }))
  })
})
