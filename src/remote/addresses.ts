import { BlockList, isIP } from 'node:net'
import { ipBytes } from '../core/ip-bytes.ts'
import { textBefore } from '../core/trim.ts'

/** What an address reaches: the internet, a private network, or this machine and its link (cloud metadata services are there). */
export type Reach = 'public' | 'private' | 'local'

/** How close to this machine each class is: an answer may only lead to the same class or further away. */
const closeness: Record<Reach, number> = { public: 0, private: 1, local: 2 }

export function isCloser(one: Reach, than: Reach): boolean {
  return closeness[one] > closeness[than]
}

/**
 * Addresses that are not on the internet (IANA's registries of special-purpose addresses, RFC 6890 and its successors). Networks for
 * documentation are left out: no host has one, and a test may use them as public ones.
 */
const privateRanges = blockList([
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  // shared by carriers (RFC 6598); protocol assignments (6890); the anycast of 6to4 relays (7526); benchmarks (2544); reserved (1112)
  '100.64.0.0/10',
  '192.0.0.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '240.0.0.0/4',
  // unique local (RFC 4193), discard-only (6666), benchmarks (5180), ORCHID (7343), segment routing (9602)
  'fc00::/7',
  '100::/64',
  '2001:2::/48',
  '2001:20::/28',
  '5f00::/16',
])

/** This host, its link and its group: loopback, unspecified, link-local (also the old site-local), multicast, broadcast. */
const localRanges = blockList([
  '127.0.0.0/8',
  '0.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '255.255.255.255/32',
  '::1/128',
  '::/128',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
  // metadata services outside of the link-local range: of Alibaba, Azure, AWS and Google
  '100.100.100.200/32',
  '168.63.129.16/32',
  'fd00:ec2::254/128',
  'fd20:ce::254/128',
])

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [net = '', bits] = network.split('/')
    list.addSubnet(net, Number(bits), net.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}

/** Returns what an IP address reaches. One that carries an IPv4 address reaches what that one does. */
export function reachOfAddress(address: string): Reach {
  const bare = textBefore(address, '%')
  const family = isIP(bare) === 6 ? 'ipv6' : 'ipv4'
  const carried = family === 'ipv6' ? carriedAddresses(ipBytes(bare)) : []
  const own: Reach = localRanges.check(bare, family)
    ? 'local'
    : privateRanges.check(bare, family)
      ? 'private'
      : 'public'
  return carried.map(reachOfAddress).reduce((closest, one) => (isCloser(one, closest) ? one : closest), own)
}

/** The same text for all forms of an address: no zone, IPv4 where that is only mapped, one loopback for both families. */
export function canonicalAddress(address: string): string {
  const bare = textBefore(address, '%')
  if (isIP(bare) !== 6) return bare
  const bytes = ipBytes(bare)
  const isMapped = bytes.subarray(0, 10).every(byte => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  const text = isMapped ? v4(bytes, [12, 13, 14, 15]) : new URL(`http://[${bare}]/`).hostname.slice(1, -1)
  return text === '::1' ? '127.0.0.1' : text
}

/**
 * Returns the IPv4 addresses that packets to an IPv6 address end at: mapped, compatible and translated (RFC 4291, 2765), NAT64 (6052, with
 * the local prefix of 8215 in each of its lengths), 6to4 (3056), Teredo (4380: server and client), ISATAP (5214).
 */
function carriedAddresses(bytes: Buffer): string[] {
  const startsWith = (hex: string) => bytes.toString('hex').startsWith(hex)
  const zerosFrom = (at: number) => bytes.subarray(at).every(byte => byte === 0)
  const last = v4(bytes, [12, 13, 14, 15])
  if (startsWith('0'.repeat(20)) && (startsWith('00'.repeat(12)) || startsWith(`${'00'.repeat(10)}ffff`)))
    return [last]
  if (startsWith(`${'00'.repeat(8)}ffff0000`) || startsWith(`0064ff9b${'00'.repeat(8)}`)) return [last]
  if (startsWith('0064ff9b0001')) {
    const shorter = [
      { end: 11, at: [6, 7, 9, 10] },
      { end: 12, at: [7, 9, 10, 11] },
      { end: 13, at: [9, 10, 11, 12] },
    ].filter(({ end }) => zerosFrom(end))
    return shorter.length > 0 ? shorter.map(({ at }) => v4(bytes, at)) : [last]
  }
  if (startsWith('2002')) return [v4(bytes, [2, 3, 4, 5])]
  if (startsWith('20010000'))
    return [
      v4(bytes, [4, 5, 6, 7]),
      v4(
        bytes.map(byte => byte ^ 0xff),
        [12, 13, 14, 15],
      ),
    ]
  const identifier = bytes.subarray(8, 12).toString('hex')
  return identifier === '00005efe' || identifier === '02005efe' ? [last] : []
}

function v4(bytes: Uint8Array, at: readonly number[]): string {
  return at.map(index => bytes[index]).join('.')
}

/**
 * The same for `localhost` and addresses in any form that a URL or the resolver takes (`127.1`, `0x7f.1`), without DNS; undefined for
 * other names.
 */
export function reachOfHostname(hostname: string): Reach | undefined {
  const bare = bareHostname(hostname)
  if (bare === 'localhost' || bare.endsWith('.localhost')) return 'local'
  return isIP(bare) === 0 ? undefined : reachOfAddress(bare)
}

/** Without brackets and final dot, in the form in which URLs have it. */
export function bareHostname(hostname: string): string {
  const written = `http://${isIP(hostname) === 6 ? `[${hostname}]` : hostname}/`
  const parsed = URL.canParse(written) ? new URL(written).hostname : hostname.toLowerCase()
  return parsed.replace(/^\[(.+)\]$/, '$1').replace(/\.$/, '')
}

/**
 * Whether a URL leads closer to this machine than the answer that names it, as far as both say without DNS. The transport judges the
 * address that it connects to; this is for links that are left out by name.
 */
export function leadsCloser(to: URL, { from }: { from: URL }): boolean {
  if (to.host === from.host) return false
  return isCloser(reachOfHostname(to.hostname) ?? 'public', reachOfHostname(from.hostname) ?? 'public')
}

export function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[(.+)\]$/, '$1').toLowerCase()
  return bare === 'localhost' || bare === '::1' || /^127\.\d+\.\d+\.\d+$/.test(bare)
}
