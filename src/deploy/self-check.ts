import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { digestOf } from '../core/digest.ts'
import { programFolder } from './locate.ts'
import type { OpenBundle } from './open-bundles.ts'

export interface RunningProgram {
  /** the folder that it runs from; undefined where it was not unpacked from a bundle */
  folder: string | undefined
  /** the file that runs */
  file: string
}

export function runningProgram(): RunningProgram {
  return { folder: programFolder(), file: import.meta.filename }
}

/**
 * Whether the program that runs came with the bundle that it verifies: from the bundle, or from its medium. Such a program cannot vouch for
 * itself: an attacker who changed the bundle could have changed its messages, and it has already run. The copy in the state folder of the site
 * came with a bundle that was verified before.
 */
export async function cameWith(
  { path, store }: OpenBundle,
  { siteFolder, program: { folder, file } }: { siteFolder: string; program: RunningProgram },
): Promise<boolean> {
  if (folder === undefined || dirname(folder) === siteFolder) return false
  if (dirname(folder) === dirname(path)) return true
  const digest = digestOf(await readFile(file))
  const carried = store.entries().filter(entry => entry.path.startsWith('offline-deploy/'))
  if (carried.some(entry => entry.digest === digest)) return true
  const [own, bundle, root] = await Promise.all([folder, path, '/'].map(deviceOf))
  return own === bundle && own !== root
}

async function deviceOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.dev
}
