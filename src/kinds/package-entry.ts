import { resolve } from 'node:path'
import { z } from 'zod'
import { compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { redactText } from '../core/redact.ts'
import { textField } from '../document/fields.ts'
import { type ListLine, readList } from '../document/read-text.ts'
import type { LeftOut } from '../lock/left-out.ts'
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

/** What both kinds of packages request for the kernels of a site. */
export interface KernelRequest {
  packages: string[]
  /** patterns with `{kernel}`, for each kernel of the probed machines */
  kernelPackages: string[]
  /** `uname -r` of the probed machines (`lock --site`) */
  kernels?: string[]
}

/** The requested packages, with those of every pattern for every kernel: what the digest of inputs covers. */
export function withKernelPackages({ packages, kernelPackages, kernels = [] }: KernelRequest): string[] {
  const added = forKernels(kernelPackages).flatMap(pattern =>
    kernels.map(kernel => pattern.replaceAll('{kernel}', kernel)),
  )
  return added.length === 0 ? packages : [...new Set([...packages, ...added])].sort(compareText)
}

/**
 * Chooses the packages for the kernels of a site. A site may have several kinds of kernels, and a pattern may be for only some of them
 * (`kernel-devel-{kernel}`, `kernel-uek-devel-{kernel}`): each kernel needs one pattern that has a package, and takes all that have. What the
 * others would be is left out by name. `find` returns the arguments that stand for a pattern and a kernel, none where no package fits.
 * Throws UNRESOLVABLE with the kernels that no pattern fits.
 */
export function chooseKernelPackages(
  { kernelPackages, kernels = [], at }: KernelRequest & { at: string },
  {
    find,
    available,
  }: {
    find: (pattern: string, kernel: string) => string[]
    /** packages of this kernel that no pattern names, for the advice */
    available: (kernel: string) => string[]
  },
): { packages: string[]; leftOut: LeftOut[] } {
  const packages = new Set<string>()
  const leftOut: LeftOut[] = []
  const unserved: string[] = []
  const patterns = forKernels(kernelPackages)
  for (const kernel of patterns.length === 0 ? [] : kernels) {
    const found = patterns.map(pattern => find(pattern, kernel))
    if (found.every(list => list.length === 0)) unserved.push(kernel)
    found.forEach((list, i) => {
      for (const one of list) packages.add(one)
      if (list.length === 0)
        leftOut.push({
          name: patterns[i]!.replaceAll('{kernel}', kernel),
          reason: 'no such package for this kernel; another pattern of kernelPackages has one',
        })
    })
  }
  if (unserved.length === 0) return { packages: [...packages], leftOut }
  const near = [...new Set(unserved.flatMap(available))]
  throw new AirgapError(
    'UNRESOLVABLE',
    `no package of kernelPackages fits the ${unserved.length === 1 ? 'kernel' : 'kernels'} ${unserved.join(', ')}`,
    {
      item: at,
      likely:
        near.length > 0
          ? `the patterns are ${patterns.join(', ')}; available: ${near.slice(0, 4).join(', ')}`
          : `the patterns are ${patterns.join(', ')}, and no repository of the entry has packages for this kernel`,
      next: 'add a pattern for such kernels to kernelPackages, or the repository that has the packages; or update the kernels of these machines, and pass new probes',
    },
  )
}

function forKernels(patterns: readonly string[]): string[] {
  return patterns.filter(pattern => pattern.includes('{kernel}'))
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
