import { stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { type BundleStore, openBundle } from '../../bundle/reader.ts'
import { AirgapError } from '../../core/errors.ts'
import type { BundleFile } from '../../install/steps/verify.ts'
import type { SiteFile } from '../../inventory/schema.ts'
import { readSiteFile } from '../../inventory/site-file.ts'
import { onlyAddress, parseHost, type SiteAddress } from '../../site/address.ts'
import { readSiteConfig, type SiteConfig } from '../../site/config.ts'
import { pathsOf } from '../../site/state.ts'
import { givenFolder, locateBundles, locateSite } from './locate.ts'
import { defaults, type SiteOptions } from './options.ts'

/** A bundle that is open, and the file it is. */
export interface OpenBundle {
  path: string
  store: BundleStore
  file: BundleFile
}

export async function openBundles(paths: readonly string[]): Promise<OpenBundle[]> {
  const opened: OpenBundle[] = []
  try {
    for (const path of paths) {
      const store = await openBundle(path)
      const { mtimeMs } = await stat(path)
      const { indexDigest, size } = store
      opened.push({ path, store, file: { path, indexDigest, size, mtimeMs: Math.trunc(mtimeMs) } })
    }
    return opened
  } catch (error) {
    await closeBundles(opened)
    throw error
  }
}

export async function closeBundles(opened: readonly OpenBundle[]): Promise<void> {
  await Promise.all(opened.map(bundle => bundle.store.close()))
}

/** Where everything of a run is: flags before the environment before what the site was set up with before defaults. */
export interface Setup {
  config: SiteConfig
  siteFolder: string
  address: SiteAddress
  /** site.yaml; undefined where there is none: then only the servers run */
  site: SiteFile | undefined
}

export async function setUp(options: SiteOptions): Promise<Setup> {
  const { siteFolder, saved } = await findSite(options)
  const given = options.bundle ?? []
  const site = await siteFileIn(siteFolder)
  if (site !== undefined && options.env !== undefined && options.env !== site.environment)
    throw new AirgapError(
      'USAGE',
      `site.yaml is of the environment ${site.environment}, not ${options.env}`,
      {
        item: '--env',
        likely: 'OFFLINE_DEPLOY_ENV of another site',
        next: 'leave it out; to install another environment, change site.yaml or take a state folder of its own',
      },
    )
  const bundles = given.length > 0 || saved === undefined ? await locateBundles(given) : saved.bundles
  const listen = parseListen(options.listen ?? saved?.listen ?? defaults.listen)
  const address = parseHost(options.address ?? saved?.address ?? defaultAddress(listen))
  const config: SiteConfig = {
    bundles,
    address,
    registryPort: options.registryPort ?? saved?.registryPort ?? defaults.registryPort,
    httpPort: options.httpPort ?? saved?.httpPort ?? defaults.httpPort,
    listen,
    environment: parseEnvironment(
      options.env ?? site?.environment ?? saved?.environment ?? defaults.environment,
    ),
    nodeRoot: nodeRootOf(options.nodeRoot, saved),
  }
  const { registryPort, httpPort } = config
  if (registryPort === httpPort && registryPort !== 0) {
    throw new AirgapError('USAGE', 'registry and HTTP server need different ports', {
      item: String(registryPort),
      next: 'choose another --registry-port or --http-port',
    })
  }
  return { config, siteFolder, address: { host: address, registryPort, httpPort }, site }
}

async function siteFileIn(siteFolder: string): Promise<SiteFile | undefined> {
  const { siteFile } = pathsOf(siteFolder)
  const there = await stat(siteFile).catch(() => undefined)
  return there === undefined ? undefined : await readSiteFile(siteFile)
}

/** The state folder and what was set up there; for commands that need no bundle. */
export async function findSite(
  options: SiteOptions,
): Promise<{ siteFolder: string; saved: SiteConfig | undefined }> {
  const given = options.bundle ?? []
  const siteFolder = locateSite(options.site, { bundles: given.map(path => resolve(path)) })
  return { siteFolder, saved: await readSiteConfig(pathsOf(siteFolder).config) }
}

/** For a later run of `apply`: a step that waits for servers needs to know where they will be. */
export function refuseAnyPort({ registryPort, httpPort }: SiteConfig): void {
  if (registryPort !== 0 && httpPort !== 0) return
  throw new AirgapError('USAGE', 'port 0 is only for `serve`', {
    next: 'choose a port: the site’s machines have to know it',
  })
}

function defaultAddress(listen: string): string {
  return listen === '0.0.0.0' || listen === '::' ? onlyAddress() : listen
}

function parseListen(text: string): string {
  const bare = /^\[.*\]$/.test(text) ? text.slice(1, -1) : text
  if (isIP(bare) !== 0) return bare
  throw new AirgapError('USAGE', 'not an IP address to listen on', {
    item: text,
    next: 'give an address of this machine, or 0.0.0.0 for all',
  })
}

function parseEnvironment(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text)) return text
  throw new AirgapError('USAGE', 'not the name of an environment', {
    item: JSON.stringify(text.slice(0, 200)),
    next: 'give the name of a folder in environments/, for example prod',
  })
}

function nodeRootOf(given: string | undefined, saved: SiteConfig | undefined): string | null {
  if (given === 'none') return null
  if (given !== undefined) return givenFolder(given, '--node-root')
  if (saved !== undefined) return saved.nodeRoot
  return process.getuid?.() === 0 ? '/' : null
}

/** URL of the HTTP server as seen from this machine. */
export function localUrl({ listen, httpPort }: Pick<SiteConfig, 'listen' | 'httpPort'>): string {
  const host = listen === '0.0.0.0' ? '127.0.0.1' : listen === '::' ? '::1' : listen
  return `http://${isIP(host) === 6 ? `[${host}]` : host}:${httpPort}`
}
