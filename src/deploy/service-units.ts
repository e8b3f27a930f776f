import { chmod, mkdir, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError, errnoOf } from '../core/errors.ts'
import { runSystemd, unitState } from '../service/systemctl.ts'
import { isHidden, needsRestart, unitFiles } from '../service/units.ts'
import { pathsOf } from '../site/state.ts'
import type { Setup } from './set-up.ts'

/** A site whose servers systemd runs. */
export interface ServiceSite {
  setup: Pick<Setup, 'config' | 'siteFolder'>
  /** of its bundles */
  digests: readonly Digest[]
  /** of the units, without suffix */
  name: string
}

/** What has changed with the units. */
export interface WrittenUnits {
  /** paths of the files */
  changed: string[]
  /** the running service has to be started again to work by them */
  restart: boolean
  /** the same for its sockets, which closes the ports for a moment */
  movesPorts: boolean
}

/** Returns what puts the units back as they are now, and starts a service again that no longer runs. */
export async function rememberUnits({
  siteFolder,
  name,
}: {
  siteFolder: string
  name: string
}): Promise<() => Promise<void>> {
  // not that of the command, which may be aborted by then
  const { signal } = new AbortController()
  const paths = [pathsOf(siteFolder).serviceEnvironment, ...installedFiles(name)]
  const texts = await Promise.all(paths.map(async path => [path, await textOf(path)] as const))
  return async () => {
    for (const [path, text] of texts)
      if (text !== undefined && text !== (await textOf(path)))
        await writeAtomically(path, text, path.endsWith('.env') ? 0o600 : 0o644)
    await runSystemd('systemctl', ['daemon-reload'], signal)
    const service = `${name}.service`
    if (['active', 'reloading', 'inactive'].includes(await unitState(service, signal))) return
    await runSystemd('systemctl', ['reset-failed', service], signal).catch(() => {})
    await runSystemd('systemctl', ['restart', service], signal)
  }
}

export function installedFiles(name: string): string[] {
  return [
    `/etc/systemd/system/${name}.socket`,
    `/etc/systemd/system/${name}.service`,
    `/etc/sysusers.d/${name}.conf`,
  ]
}

/** Writes the units as they are for this configuration, and what the service expects of its bundles when it starts. Throws PERMISSION, NO_SPACE. */
export async function writeUnits(
  { setup, digests, name }: ServiceSite,
  self: readonly string[],
): Promise<WrittenUnits> {
  const { config, siteFolder } = setup
  await writeAtomically(
    pathsOf(siteFolder).serviceEnvironment,
    `OFFLINE_DEPLOY_EXPECT=${digests.join(',')}\n`,
    0o600,
  )
  // of the copies in the state folder, which nobody else can reach there
  for (const path of config.bundles) if (path.startsWith(`${siteFolder}/`)) await chmod(path, 0o644)
  const written: WrittenUnits = { changed: [], restart: false, movesPorts: false }
  for (const { path, text } of unitFiles(unitsOf(setup, { name, self }))) {
    const before = await textOf(path)
    if (before === text) continue
    if (path.endsWith('.socket')) written.movesPorts = true
    if (path.endsWith('.service') && needsRestart(before ?? '', text)) written.restart = true
    await mkdir(dirname(path), { recursive: true })
    await writeAtomically(path, text, 0o644)
    written.changed.push(path)
  }
  return written
}

export function unitsOf(
  { config, siteFolder }: Pick<Setup, 'config' | 'siteFolder'>,
  { name, self }: { name: string; self: readonly string[] },
): Parameters<typeof unitFiles>[0] {
  return {
    name,
    site: siteFolder,
    self,
    reads: [...config.bundles, ...programOf(self)],
    listen: config.listen,
    ports: { registry: config.registryPort, http: config.httpPort },
  }
}

/** The folders with the runtime and the program: the bundle's is one folder with both. */
export function programOf(self: readonly string[]): string[] {
  return [...new Set([self[0] ?? '', self.at(-1) ?? ''].map(path => dirname(path)))]
}

/** The user of the servers has to be able to read the bundle: on a medium, its mount options decide that. */
export async function refuseUnreadable(paths: readonly string[], siteFolder: string): Promise<void> {
  for (const path of paths) {
    // of a bundle that is copied there, the mode is set
    if (path.startsWith(`${siteFolder}/bundles/`)) continue
    const stats = await stat(path)
    if ((stats.mode & 0o004) === 0 || (stats.isDirectory() && (stats.mode & 0o001) === 0))
      throw unreadable(path)
    if (isHidden(path, siteFolder)) continue
    for (let above = dirname(path); above !== '/'; above = dirname(above))
      if (((await stat(above)).mode & 0o001) === 0) throw unreadable(above)
  }
}

function unreadable(item: string): AirgapError {
  return new AirgapError('PERMISSION', 'the user of the servers cannot read this', {
    item,
    likely: 'the medium was mounted for root alone, or the file was copied with mode 0600',
    next: 'mount the medium with `-o umask=022`, or run `chmod o+rX` on it; `offline-deploy apply --copy-bundle` copies the bundle',
  })
}

export async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
