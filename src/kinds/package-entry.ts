import { resolve } from 'node:path'
import { z } from 'zod'
import { compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { redactText } from '../core/redact.ts'
import { textField } from '../document/fields.ts'
import { type ListLine, readList } from '../document/read-text.ts'
import type { LoadContext } from './entry.ts'

/** What the entries of both package managers have in common: packages, lists of packages, and the base system. */

/** apt_preferences(5) and dnf.conf(5) */
export const priorityField = z.number().int().min(-32_768).max(32_767)

/** What the machines have already: a word, or a file as `dpkg-query -W` or `rpm -qa` print it. */
export const baseField = z.union([
  z.enum(['none', 'minimal', 'server', 'cloud']),
  z.strictObject({
    /** lines of `name version architecture` */
    list: textField,
  }),
])

export interface InstalledPackage {
  name: string
  /** rpm: `[epoch:]version-release` */
  version: string
  architecture: string
}

/** What the machines have before anything is installed: not carried. */
export type BaseSystem =
  | { type: 'none' }
  /** what such an installation of the distribution's release contains, computed from its own metadata */
  | { type: 'named'; name: 'minimal' | 'server' | 'cloud' }
  /** exactly these: from a list of the manifest, or from probes of the machines */
  | { type: 'list'; packages: InstalledPackage[] }

/** Returns the packages of an entry and of its lists; undefined where a list cannot be read. */
export async function packageLines(
  { at, folder, mistakes }: LoadContext,
  index: number,
  entry: { packages: string[]; lists: string[]; kernelPackages: string[] },
): Promise<ListLine[] | undefined> {
  const lines = entry.packages.map((text, i) => ({ text, at: at(index, 'packages', i) }))
  for (const [i, list] of entry.lists.entries()) {
    const listed = await mistakes.attemptLater(() => readList(resolve(folder, list), at(index, 'lists', i)))
    if (listed === undefined) return undefined
    lines.push(...listed)
  }
  if (lines.length === 0 && entry.kernelPackages.length === 0)
    mistakes.add(nothingRequested(at(index), 'packages:` or `lists:'))
  return lines
}

export function nothingRequested(at: string, keys: string): AirgapError {
  return new AirgapError('MANIFEST_INVALID', 'the entry requests no packages', {
    item: at,
    next: `add \`${keys}\``,
  })
}

/** Returns the base system of an entry; undefined where its list cannot be read. `command` prints such a list. */
export async function baseOf(
  { at, folder, mistakes }: LoadContext,
  index: number,
  { written, command }: { written: z.infer<typeof baseField>; command: string },
): Promise<BaseSystem | undefined> {
  if (written === 'none') return { type: 'none' }
  if (typeof written === 'string') return { type: 'named', name: written }
  const lines = await mistakes.attemptLater(() => readList(resolve(folder, written.list), at(index, 'base')))
  if (lines === undefined) return undefined
  const packages = lines.flatMap(line => {
    const [name = '', version = '', architecture = '', ...more] = line.text.split(/\s+/)
    if (architecture !== '' && more.length === 0) return [{ name, version, architecture }]
    mistakes.add(
      new AirgapError('MANIFEST_INVALID', 'the line does not describe an installed package', {
        item: `${line.at}: ${redactText(line.text).slice(0, 200)}`,
        likely: 'each line is: name version architecture',
        next: `create the list with ${command}`,
      }),
    )
    return []
  })
  return { type: 'list', packages }
}

export function distinctTexts(lines: readonly ListLine[]): string[] {
  return [...new Set(lines.map(line => line.text))].sort(compareText)
}
