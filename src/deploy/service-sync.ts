import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError, errnoOf } from '../core/errors.ts'
import { serviceFolder } from '../service/units.ts'
import { readSiteConfig, type SiteConfig, type TlsConfig } from '../site/config.ts'
import { openServerKey } from '../site/server-key.ts'
import { existingSite } from './set-up.ts'
import { openKey } from './site-key.ts'
import { caForMachines } from './site-tls.ts'
import { verdictName } from './site-verdicts.ts'

/** Folder of files that the servers need; a site with the operator's own certificate has none. */
const neededFolder = 'tls'

/** Files that the servers need. Nothing but these and the files of the folder ever leaves the site's state folder. */
const needed = [
  // first: a failure at a later file must not leave a removed user in the copy
  'users.htpasswd',
  'site.json',
  'config.json',
  'bundles.json',
  'trust.json',
  'server-key.pem',
  'site-key.asc',
] as const

/** of the servers, with its key */
const certificate = join(neededFolder, 'server.pem')

/**
 * Copies what the servers need to their own folder. Reads as root, becomes the owner of that folder for good, and writes: a link in there
 * leads that user where it could go anyway. Of `verified`, a bundle that was read whole as root, it copies the verdicts, too. For a process that ends afterwards. Throws PERMISSION, FILE_NOT_FOUND.
 */
export async function syncService(
  { site, name, verified }: { site: string; name: string; verified?: Digest },
  { now }: { now: () => Date },
): Promise<{ folder: string; files: string[] }> {
  const { siteFolder, state } = await existingSite({ site })
  const folder = serviceFolder(name)
  const owner = await stat(folder).catch((error: unknown) => {
    throw notPrepared(folder, error)
  })
  if (owner.uid === 0 || process.getuid?.() !== 0) throw notPrepared(folder)
  // keys of the site are made here, where they stay
  await openServerKey(siteFolder)
  await openKey(state, now)
  const config = await readSiteConfig(state.paths.config)
  await caForMachines(config?.tls ?? null, { folder: state.paths.tls, now })
  const present = await stat(join(siteFolder, certificate)).catch(() => undefined)
  const contents = new Map<string, Buffer | undefined>()
  for (const path of [...(await neededFiles(siteFolder)), ...verdictsOf(verified)])
    contents.set(path, await contentOf(join(siteFolder, path)))
  if (config !== undefined) await addGivenCertificate(contents, { config, folder })
  process.setgroups?.([])
  process.setgid?.(owner.gid)
  process.setuid?.(owner.uid)
  // the servers renew it in their folder
  const theirs = await stat(join(folder, certificate)).catch(() => undefined)
  if (theirs !== undefined && !(present !== undefined && present.mtimeMs > theirs.mtimeMs))
    contents.delete(certificate)
  for (const [path, content] of contents) {
    const target = join(folder, path)
    if (content === undefined) await rm(target, { force: true })
    else {
      await mkdir(dirname(target), { recursive: true, mode: 0o700 })
      await writeAtomically(target, content, 0o600)
    }
  }
  return { folder, files: [...contents].filter(([, content]) => content !== undefined).map(([path]) => path) }
}

/** The file of one bundle alone: of the others, the servers may have found out more since. */
function verdictsOf(bundle: Digest | undefined): string[] {
  return bundle === undefined ? [] : [join('verdicts', verdictName(bundle))]
}

/** The operator's certificate and key may be readable for root alone: the servers get copies, and a configuration that names these. */
async function addGivenCertificate(
  contents: Map<string, Buffer | undefined>,
  { config, folder }: { config: SiteConfig; folder: string },
): Promise<void> {
  const { tls } = config
  if (tls?.by !== 'files') return
  const copied = async (name: string, path: string) => {
    contents.set(join(neededFolder, name), await readFile(path))
    return join(folder, neededFolder, name)
  }
  const files: TlsConfig = {
    by: 'files',
    certificate: await copied('given.crt', tls.certificate),
    key: await copied('given.key', tls.key),
    ...defined({ ca: tls.ca === undefined ? undefined : await copied('given-ca.crt', tls.ca) }),
  }
  contents.set('config.json', Buffer.from(canonicalJson({ ...config, tls: files }, 2)))
}

async function neededFiles(siteFolder: string): Promise<string[]> {
  const inside = await readdir(join(siteFolder, neededFolder)).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  return [...needed, ...inside.map(name => join(neededFolder, name))]
}

async function contentOf(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function notPrepared(folder: string, cause?: unknown): AirgapError {
  return new AirgapError('PERMISSION', 'this command is for the unit of the servers, which runs it as root', {
    item: folder,
    likely: 'it was started by hand',
    next: 'run `offline-deploy service install`',
    cause,
  })
}
