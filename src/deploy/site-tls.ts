import type { X509Certificate } from 'node:crypto'
import { hostname } from 'node:os'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { ownAddresses, parseHost } from '../site/address.ts'
import type { SiteConfig, TlsConfig } from '../site/config.ts'
import {
  openServerCertificate,
  readServerCertificate,
  readSiteCa,
  type ServerCertificate,
} from '../site/site-ca.ts'
import { newTicketKeys } from './certificate-renewal.ts'
import type { ServingTls } from './serving-options.ts'

/** Where the site's CA is, and the clock. */
export interface TlsPlace {
  /** of the state folder (state.paths.tls) */
  folder: string
  now: () => Date
}

type Served = Pick<SiteConfig, 'tls' | 'address' | 'listen'>

/** Opens what the servers need for TLS; the site's CA is made on first use. Undefined with plain HTTP. */
export async function openTls(config: Served, place: TlsPlace): Promise<ServingTls | undefined> {
  const { tls } = config
  if (tls === null) return undefined
  const ca = await caForMachines(tls, place)
  const certificate = await openCertificate(config, place)
  return certificate && { ...certificate, ticketKeys: newTicketKeys(), ...defined({ ca }) }
}

/**
 * Opens the servers' certificate: that in the operator's files, or one of the site's CA, which is made again where it is too old. Throws
 * KEY_INVALID, EXPIRED, CLOCK_WRONG, PERMISSION.
 */
export async function openCertificate(
  { tls, address, listen }: Served,
  place: TlsPlace,
): Promise<ServerCertificate | undefined> {
  if (tls === null) return undefined
  if (tls.by === 'files') {
    const { readGivenCertificate } = await import('../site/given-certificate.ts')
    return await readGivenCertificate(tls, { host: address, now: place.now() })
  }
  const ca = await readSiteCa(place.folder)
  // another one would be trusted by no machine
  if (ca === undefined) throw withoutCa(place.folder)
  return await openServerCertificate(ca, { ...place, names: namesOf({ address, listen }) })
}

function withoutCa(folder: string): AirgapError {
  return new AirgapError('FILE_NOT_FOUND', 'the CA of this site does not exist', {
    item: folder,
    likely: 'the servers of this site have not run with TLS yet, or the folder was deleted',
    next: 'restore the folder from a backup, or run `offline-deploy apply`, which makes a CA and makes the machines trust it',
  })
}

/** PEM of what machines have to trust; the site's CA is made on first use. Undefined: plain HTTP, or they trust it already. */
export async function caForMachines(tls: TlsConfig | null, place: TlsPlace): Promise<string | undefined> {
  if (tls?.by !== 'site-ca') return await knownCa(tls, place.folder)
  const { openSiteCa } = await import('../site/site-ca.ts')
  return (await openSiteCa(place.folder, place)).text
}

/** The same without making anything: undefined where the CA was not made yet, too. */
export async function knownCa(tls: TlsConfig | null, folder: string): Promise<string | undefined> {
  if (tls === null) return undefined
  if (tls.by === 'site-ca') return (await readSiteCa(folder))?.text
  const { readGivenCa } = await import('../site/given-certificate.ts')
  return await readGivenCa(tls)
}

/** When the servers' certificate is valid, in seconds since 1970; undefined: plain HTTP, or none was made yet. */
export async function certificateValidity(
  tls: TlsConfig | null,
  folder: string,
): Promise<{ from: number; until: number } | undefined> {
  const certificate = await servedCertificate(tls, folder)
  if (certificate === undefined) return undefined
  return {
    from: certificate.validFromDate.getTime() / 1000,
    until: certificate.validToDate.getTime() / 1000,
  }
}

async function servedCertificate(
  tls: TlsConfig | null,
  folder: string,
): Promise<X509Certificate | undefined> {
  if (tls === null) return undefined
  if (tls.by === 'site-ca') return (await readServerCertificate(folder))?.certificate
  const { readCertificates } = await import('../site/given-certificate.ts')
  return (await readCertificates(tls.certificate))[0]
}

/** PEM of what this host trusts in its own requests to the servers: exactly their CA, or the operator's certificates themselves. */
export async function trustedForTls(tls: TlsConfig | null, folder: string): Promise<string | undefined> {
  if (tls?.by !== 'files') return await knownCa(tls, folder)
  const { readCertificates } = await import('../site/given-certificate.ts')
  const chain = (await readCertificates(tls.certificate)).map(String).join('')
  return `${(await knownCa(tls, folder)) ?? ''}${chain}`
}

/** Interfaces of containers and virtual machines: their addresses come and go, and no other machine reaches them. */
const virtual = /^(?:docker|br-|veth|cni|flannel|cali|cilium|lxc|virbr|kube-|nodelocaldns|tunl|vxlan)/
const maxAddresses = 50

/** What the servers are called: the address of the site first. */
function namesOf({ address, listen }: Pick<SiteConfig, 'address' | 'listen'>): string[] {
  const own = ownAddresses().filter(found => !virtual.test(found.interface))
  const addresses = own.slice(0, maxAddresses).map(found => found.address)
  const listened = listen === '0.0.0.0' || listen === '::' ? addresses : [listen]
  return [...new Set([address, ...ownName(), 'localhost', '127.0.0.1', '::1', ...listened])]
}

/** A name that no certificate can have is left out. */
function ownName(): string[] {
  try {
    return [parseHost(hostname())]
  } catch {
    return []
  }
}
