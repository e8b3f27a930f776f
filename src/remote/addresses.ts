import { BlockList, isIP } from 'node:net'

/** What an address reaches: the internet, a private network, or this machine and its link (cloud metadata services are there). */
export type Reach = 'public' | 'private' | 'local'

const privateRanges = new BlockList()
for (const [net, bits] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
] as const) {
  privateRanges.addSubnet(net, bits, 'ipv4')
}
privateRanges.addSubnet('fc00::', 7, 'ipv6')

const localRanges = new BlockList()
for (const [net, bits] of [
  ['127.0.0.0', 8],
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
] as const) {
  localRanges.addSubnet(net, bits, 'ipv4')
}
localRanges.addAddress('::1', 'ipv6')
localRanges.addAddress('::', 'ipv6')
localRanges.addSubnet('fe80::', 10, 'ipv6')

/** Returns what an IP address reaches (RFC 1918, 4193, 6598, 3927, 4291). An IPv4-mapped address counts as the address that it maps. */
export function reachOfAddress(address: string): Reach {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  if (localRanges.check(address, family)) return 'local'
  return privateRanges.check(address, family) ? 'private' : 'public'
}

/** The same for `localhost` and literal addresses, without DNS; undefined for other names. */
export function reachOfHostname(hostname: string): Reach | undefined {
  const bare = hostname
    .replace(/^\[(.+)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase()
  if (bare === 'localhost' || bare.endsWith('.localhost')) return 'local'
  return isIP(bare) === 0 ? undefined : reachOfAddress(bare)
}

export function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[(.+)\]$/, '$1').toLowerCase()
  return bare === 'localhost' || bare === '::1' || /^127\.\d+\.\d+\.\d+$/.test(bare)
}

/** How close to this machine each class is: a redirect may only lead to the same class or further away. */
export const closeness: Record<Reach, number> = { public: 0, private: 1, local: 2 }
