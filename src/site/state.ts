import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { createAtomically } from '../core/atomic-file.ts'
import { digestOf } from '../core/digest.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { refuseForeignFolder } from '../core/private-folder.ts'
import { readTextFile } from '../core/text-file.ts'
import { machineId } from './machine-id.ts'

/** The folder with all state of one site: nothing is stored elsewhere. */
export interface SiteState {
  folder: string
  /** random, generated once: distinguishes the servers of this site from others */
  id: string
  /** of site and host: a state folder that was copied to another host is not valid there */
  identity: string
  paths: {
    config: string
    journal: string
    /** held by a command that changes the site */
    lock: string
    /** held by the running servers */
    serveLock: string
    serveLog: string
    /** the systemd service that runs the servers; and the environment of that service, mode 0600 */
    service: string
    serviceEnvironment: string
    /** what the running servers say of themselves, mode 0600 */
    serving: string
    /** socket at which the running servers take requests of this user's commands, mode 0600 */
    control: string
    deploy: string
    clients: string
    /** record of the files that were written on this host */
    written: string
    /** site.yaml, which people write */
    siteFile: string
    /** ansible's inventory: hosts.yaml, and the files for the machines beside it */
    inventory: string
    /** of the cluster that was installed here: made of the data in the fetched one (install/kubeconfig.ts), mode 0600 */
    kubeconfig: string
    /** as kubespray fetches it from a node: hostile data, never passed to a program */
    fetchedKubeconfig: string
    /** programs of this host */
    tools: string
    /** output of programs that steps run */
    logs: string
    /** the program that the holder of the lock is running */
    running: string
    /** ssh's host keys of the nodes */
    knownHosts: string
    /** facts and temporary files of ansible */
    ansible: string
    /** passwords for the nodes, mode 0600 */
    access: string
    /** names, versions and digests of all bundles that the site was ever set up with */
    bundles: string
    /** the same for the installed bundles */
    installed: string
    /** the keys whose signatures the site trusts, mode 0600 */
    trust: string
    /** the users of the servers and their roles, mode 0600: in htpasswd's form */
    users: string
    /** what users and commands have done, mode 0600, in a folder of its own */
    audit: string
    /** folder, mode 0700: what the servers know of each bundle's content */
    verdicts: string
    /** folder, mode 0700: what was pushed to the site's registry */
    overlay: string
    /** folder, mode 0700: the site's CA and the certificate of its servers */
    tls: string
  }
}

const schema = z.looseObject({ site: z.uuid() })

/** Opens the state folder; creates it (mode 0700) if it is missing. Throws PERMISSION, JOURNAL_INVALID. */
export async function openState(folder: string): Promise<SiteState> {
  const path = join(folder, 'site.json')
  // the parents before anything is created, the folder afterwards: another user may have made it in the meantime
  await refuseForeignState(folder)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw unwritable(error, folder)
  }
  await refuseForeignState(folder)
  try {
    await createAtomically(path, `${JSON.stringify({ site: randomUUID() })}\n`)
  } catch (error) {
    throw unwritable(error, folder)
  }
  const state = await readState(folder)
  if (state === undefined)
    throw new AirgapError('IO', 'the state folder disappeared after it was created', { item: folder })
  return state
}

/** Throws PERMISSION where another user could have prepared the state folder, or can change it. */
export async function refuseForeignState(folder: string): Promise<void> {
  await refuseForeignFolder({ path: folder, what: 'the state folder', elsewhere: '--site FOLDER' })
}

/** Reads the state folder; undefined if there is none yet. Writes nothing. */
export async function readState(folder: string): Promise<SiteState | undefined> {
  const path = join(folder, 'site.json')
  const text = await readTextFile(path)
  if (text === undefined) return undefined
  const id = parseId(text, path)
  return { folder, id, identity: `${id}/${await machine()}`, paths: pathsOf(folder) }
}

/**
 * Returns the state as it is, or as it would be at first; writes nothing. A command that only reads holds no lock and must not
 * end the program that an `apply` is running, so it records its own elsewhere.
 */
export async function previewState(folder: string): Promise<SiteState> {
  const state = (await readState(folder)) ?? { folder, id: 'new', identity: 'new', paths: pathsOf(folder) }
  const running = join(tmpdir(), `offline-deploy-${randomUUID()}.json`)
  return { ...state, paths: { ...state.paths, running } }
}

/** Returns the paths in a state folder, whether it exists or not. */
export function pathsOf(folder: string): SiteState['paths'] {
  return {
    config: join(folder, 'config.json'),
    journal: join(folder, 'journal.jsonl'),
    lock: join(folder, 'lock'),
    serveLock: join(folder, 'serve.lock'),
    serveLog: join(folder, 'serve.log'),
    service: join(folder, 'service.json'),
    serviceEnvironment: join(folder, 'service.env'),
    serving: join(folder, 'serving.json'),
    control: join(folder, 'control.sock'),
    deploy: join(folder, 'deploy'),
    clients: join(folder, 'clients'),
    written: join(folder, 'written.json'),
    siteFile: join(folder, 'site.yaml'),
    inventory: join(folder, 'inventory'),
    kubeconfig: join(folder, 'kubeconfig'),
    fetchedKubeconfig: join(folder, 'inventory', 'artifacts', 'admin.conf'),
    tools: join(folder, 'tools'),
    logs: join(folder, 'logs'),
    running: join(folder, 'running.json'),
    knownHosts: join(folder, 'known_hosts'),
    ansible: join(folder, 'ansible'),
    access: join(folder, 'access'),
    bundles: join(folder, 'bundles.json'),
    installed: join(folder, 'installed.json'),
    trust: join(folder, 'trust.json'),
    users: join(folder, 'users.htpasswd'),
    audit: join(folder, 'audit', 'audit.jsonl'),
    verdicts: join(folder, 'verdicts'),
    overlay: join(folder, 'overlay'),
    tls: join(folder, 'tls'),
  }
}

function parseId(text: string, path: string): string {
  try {
    return schema.parse(JSON.parse(text)).site
  } catch (error) {
    throw new AirgapError(
      'JOURNAL_INVALID',
      'the folder is not the state folder of a site, or it is damaged',
      {
        item: path,
        next: 'choose another folder with --site',
        cause: error,
      },
    )
  }
}

/** A hash: machine-id(5) says that the id itself is confidential. */
async function machine(): Promise<string> {
  const id = await machineId()
  return id === '' ? 'unknown' : digestOf(`airgap site ${id}`).slice(7, 39)
}

function unwritable(error: unknown, folder: string): unknown {
  const known = fromSystemError(error, folder)
  if (!(known instanceof AirgapError)) return known
  return new AirgapError(known.code, `the state folder cannot be created: ${known.message}`, {
    item: folder,
    likely: 'the medium is read-only, or belongs to another user',
    next: 'choose a folder on a writable disk with --site',
    cause: error,
  })
}
