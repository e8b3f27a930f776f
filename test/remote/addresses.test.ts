import { describe, expect, it } from 'vitest'
import { canonicalAddress, reachOfAddress, reachOfHostname } from '../../src/remote/addresses.ts'

describe('what an address reaches', () => {
  it.each([
    // loopback, unspecified, link-local, site-local, multicast, broadcast
    ['127.0.0.1', 'local'],
    ['127.255.1.2', 'local'],
    ['0.0.0.0', 'local'],
    ['169.254.169.254', 'local'],
    ['224.0.0.1', 'local'],
    ['255.255.255.255', 'local'],
    ['::1', 'local'],
    ['::', 'local'],
    ['fe80::1', 'local'],
    ['fe80::1%eth0', 'local'],
    ['fec0::1', 'local'],
    ['ff02::1', 'local'],
    // metadata services elsewhere
    ['fd00:ec2::254', 'local'],
    ['100.100.100.200', 'local'],
    ['168.63.129.16', 'local'],
    // IPv4 inside IPv6: mapped, compatible, translated, NAT64 with both prefixes, 6to4, Teredo, ISATAP
    ['::ffff:127.0.0.1', 'local'],
    ['::ffff:a9fe:a9fe', 'local'],
    ['::127.0.0.1', 'local'],
    ['::ffff:0:169.254.169.254', 'local'],
    ['64:ff9b::169.254.169.254', 'local'],
    ['64:ff9b::a00:1', 'private'],
    ['64:ff9b::808:808', 'public'],
    ['64:ff9b:1::a9fe:a9fe', 'local'],
    ['64:ff9b:1:a9fe:a9:fe00::', 'local'],
    ['64:ff9b:1::808:808', 'public'],
    ['2002:a9fe:a9fe::1', 'local'],
    ['2002:c0a8:101::1', 'private'],
    ['2002:808:808::1', 'public'],
    ['2001:0:808:808:0:0:5601:5601', 'local'],
    ['2001:db8::5efe:10.0.0.1', 'private'],
    // private, shared, reserved
    ['10.0.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['192.0.0.1', 'private'],
    ['198.18.0.1', 'private'],
    ['240.0.0.1', 'private'],
    ['fd12::1', 'private'],
    ['100::1', 'private'],
    ['172.32.0.1', 'public'],
    ['9.9.9.9', 'public'],
    ['2606:4700::1111', 'public'],
  ])('%s: %s', (address, reach) => {
    expect(reachOfAddress(address)).toBe(reach)
  })

  it.each([
    ['localhost', 'local'],
    ['localhost.', 'local'],
    ['a.localhost', 'local'],
    ['127.1', 'local'],
    ['0x7f.1', 'local'],
    ['2130706433', 'local'],
    ['0177.0.0.1', 'local'],
    ['[::1]', 'local'],
    ['①②⑦.0.0.1', 'local'],
    ['10.1', 'private'],
    ['example.org', undefined],
  ])('of the host %s, without DNS: %s', (hostname, reach) => {
    expect(reachOfHostname(hostname)).toBe(reach)
  })

  it.each([
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::1', '127.0.0.1'],
    ['FE80:0:0:0::1%eth0', 'fe80::1'],
    ['10.0.0.1', '10.0.0.1'],
  ])('%s is the same address as %s', (address, canonical) => {
    expect(canonicalAddress(address)).toBe(canonical)
  })
})
