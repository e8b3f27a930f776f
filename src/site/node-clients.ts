import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { aptKeyPath, type ClientFiles } from './mirror-files.ts'

/**
 * Of all client files those that are for this machine: package sources of another release would break its apt. A machine
 * whose release cannot be told gets all sources; one without apt none.
 */
export async function clientFilesFor(files: ClientFiles, { root }: { root: string }): Promise<ClientFiles> {
  const hasApt = await stat(join(root, 'etc/apt')).then(
    found => found.isDirectory(),
    () => false,
  )
  const codename = await codenameOf(root)
  const chosen: ClientFiles = new Map()
  for (const [path, text] of files) {
    const isSource = path.startsWith('etc/apt/sources.list.d/')
    if (path.startsWith('etc/apt/') && !hasApt) continue
    if (isSource && codename !== undefined && !suitesOf(text).some(suite => isOf(suite, codename))) continue
    chosen.set(path, text)
  }
  if (![...chosen.keys()].some(path => path.startsWith('etc/apt/sources.list.d/'))) chosen.delete(aptKeyPath)
  return chosen
}

/** os-release(5) */
async function codenameOf(root: string): Promise<string | undefined> {
  for (const path of ['etc/os-release', 'usr/lib/os-release']) {
    const text = await readFile(join(root, path), 'utf8').catch(() => undefined)
    const match = text === undefined ? null : /^VERSION_CODENAME=["']?([a-z0-9-]+)["']?\s*$/m.exec(text)
    if (match?.[1] !== undefined) return match[1]
  }
  return undefined
}

function suitesOf(source: string): string[] {
  return [...source.matchAll(/^Suites: (.*)$/gm)].flatMap(match => match[1]?.split(' ') ?? [])
}

/** `bookworm`, `bookworm-updates`, `bookworm/updates`; a suite by another name (`stable`) cannot be told and is taken. */
function isOf(suite: string, codename: string): boolean {
  const word = suite.split(/[-/]/)[0] ?? ''
  return word === codename || ['stable', 'testing', 'unstable', 'oldstable'].includes(word)
}
