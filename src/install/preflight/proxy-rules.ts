import { BlockList, isIP } from 'node:net'
import { type Fault, type Subject, warning } from './subject.ts'

/** A closed network has no proxy to the outside; one that is set must not come between a machine and the site. */
export function proxies({ facts, expected: { siteHost } }: Subject): Fault[] {
  if (facts.proxies.length === 0) return []
  const used = facts.proxies.map(split)
  const exempt = new Map(
    facts.noProxy.map(word => split(word)).map(({ place, value }) => [place, value.split(',')]),
  )
  const list = used.map(({ place, value }) => `${place} ${value}`).join(', ')
  // dnf's exemption is in the repository file of the site
  const through = used
    .map(({ place }) => place)
    .filter(place => place !== 'dnf' && !isExempt(siteHost, exempt.get(place) ?? []))
  if (through.length === 0)
    return [
      warning(
        `uses a proxy (${list}); the site's address ${siteHost} is exempt`,
        'remove the proxy if it leads outside',
      ),
    ]
  return [
    warning(
      `uses a proxy (${list}); the site's address ${siteHost} is not exempt for ${through.join(', ')}`,
      `apply exempts it for apt, dnf, pip, containerd and docker; for other programs, remove the proxy or add ${siteHost} to no_proxy`,
    ),
  ]
}

function split(word: string): { place: string; value: string } {
  const mark = word.indexOf('=')
  return { place: word.slice(0, mark), value: word.slice(mark + 1) }
}

/** As Go and curl read NO_PROXY: addresses, networks, domains with their subdomains, `*`. */
function isExempt(host: string, entries: readonly string[]): boolean {
  return entries.some(entry => {
    const name = entry.replace(/^\*?\./, '').replace(/^\[(.*)\]$/, '$1')
    if (entry === '*' || name === host) return true
    const [network = '', bits] = name.split('/')
    if (bits !== undefined) return isInNetwork(host, { network, bits: Number(bits) })
    return isIP(host) === 0 && name !== '' && host.endsWith(`.${name}`)
  })
}

function isInNetwork(host: string, { network, bits }: { network: string; bits: number }): boolean {
  const family = isIP(network)
  if (
    family === 0 ||
    isIP(host) !== family ||
    !Number.isInteger(bits) ||
    bits < 0 ||
    bits > (family === 4 ? 32 : 128)
  )
    return false
  const list = new BlockList()
  list.addSubnet(network, bits, family === 4 ? 'ipv4' : 'ipv6')
  return list.check(host, family === 4 ? 'ipv4' : 'ipv6')
}
