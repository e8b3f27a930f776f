import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Digest } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { acquireProcessLock } from '../core/process-lock.ts'
import { imagesNeeding } from '../overlay/needed-content.ts'
import { clientFilesDigest } from '../site/client-files.ts'
import { type SiteConfig, writeSiteConfig } from '../site/config.ts'
import { type ShadowedName, shadowedNames } from '../site/shadowed-names.ts'
import { openState, type SiteState } from '../site/state.ts'
import { addToBundleRecord, readBundleRecord } from './bundle-record.ts'
import { refuseChangedConfig } from './changed-config.ts'
import type { DeployContext } from './context.ts'
import { type OpenBundle, type OpenBundles, openBundles } from './open-bundles.ts'
import { operatorName } from './operator.ts'
import { pinConfirmedKeys, recordAccepted } from './record-trust.ts'
import { type Reloaded, reloadServers, runningConfiguration, serveAgain } from './reload-servers.ts'
import { readServiceRecord, serversPaths } from './service-record.ts'
import { type UpdatedService, updateService } from './service-start.ts'
import { rememberUnits } from './service-units.ts'
import { existingSite, findSite, siteAddress } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'
import { siteParts } from './steps/parts.ts'

/** One bundle of a site. */
export interface SiteBundle {
  path: string
  /** null where it cannot be read */
  name: string | null
  version: string | null
  digest: Digest | null
  /** bytes; likewise */
  size: number | null
  /** why it cannot be read */
  unreadable?: string
}

/** A name that several bundles have with different content. */
export interface Shadowed extends Pick<ShadowedName, 'kind' | 'name'> {
  /** path of the bundle that is served under it */
  servedFrom: string
}

export interface SiteBundles {
  site: string
  /** in order: of two with one name, the later one is served */
  bundles: SiteBundle[]
  shadowed: Shadowed[]
}

export interface ChangedBundles extends SiteBundles {
  /** false with a dry run, or where nothing was to be changed */
  written: boolean
  /** `restarted`: the systemd service, as it could not see a bundle; connections waited, and downloads went on for a minute */
  servers: ChangedServers | 'unchanged'
  /** whether machines have to be configured again: their client files change with the bundles */
  clientFilesChange: boolean
}

type ChangedServers = (Reloaded | UpdatedService)['servers']

export interface ChangeRun {
  dryRun: boolean
}

/** A missing medium is listed. Throws FILE_NOT_FOUND where nothing is set up, and what else `openBundles` throws. */
export async function listBundles(options: SiteOptions, context: DeployContext): Promise<SiteBundles> {
  const { siteFolder, state } = await existingSite(options)
  const { bundles } = await present({ siteFolder, state }, context)
  const opened: OpenBundles[] = []
  try {
    const listed: SiteBundle[] = []
    for (const path of bundles) {
      const found = await openInstalled([path], { siteFolder, now: context.now() }).catch(missing)
      if (found instanceof AirgapError) listed.push(unreadable(path, found))
      else {
        opened.push(found)
        listed.push(...found.bundles.map(viewOf))
      }
    }
    const readable = opened.flatMap(one => one.bundles)
    return { site: siteFolder, bundles: listed, shadowed: await shadowedOf(readable) }
  } finally {
    for (const one of opened) await one[Symbol.asyncDispose]()
  }
}

/**
 * Adds bundles, the last of which wins each name, and has the running servers serve them. Trust is established as `apply` does; what collides is
 * reported before anything changes. Throws what `openBundles` throws, NAME_COLLISION, BUSY, and what keeps the servers from serving.
 */
export async function addBundles(
  options: SiteOptions & { files: readonly string[]; allowOlder?: boolean | undefined },
  context: DeployContext,
  { dryRun }: ChangeRun,
): Promise<ChangedBundles> {
  const { siteFolder, state } = await existingSite(options)
  await using _lock = dryRun ? undefined : await acquireProcessLock(state.paths.lock, siteFolder)
  const before = await present({ siteFolder, state }, context)
  const now = context.now()
  const { expect = [], trustKey, allowOlder, files } = options
  const by = operatorName(context.environment)
  const first = { confirm: context.confirmKey, by }
  const paths = files.map(path => resolve(path))
  await using added = await openBundles(paths, {
    siteFolder,
    expect,
    trustKey,
    allowOlder,
    unknown: 'opened',
    now,
    first,
  })
  await using others = await openInstalled(before.bundles, { siteFolder, now })
  const kept = others.bundles.filter(one => !added.bundles.some(isSame(one)))
  const bundles = [...kept, ...added.bundles]
  const after = { ...before, bundles: bundles.map(({ path }) => path) }
  const clients = await clientsOf(bundles, { config: after, siteFolder, context })
  const result = {
    site: siteFolder,
    bundles: bundles.map(viewOf),
    shadowed: await shadowedOf(bundles),
    clientFilesChange: clients !== (await clientsOf(others.bundles, { config: before, siteFolder, context })),
  }
  if (dryRun) return { ...result, written: false, servers: 'unchanged' }
  await pinConfirmedKeys(state.paths.trust, added)
  await recordAccepted(state.paths.trust, added, { now, by })
  await addToBundleRecord(
    state.paths.bundles,
    bundles.map(({ identity }) => identity),
  )
  return { ...result, written: true, servers: await changeTo(after, { before, bundles, state, context }) }
}

/** Removes a bundle, by its name, its digest or its path. Throws USAGE where the site needs it, PLAN_CHANGED, BUSY, and what keeps the servers from serving. */
export async function removeBundle(
  options: SiteOptions & { bundleName: string },
  context: DeployContext,
  { dryRun, confirm }: ChangeRun & { confirm: (what: string) => Promise<void> },
): Promise<ChangedBundles> {
  const { siteFolder, state } = await existingSite(options)
  const before = await present({ siteFolder, state }, context)
  const listed = await listBundles(options, context)
  const removed = bundleNamed(options.bundleName, listed)
  const left = before.bundles.filter(path => path !== removed.path)
  if (left.length === 0) throw lastBundle(removed)
  await using opened = await openInstalled(left, { siteFolder, now: context.now() })
  await refuseInstalled(removed, { left: opened.bundles, state })
  await refuseNeeded(removed, { left: opened.bundles, state })
  const after = { ...before, bundles: left }
  // throws what collides without it
  const clients = await clientsOf(opened.bundles, { config: after, siteFolder, context })
  const served = await openInstalled(before.bundles, { siteFolder, now: context.now() }).catch(missing)
  const clientFilesChange =
    served instanceof AirgapError ||
    clients !== (await clientsOf(served.bundles, { config: before, siteFolder, context }))
  if (!(served instanceof AirgapError)) await served[Symbol.asyncDispose]()
  const result = {
    site: siteFolder,
    bundles: opened.bundles.map(viewOf),
    shadowed: await shadowedOf(opened.bundles),
    clientFilesChange,
  }
  if (dryRun) return { ...result, written: false, servers: 'unchanged' }
  await confirm(`no longer serve ${removed.name ?? removed.path} ${removed.version ?? ''}`.trim())
  // not before: a question that nobody answers must not block the site
  await using _lock = await acquireProcessLock(state.paths.lock, siteFolder)
  refuseChangedConfig(siteFolder, { before, now: await present({ siteFolder, state }, context) })
  // installed or pushed while the question was there
  await refuseInstalled(removed, { left: opened.bundles, state })
  await refuseNeeded(removed, { left: opened.bundles, state })
  return {
    ...result,
    written: true,
    servers: await changeTo(after, { before, bundles: opened.bundles, state, context }),
  }
}

/** What the site was set up with; where only `serve` runs, what that serves. */
async function present(
  { siteFolder, state }: { siteFolder: string; state: SiteState },
  { signal }: DeployContext,
): Promise<SiteConfig> {
  const { saved } = await findSite({ site: siteFolder })
  const found = saved ?? (await runningConfiguration(state.paths, signal))
  if (found !== undefined) return found
  throw new AirgapError('FILE_NOT_FOUND', 'this site has no bundle yet', {
    item: siteFolder,
    likely: 'it was never set up, and its servers do not run',
    next: 'run `offline-deploy apply --bundle FILE` first, or `offline-deploy serve`, with all bundles',
  })
}

/** The configuration, and then the servers; where these cannot serve it, the configuration is what it was. */
async function changeTo(
  after: SiteConfig,
  {
    before,
    bundles,
    state,
    context,
  }: { before: SiteConfig; bundles: readonly OpenBundle[]; state: SiteState; context: DeployContext },
): Promise<ChangedServers> {
  const { signal } = context
  const { folder: siteFolder, paths } = await openState(state.folder)
  const service = await readServiceRecord(paths.service)
  const restoreUnits = service && (await rememberUnits({ siteFolder, name: service.name }))
  await writeSiteConfig(paths.config, after)
  try {
    const { servers, served } =
      service === undefined
        ? await reloadServers(paths, signal)
        : await updateService(
            {
              setup: { config: after, siteFolder },
              digests: bundles.map(({ identity }) => identity.digest),
              name: service.name,
            },
            { self: service.self ?? context.self, signal },
          )
    if (served !== null) refuseOtherServed(after, served.bundles)
    return servers
  } catch (error) {
    await writeSiteConfig(paths.config, before)
    await restoreUnits?.()
    await serveAgain(paths)
    throw error
  }
}

function refuseOtherServed({ bundles }: SiteConfig, served: readonly { path: string }[]): void {
  if (served.map(({ path }) => path).join('\n') === bundles.join('\n')) return
  throw new AirgapError('USAGE', 'the running servers do not follow the configuration of the site', {
    item: served.map(({ path }) => path).join(', '),
    likely: '`offline-deploy serve` was started with other bundles than the site is set up with',
    next: 'stop them, start them without --bundle, then run the same command again; nothing was changed',
  })
}

function openInstalled(
  paths: readonly string[],
  { siteFolder, now }: { siteFolder: string; now: Date },
): Promise<OpenBundles> {
  return openBundles(paths, { siteFolder, expect: [], unknown: 'opened', now })
}

/** A digest of the client files for these bundles, as `plan` makes them. Throws NAME_COLLISION, BUNDLE_CORRUPT. */
async function clientsOf(
  bundles: readonly OpenBundle[],
  { config, siteFolder, context }: { config: SiteConfig; siteFolder: string; context: DeployContext },
): Promise<string> {
  const state = await openState(siteFolder)
  const parts = await siteParts({
    bundles,
    setup: { config, siteFolder, address: siteAddress(config), expect: [], trustKey: [], site: undefined },
    state,
    context,
    purpose: 'plan',
  })
  return clientFilesDigest(await parts.clients('plan'))
}

async function shadowedOf(bundles: readonly OpenBundle[]): Promise<Shadowed[]> {
  const found = await shadowedNames(bundles.map(({ store }) => store))
  return found.map(({ kind, name, by }) => ({ kind, name, servedFrom: bundles[by]?.path ?? '' }))
}

function viewOf({ path, identity: { name, version, digest }, store }: OpenBundle): SiteBundle {
  return { path, name, version, digest, size: store.size }
}

function unreadable(path: string, { message }: AirgapError): SiteBundle {
  return { path, name: null, version: null, digest: null, size: null, unreadable: message }
}

function missing(error: unknown): AirgapError {
  if (isErrorCode(error, 'FILE_NOT_FOUND', 'PERMISSION', 'IO', 'BUNDLE_UNREADABLE')) return error
  throw error
}

function isSame({ identity }: OpenBundle): (other: OpenBundle) => boolean {
  return other => other.identity.digest === identity.digest
}

function bundleNamed(text: string, { bundles }: SiteBundles): SiteBundle {
  const path = resolve(text)
  const found = bundles.filter(
    one =>
      one.path === path || one.digest === text || one.name === text || `${one.name} ${one.version}` === text,
  )
  const [only, second] = found
  if (only !== undefined && second === undefined) return only
  throw new AirgapError(
    'USAGE',
    only === undefined ? 'the site has no such bundle' : `${found.length} bundles of the site have this name`,
    {
      item: text,
      likely: bundles.map(one => `${one.name ?? one.path} ${one.version ?? ''}`.trim()).join(', '),
      next:
        only === undefined
          ? 'run `offline-deploy bundles list`'
          : 'name it by its digest or its path, as `offline-deploy bundles list` shows them',
    },
  )
}

function lastBundle({ path }: SiteBundle): AirgapError {
  return new AirgapError('USAGE', 'this is the only bundle of the site', {
    item: path,
    next: 'add another one first, or stop the servers with `offline-deploy stop`',
  })
}

/** What is installed needs its bundle, unless another version of it is there. */
async function refuseInstalled(
  { name, digest, path }: SiteBundle,
  { left, state }: { left: readonly OpenBundle[]; state: SiteState },
): Promise<void> {
  const installed = await readBundleRecord(state.paths.installed)
  const needed = installed.find(one => (digest === null ? one.name === name : one.digest === digest))
  if (needed === undefined || left.some(({ identity }) => identity.name === needed.name)) return
  throw new AirgapError('USAGE', `${needed.name} ${needed.version} is installed from this bundle`, {
    item: path,
    likely:
      'the machines of the site fetch its images and packages again, when a node is replaced for example',
    next: 'install another version first, with `offline-deploy upgrade --bundle FILE`',
  })
}

/** Pushed images may have layers that only a bundle has. */
async function refuseNeeded(
  removed: SiteBundle,
  { left, state }: { left: readonly OpenBundle[]; state: SiteState },
): Promise<void> {
  const { overlay } = await serversPaths(state.paths)
  if (!existsSync(overlay)) return
  const kept = new Set(left.flatMap(({ store }) => store.blobs().map(({ digest }) => digest)))
  const images = await imagesNeeding(overlay, digest => !kept.has(digest))
  if (images.length === 0) return
  const names = images.slice(0, 5).map(({ name }) => name)
  throw new AirgapError('USAGE', `${images.length} pushed images have layers that only this bundle has`, {
    item: `${removed.path}: ${names.join(', ')}${images.length > names.length ? ', …' : ''}`,
    next: 'delete these images, or build them on an image of another bundle and push them again',
  })
}
