import type { FastifyInstance } from 'fastify'
import type { ReadableStore } from '../content/store.ts'
import { digestOf } from '../core/digest.ts'
import type { Signer } from '../kinds/mount.ts'
import { metricsTypes } from '../metrics/exposition.ts'
import type { Monitoring } from '../serve/monitoring.ts'
import type { AccessEntry, ServedOverlay, VerifyMode } from '../serve/served.ts'
import type { Verdicts } from '../serve/verdicts.ts'
import { httpServerOf, registryUrlOf, type SiteAddress } from '../site/address.ts'
import { type SiteContent, withOverlay } from '../site/content.ts'
import { namedRoots } from '../site/images.ts'
import { proofPath, type ServerClaim, type ServerProof, type SiteServer } from '../site/server-proof.ts'
import { httpView, registryView, siteDocumentPath } from '../site/site-view.ts'
import type { AboutBundle } from '../site/start-page/about.ts'
import { permissionsOf, type SiteAccess } from './site-access.ts'

/** Readable without a login: a client that does not trust the CA yet cannot log in safely. */
const siteCaUrl = '/clients/ca.crt'

/** What the servers of a site need, in whichever process they run. */
export interface SiteServersOptions {
  address: SiteAddress
  /** identity of the state folder */
  site: string
  /** what the start page says about the bundles */
  about: readonly AboutBundle[]
  /** when the site's documents are generated */
  now: () => Date
  /** the site's key; taken once the registry serves, as loading OpenPGP takes a while */
  signer: () => Promise<Signer>
  prove(claim: Omit<ServerClaim, 'site'>): Promise<ServerProof>
  /** answers `/healthz`, `/readyz` and `/metrics` of the HTTP server */
  monitoring: Monitoring
  logOf(server: SiteServer): (entry: AccessEntry) => void
  /** memory of each server */
  memory: { cacheBytes: number; bufferBytes: number }
  verdicts: Verdicts
  verify: VerifyMode
  access: SiteAccess
  /** where pushes go, and the store with their content */
  overlay: { served: ServedOverlay; store: ReadableStore }
  /** what machines have to trust, as PEM; undefined: plain HTTP, or a certificate that they trust already */
  ca: string | undefined
  /** Called with each server once it is ready, the registry first. */
  ready(name: SiteServer, made: MadeServer): Promise<void>
}

export interface MadeServer {
  server: FastifyInstance
  /** URL without a path */
  url: string
  log: (entry: AccessEntry) => void
  /** top folders of the HTTP server */
  folders: string[]
}

/** Makes both servers; the registry first and with nothing else loaded, as what matters is its first manifest. */
export async function makeSiteServers(
  contents: readonly SiteContent[],
  options: SiteServersOptions,
): Promise<void> {
  const { address, site, now, memory, verdicts, verify, ca } = options
  const permissions = permissionsOf(options.access, address)
  const optionsOf = (
    server: SiteServer,
    { description, log }: { description: string; log: MadeServer['log'] },
  ) => ({
    log,
    permission: permissions[server],
    audit: options.access.noteWrite,
    openPaths: [siteCaUrl],
    ...memory,
    verdicts,
    verify,
    challenge: {
      path: proofPath,
      answer: (challenge: { nonce: string; address: string }) =>
        options.prove({ server, description, ...challenge }),
    },
  })
  const [{ createRegistryServer }, { store, images, mirrors }] = await Promise.all([
    import('../serve/registry.ts'),
    registryView(contents, { address }),
  ])
  const registryLog = options.logOf('registry')
  const registry = createRegistryServer(withOverlay(store, options.overlay.store), images, {
    ...optionsOf('registry', { description: '', log: registryLog }),
    overlay: options.overlay.served,
  })
  await options.ready('registry', {
    server: registry,
    url: registryUrlOf(address),
    log: registryLog,
    folders: [],
  })
  const [{ createHttpServer }, { startPage }, key] = await Promise.all([
    import('../serve/files.ts'),
    import('../site/start-page/start-page.ts'),
    options.signer(),
  ])
  const { mounts, clients, lists } = await httpView(contents, { address, key, site, mirrors, now, ca })
  mounts.push(
    startPage({
      store,
      about: { address, bundles: options.about, keyFingerprint: key.fingerprint },
      named: () => contents.flatMap(content => namedRoots(content.roots())),
      lists,
      clients,
    }),
  )
  const root = mounts.find(({ prefix }) => prefix === '/')
  const document = root?.generated?.get(siteDocumentPath.slice(1))
  const description = document === undefined ? '' : digestOf(document.bytes)
  const log = options.logOf('http')
  const http = createHttpServer(store, mounts, {
    ...optionsOf('http', { description, log }),
    monitoring: { ...options.monitoring, mediaTypes: [metricsTypes.prometheus, metricsTypes.openmetrics] },
  })
  const folders = topFolders(mounts.map(({ prefix }) => prefix))
  await options.ready('http', { server: http, url: httpServerOf(address), log, folders })
}

/** `/debs/debian-12` → `/debs`; clients' files are always there, in the mount of the root. */
function topFolders(prefixes: readonly string[]): string[] {
  const names = prefixes.flatMap(prefix => prefix.split('/')[1] || [])
  return [...new Set([...names, 'clients'])].map(name => `/${name}`)
}
