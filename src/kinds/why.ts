import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import type { Lock } from '../lock/schema.ts'
import { describeLock, packageSets } from './items.ts'
import type { PackageReason, PackageSet } from './package-set.ts'

/** Returns the chains of dependencies from a requested package to this one, one for each set that has it. Throws NOT_FOUND. */
export function why(lock: Lock, name: string | undefined): string[] {
  if (!name) {
    throw new AirgapError('USAGE', 'a name is missing', { next: 'run `airgap inspect BUNDLE why NAME`' })
  }
  const sets = packageSets(lock)
  const inSets = new Set(sets.flatMap(set => set.items.map(item => item.name)))
  const others = describeLock(lock).filter(item => !inSets.has(item.name))
  const lines = [
    ...sets.flatMap(set => chain(set, name)),
    ...others
      .filter(item => item.name === name)
      .map(item => `${item.kind} ${item.name}: requested by the manifest`),
  ]
  if (lines.length > 0) return lines
  const names = [...sets.flatMap(set => set.packages.map(one => one.name)), ...others.map(item => item.name)]
  const near = [...new Set(names)].filter(other => other.includes(name))
  throw new AirgapError('NOT_FOUND', 'the bundle has no item of this name', {
    item: name,
    ...defined({
      likely: near.length > 0 ? `part of the name of ${near.slice(0, 5).join(', ')}` : undefined,
    }),
    next: 'list the names with `airgap inspect BUNDLE packages --match PART`; a package is named without its version',
  })
}

function chain({ title, packages }: PackageSet, name: string): string[] {
  const found = new Map(packages.map(one => [one.name, one]))
  const steps: string[] = []
  const seen = new Set<PackageReason>()
  for (let one = found.get(name); one !== undefined && !seen.has(one); ) {
    seen.add(one)
    steps.unshift(`${one.title}  (${one.source})`)
    one = one.because === undefined ? undefined : found.get(one.because)
  }
  if (steps.length === 0) return []
  return [
    `${title}: requested by the manifest`,
    ...steps.map((step, depth) => `${'  '.repeat(depth + 1)}${step}`),
  ]
}
