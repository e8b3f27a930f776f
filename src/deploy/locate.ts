import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { AirgapError } from '../core/errors.ts'
import { nearbyFiles } from '../core/nearby-files.ts'

/** The folder that `tar xf bundle.tar offline-deploy` made, where this program runs from it. */
export function programFolder(): string | undefined {
  const folder = import.meta.dirname
  return basename(folder) === 'offline-deploy' && import.meta.url.endsWith('.mjs') ? folder : undefined
}

/** The bundles that were named, else the only tar next to the program. Throws USAGE and lists the candidates. */
export async function locateBundles(
  given: readonly string[],
  options: { program?: string | undefined } = { program: programFolder() },
): Promise<string[]> {
  if (given.length > 0) return given.map(path => resolve(path))
  const { program } = options
  if (program === undefined)
    throw new AirgapError('USAGE', 'which bundle? none was named', {
      next: 'name it with --bundle FILE, or set OFFLINE_DEPLOY_BUNDLE',
    })
  const folder = dirname(program)
  const names = (await readdir(folder).catch(() => [])).filter(name => name.endsWith('.tar')).sort()
  const [only, second] = names
  if (only === undefined)
    throw new AirgapError('USAGE', 'no bundle next to this program', {
      item: folder,
      likely: 'the program was copied without its bundle',
      next: `name the bundle with --bundle ${(await bundlesNear(folder)) ?? 'FILE'}`,
    })
  if (second === undefined) return [join(folder, only)]
  throw new AirgapError('USAGE', `which bundle? ${names.length} are next to this program`, {
    item: names.join(', '),
    next: `name it with --bundle ${join(folder, only)}`,
  })
}

/** A tar in the current folder, or in the one above the program's. */
async function bundlesNear(folder: string): Promise<string | undefined> {
  const found = [...(await nearbyFiles(resolve('x'), ['.tar'])), ...(await nearbyFiles(folder, ['.tar']))]
  return found[0]
}

/** The state folder: the one that was named, else the one that the program is in, else `site` beside it or beside the bundle. Throws USAGE. */
export function locateSite(
  given: string | undefined,
  options: { bundles: readonly string[]; program?: string | undefined },
): string {
  if (given !== undefined) return givenFolder(given, '--site')
  const { program = programFolder(), bundles } = options
  // the program that `apply --copy-bundle` laid down is in the state folder itself
  if (program !== undefined && existsSync(join(dirname(program), 'site.json'))) return dirname(program)
  const neighbour = program ?? bundles[0]
  if (neighbour !== undefined) return join(dirname(neighbour), 'site')
  throw new AirgapError('USAGE', 'which site? none was named', {
    next: 'name its state folder with --site FOLDER',
  })
}

/** An empty name, as an unset variable of a script leaves it, would mean the current folder. Throws USAGE. */
export function givenFolder(text: string, option: string): string {
  if (text !== '') return resolve(text)
  throw new AirgapError('USAGE', `${option} is empty`, {
    item: option,
    likely: 'the script that calls this program uses a variable that is not set',
    next: 'name a folder; `.` is the current one',
  })
}
