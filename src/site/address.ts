import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { AirgapError } from '../core/errors.ts'

/** The address at which the machines of a site reach its servers. */
export interface SiteAddress {
  /** of both servers */
  scheme: 'http' | 'https'
  /** host name or IP address, IPv6 without brackets */
  host: string
  registryPort: number
  httpPort: number
}

/** `host:port` of the registry, as image names have it. */
export function registryOf({ host, registryPort }: SiteAddress): string {
  return `${bracketed(host)}:${registryPort}`
}

/** URL of the registry, without a slash at the end. */
export function registryUrlOf(address: SiteAddress): string {
  return `${address.scheme}://${registryOf(address)}`
}

/** URL of the HTTP server, without a slash at the end. */
export function httpServerOf({ scheme, host, httpPort }: SiteAddress): string {
  const usual = scheme === 'https' ? 443 : 80
  return `${scheme}://${bracketed(host)}${httpPort === usual ? '' : `:${httpPort}`}`
}

function bracketed(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host
}

/** Checks the host that an operator passed: it goes into URLs, file names and configuration files. Throws USAGE. */
export function parseHost(text: string): string {
  const bare = /^\[.*\]$/.test(text) ? text.slice(1, -1) : text
  if (isIP(bare) !== 0 && !bare.includes('%')) return bare.toLowerCase()
  const name = /^(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*$/
  // digits and dots that are not an address are a mistyped address
  if (name.test(bare) && bare.length <= 253 && !/^[0-9.]+$/.test(bare)) return bare.toLowerCase()
  throw new AirgapError('USAGE', 'the text is not a host name or an IP address', {
    item: JSON.stringify(text.slice(0, 300)),
    next: 'pass the address at which the machines of this site reach this host, without scheme and port',
  })
}

/** Returns the addresses of this host that other machines can reach. */
export function ownAddresses(): { interface: string; address: string; family: 4 | 6 }[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? [])
      .filter(found => !found.internal && !(found.family === 'IPv6' && found.address.startsWith('fe80:')))
      .map(found => ({
        interface: name,
        address: found.address,
        family: found.family === 'IPv6' ? (6 as const) : (4 as const),
      })),
  )
}

/** Returns the only IPv4 address of this host. Throws USAGE, with a list of addresses, if there are none or several. */
export function onlyAddress(addresses = ownAddresses()): string {
  const four = addresses.filter(found => found.family === 4)
  const [only, second] = four
  if (only !== undefined && second === undefined) return only.address
  const list = addresses.map(found => `${found.address} (${found.interface})`).join(', ')
  throw new AirgapError('USAGE', 'the address of this host in the site’s network is not known', {
    item: list || 'no address but loopback',
    likely: only === undefined ? 'the network is not configured' : 'this host has several addresses',
    next: `pass it with --address${only === undefined ? '' : `, for example --address ${only.address}`}`,
  })
}
