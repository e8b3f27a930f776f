import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { defined } from '../core/defined.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import type { SiteFile } from '../inventory/schema.ts'
import { readSiteFile } from '../inventory/site-file.ts'
import { onlyAddress, parseHost, type SiteAddress } from '../site/address.ts'
import { readSiteConfig, type SiteConfig } from '../site/config.ts'
import { pathsOf, readState, refuseForeignState, type SiteState } from '../site/state.ts'
import { givenFolder, locateBundles, locateSite, programFolder } from './locate.ts'
import { defaults, type SiteOptions } from './site-options.ts'

/** Where everything of a run is. */
export interface Setup {
  config: SiteConfig
  siteFolder: string
  address: SiteAddress
  /** index digests that the operator named for the bundles */
  expect: readonly Digest[]
  /** files or fingerprints of keys */
  trustKey: readonly string[]
  /** site.yaml; undefined where there is none: then only the servers run */
  site: SiteFile | undefined
}

/**
 * Takes each setting from the options (flags, which the command line has filled from the environment), else from site.yaml, else
 * from what the site was set up with before, else from the defaults. Throws USAGE, SITE_INVALID, JOURNAL_INVALID.
 */
export async function setUp(options: SiteOptions): Promise<Setup> {
  const { siteFolder, saved } = await findSite(options)
  const site = await siteFileIn(siteFolder)
  if (site !== undefined && options.env !== undefined && options.env !== site.environment)
    throw otherEnvironment(options.env, site.environment)
  const listen = parseListen(options.listen ?? saved?.listen ?? defaults.listen)
  const host = parseHost(options.address ?? saved?.address ?? defaultAddress(listen))
  const registryPort = options.registryPort ?? saved?.registryPort ?? defaults.registryPort
  const httpPort = options.httpPort ?? saved?.httpPort ?? defaults.httpPort
  if (registryPort === httpPort && registryPort !== 0)
    throw new AirgapError('USAGE', 'the registry and the HTTP server need different ports', {
      item: String(registryPort),
      next: 'choose another --registry-port or --http-port',
    })
  const tls = tlsOf(options, saved)
  const environment = options.env ?? site?.environment ?? saved?.environment ?? defaults.environment
  return {
    config: {
      bundles: await bundlesOf(options, saved),
      address: host,
      registryPort,
      httpPort,
      listen,
      verify: options.verify ?? saved?.verify ?? defaults.verify,
      tls,
      requireLogin: options.requireLogin ?? saved?.requireLogin ?? defaults.requireLogin,
      ...defined({ overlayQuota: quotaOf(options, saved) }),
      environment: parseEnvironment(environment),
      nodeRoot: nodeRootOf(options.nodeRoot, saved),
    },
    siteFolder,
    address: { scheme: schemeOf({ tls }), host, registryPort, httpPort },
    expect: options.expect ?? [],
    trustKey: options.trustKey ?? [],
    site,
  }
}

/** The state folder, and what was set up there before; for commands that need no bundle. Throws USAGE, JOURNAL_INVALID, PERMISSION. */
export async function findSite(
  options: SiteOptions,
): Promise<{ siteFolder: string; saved: SiteConfig | undefined }> {
  const bundles = options.bundle ?? []
  const siteFolder = locateSite(options.site, { bundles: bundles.map(path => resolve(path)) })
  if (!existsSync(siteFolder)) return { siteFolder, saved: undefined }
  await refuseForeignState(siteFolder)
  return { siteFolder, saved: await readSiteConfig(pathsOf(siteFolder).config) }
}

/** Throws FILE_NOT_FOUND where nothing was deployed yet. */
export async function existingSite(options: SiteOptions): Promise<{ siteFolder: string; state: SiteState }> {
  const { siteFolder } = await findSite(options)
  const state = await readState(siteFolder)
  if (state !== undefined) return { siteFolder, state }
  throw new AirgapError('FILE_NOT_FOUND', 'nothing was deployed here yet', {
    item: siteFolder,
    likely: 'the site has another state folder',
    next: 'name it with --site, or run `offline-deploy apply` first',
  })
}

/** Which bundles a command is about, and what is expected of them; for commands that need no servers. */
export async function findBundles(
  options: SiteOptions,
): Promise<Pick<Setup, 'siteFolder' | 'expect' | 'trustKey'> & { paths: string[] }> {
  const { bundle = [], expect = [], trustKey = [], site } = options
  // without a site there is nothing saved: the question is which bundle, not which site
  if (bundle.length === 0 && site === undefined && programFolder() === undefined) await locateBundles(bundle)
  const { siteFolder, saved } = await findSite(options)
  return { paths: await bundlesOf(options, saved), siteFolder, expect, trustKey }
}

async function bundlesOf({ bundle = [] }: SiteOptions, saved: SiteConfig | undefined): Promise<string[]> {
  return bundle.length > 0 || saved === undefined ? await locateBundles(bundle) : saved.bundles
}

/** Steps wait for the servers and tell machines where they are: their ports must be known. Throws USAGE for port 0. */
export function refuseAnyPort({ registryPort, httpPort }: SiteConfig): void {
  if (registryPort !== 0 && httpPort !== 0) return
  throw new AirgapError('USAGE', 'port 0 works with `serve` only', {
    next: 'choose a port: the machines of the site must know it',
  })
}

/** The servers as this machine reaches them. */
export function localAddress({
  listen,
  registryPort,
  httpPort,
  tls,
}: Pick<SiteConfig, 'listen' | 'registryPort' | 'httpPort' | 'tls'>): SiteAddress {
  const host = listen === '0.0.0.0' ? '127.0.0.1' : listen === '::' ? '::1' : listen
  return { scheme: schemeOf({ tls }), host, registryPort, httpPort }
}

/** The servers as the machines of the site reach them. */
export function siteAddress({ tls, address: host, registryPort, httpPort }: SiteConfig): SiteAddress {
  return { scheme: schemeOf({ tls }), host, registryPort, httpPort }
}

function schemeOf({ tls }: Pick<SiteConfig, 'tls'>): SiteAddress['scheme'] {
  return tls === null ? 'http' : 'https'
}

/** A new site has TLS; one that was set up without it keeps plain HTTP until an option changes that. */
function tlsOf(
  { plainHttp = false, tls = false, tlsCert, tlsKey, tlsCa }: SiteOptions,
  saved: SiteConfig | undefined,
): SiteConfig['tls'] {
  const hasFiles = tlsCert !== undefined || tlsKey !== undefined || tlsCa !== undefined
  if (Number(plainHttp) + Number(tls) + Number(hasFiles) > 1)
    throw new AirgapError('USAGE', '--plain-http, --tls and --tls-cert exclude each other', {
      next: 'pass one of them; a new site has TLS with certificates of its own CA',
    })
  if (plainHttp) return null
  if (tls) return { by: 'site-ca' }
  if (!hasFiles) return saved === undefined ? { by: 'site-ca' } : saved.tls
  if (tlsCert === undefined || tlsKey === undefined)
    throw new AirgapError('USAGE', '--tls-cert and --tls-key require each other', {
      item: tlsCert === undefined ? '--tls-cert' : '--tls-key',
      next: 'pass the certificate and its key; leave both out for certificates of the site’s own CA',
    })
  const ca = tlsCa === undefined ? undefined : resolve(tlsCa)
  return { by: 'files', certificate: resolve(tlsCert), key: resolve(tlsKey), ...defined({ ca }) }
}

function quotaOf({ overlayQuota }: SiteOptions, saved: SiteConfig | undefined): number | undefined {
  return overlayQuota === undefined ? saved?.overlayQuota : (overlayQuota ?? undefined)
}

async function siteFileIn(siteFolder: string): Promise<SiteFile | undefined> {
  const { siteFile } = pathsOf(siteFolder)
  const found = await stat(siteFile).catch(() => undefined)
  return found === undefined ? undefined : await readSiteFile(siteFile)
}

function otherEnvironment(wanted: string, environment: string): AirgapError {
  return new AirgapError('USAGE', `site.yaml is for the environment ${environment}, not ${wanted}`, {
    item: '--env',
    likely: 'OFFLINE_DEPLOY_ENV is set for another site',
    next: 'leave --env out; to install another environment, edit site.yaml or use another state folder',
  })
}

function defaultAddress(listen: string): string {
  return listen === '0.0.0.0' || listen === '::' ? onlyAddress() : listen
}

function parseListen(text: string): string {
  const bare = /^\[.*\]$/.test(text) ? text.slice(1, -1) : text
  if (isIP(bare) !== 0) return bare
  throw new AirgapError('USAGE', 'the address to listen on is not an IP address', {
    item: text,
    next: 'pass an address of this machine, or 0.0.0.0 for all of them',
  })
}

function parseEnvironment(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text)) return text
  throw new AirgapError('USAGE', 'the name of the environment is invalid', {
    item: JSON.stringify(text.slice(0, 200)),
    next: 'pass the name of a folder in environments/, for example prod',
  })
}

function nodeRootOf(given: string | undefined, saved: SiteConfig | undefined): string | null {
  if (given === 'none') return null
  if (given !== undefined) return givenFolder(given, '--node-root')
  if (saved !== undefined) return saved.nodeRoot
  return process.getuid?.() === 0 ? '/' : null
}
