import { readdir } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { AirgapError } from '../../core/errors.ts'

/** The folder that `tar xf bundle.tar offline-deploy` made, where this program runs from it. */
export function programFolder(): string | undefined {
  const folder = import.meta.dirname
  return basename(folder) === 'offline-deploy' && import.meta.url.endsWith('.mjs') ? folder : undefined
}

/** The bundles asked for, or the only tar beside the program. Throws USAGE, naming what there is. */
export async function locateBundles(
  given: readonly string[],
  options: { program?: string | undefined } = { program: programFolder() },
): Promise<string[]> {
  if (given.length > 0) return given.map(path => resolve(path))
  const { program } = options
  if (program === undefined) {
    throw new AirgapError('USAGE', 'which bundle?', {
      next: 'give it with --bundle FILE, or set OFFLINE_DEPLOY_BUNDLE',
    })
  }
  const folder = dirname(program)
  const names = (await readdir(folder).catch(() => [])).filter(name => name.endsWith('.tar')).sort()
  const [only, second] = names
  if (only !== undefined && second === undefined) return [join(folder, only)]
  throw new AirgapError(
    'USAGE',
    only === undefined ? 'there is no bundle beside this program' : 'which bundle?',
    {
      item: only === undefined ? folder : names.join(', '),
      likely:
        only === undefined
          ? 'the program was copied without its bundle'
          : 'several bundles lie beside this program',
      next: `give it with --bundle ${only === undefined ? 'FILE' : join(folder, only)}`,
    },
  )
}

/** State folder: as asked for, else `site` beside the program, else beside the bundle. */
export function locateSite(
  given: string | undefined,
  options: { bundles: readonly string[]; program?: string | undefined },
): string {
  if (given !== undefined) return givenFolder(given, '--site')
  const { program = programFolder(), bundles } = options
  const beside = program ?? bundles[0]
  if (beside === undefined)
    throw new AirgapError('USAGE', 'which site?', { next: 'give its state folder with --site FOLDER' })
  return join(dirname(beside), 'site')
}

/** An empty name, as an unset variable of a script leaves it, would mean the current folder. Throws USAGE. */
export function givenFolder(text: string, option: string): string {
  if (text !== '') return resolve(text)
  throw new AirgapError('USAGE', `${option} is empty`, {
    item: option,
    likely: 'a variable that is not set in the script that calls this',
    next: 'name a folder; `.` is the current one',
  })
}
