import { randomUUID } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { createAtomically } from '../core/atomic-file.ts'
import { digestOf } from '../core/digest.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'

/** The folder that holds all state of one site: nothing is kept elsewhere. */
export interface SiteState {
  folder: string
  /** random, made once: tells this site's servers from others */
  id: string
  /** site and machine: state that was copied to another machine is not valid there */
  identity: string
  paths: {
    config: string
    journal: string
    /** held by a command that changes the site */
    lock: string
    /** held by the running servers */
    serveLock: string
    serveLog: string
    deploy: string
    clients: string
    /** which files were written on this machine, and what they were */
    written: string
    /** site.yaml, which people write */
    siteFile: string
    /** hosts.yaml for ansible and what lies beside it */
    inventory: string
    /** programs of this host */
    tools: string
    /** output of programs that steps run */
    logs: string
    /** the program that the holder of the lock runs now */
    running: string
    /** ssh's host keys of the nodes */
    knownHosts: string
    /** facts and temporary files of ansible */
    ansible: string
    /** passwords for the nodes, mode 0600 */
    access: string
    /** names, versions and digests of the bundles that the site was set up with last */
    bundles: string
    /** the same of the bundles that were installed last */
    installed: string
  }
}

const schema = z.looseObject({ site: z.uuid() })

/** Opens the state folder, making it (mode 0700) where it is missing. Throws PERMISSION, JOURNAL_INVALID. */
export async function openState(folder: string): Promise<SiteState> {
  const path = join(folder, 'site.json')
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await createAtomically(path, `${JSON.stringify({ site: randomUUID() })}\n`)
  } catch (error) {
    throw unwritable(error, folder)
  }
  const state = await readState(folder)
  if (state === undefined)
    throw new AirgapError('IO', 'the state folder vanished after it was made', { item: folder })
  return state
}

/** The state folder as it is; undefined where there is none yet. Writes nothing. */
export async function readState(folder: string): Promise<SiteState | undefined> {
  const path = join(folder, 'site.json')
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  }
  const id = parseId(text, path)
  return { folder, id, identity: `${id}/${await machine()}`, paths: pathsOf(folder) }
}

/**
 * The state as it is, or as it would be before anything was done; writes nothing. Who looks at it holds no lock: the program
 * that an `apply` runs meanwhile is not theirs to end, so they remember their own elsewhere.
 */
export async function previewState(folder: string): Promise<SiteState> {
  const state = (await readState(folder)) ?? { folder, id: 'new', identity: 'new', paths: pathsOf(folder) }
  const running = join(tmpdir(), `offline-deploy-${randomUUID()}.json`)
  return { ...state, paths: { ...state.paths, running } }
}

/** Where things are in a state folder, whether it is there or not. */
export function pathsOf(folder: string): SiteState['paths'] {
  return {
    config: join(folder, 'config.json'),
    journal: join(folder, 'journal.jsonl'),
    lock: join(folder, 'lock'),
    serveLock: join(folder, 'serve.lock'),
    serveLog: join(folder, 'serve.log'),
    deploy: join(folder, 'deploy'),
    clients: join(folder, 'clients'),
    written: join(folder, 'written.json'),
    siteFile: join(folder, 'site.yaml'),
    inventory: join(folder, 'inventory'),
    tools: join(folder, 'tools'),
    logs: join(folder, 'logs'),
    running: join(folder, 'running.json'),
    knownHosts: join(folder, 'known_hosts'),
    ansible: join(folder, 'ansible'),
    access: join(folder, 'access'),
    bundles: join(folder, 'bundles.json'),
    installed: join(folder, 'installed.json'),
  }
}

function parseId(text: string, path: string): string {
  try {
    return schema.parse(JSON.parse(text)).site
  } catch (error) {
    throw new AirgapError('JOURNAL_INVALID', 'this is not the state folder of a site, or it is damaged', {
      item: path,
      next: 'choose another folder with --site',
      cause: error,
    })
  }
}

/** machine-id(5) asks not to hand the id itself around. */
async function machine(): Promise<string> {
  const id = (await readFile('/etc/machine-id', 'utf8').catch(() => '')).trim()
  return id === '' ? 'unknown' : digestOf(`airgap site ${id}`).slice(7, 39)
}

function unwritable(error: unknown, folder: string): unknown {
  const known = fromSystemError(error, folder)
  if (!(known instanceof AirgapError)) return known
  return new AirgapError(known.code, `the state folder cannot be made: ${known.message}`, {
    item: folder,
    likely: 'the medium is read-only, or belongs to another user',
    next: 'choose a folder on a writable disk with --site',
    cause: error,
  })
}
