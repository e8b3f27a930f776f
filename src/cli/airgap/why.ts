import { AirgapError } from '../../core/errors.ts'
import { lockedDebsSchema } from '../../kinds/deb/locked.ts'
import type { ItemSummary } from '../../kinds/kind.ts'
import { lockedRpmsSchema } from '../../kinds/rpm/locked.ts'
import { lockedWheelsSchema } from '../../kinds/wheel/locked.ts'
import type { Lock } from '../../lock/schema.ts'

/** A package as far as its reason goes. */
interface Reasoned {
  name: string
  /** `jq 1.6-2 amd64` */
  title: string
  /** where it comes from */
  source: string
  /** name of the package that pulled it in */
  because: string | undefined
}

/** The chains that pulled a package in, from what was asked for down to it; one for each set that has it. */
export function why(
  lock: Lock,
  { all, name }: { all: readonly ({ kind: string } & ItemSummary)[]; name: string | undefined },
): string[] {
  if (!name) throw new AirgapError('USAGE', 'why what?', { next: 'airgap inspect BUNDLE why NAME' })
  const sets = [...debs(lock), ...rpms(lock), ...wheels(lock)]
  const lines = sets.flatMap(([title, packages]) => chain({ title, packages }, name))
  for (const item of all) {
    if (!isPackage(item.kind) && item.name === name)
      lines.push(`${item.kind} ${item.name}: asked for by the manifest`)
  }
  if (lines.length > 0) return lines
  const near = [
    ...new Set([
      ...sets.flatMap(([, packages]) => packages.map(one => one.name)),
      ...all.filter(item => !isPackage(item.kind)).map(item => item.name),
    ]),
  ].filter(other => other.includes(name))
  throw new AirgapError('NOT_FOUND', 'the bundle has nothing by that name', {
    item: name,
    ...(near.length > 0 ? { likely: `part of the name of ${near.slice(0, 5).join(', ')}` } : {}),
    next: 'look it up: airgap inspect BUNDLE packages --match PART; packages go by their name alone',
  })
}

function isPackage(kind: string): boolean {
  return ['deb', 'rpm', 'wheel'].includes(kind)
}

function chain(set: { title: string; packages: readonly Reasoned[] }, name: string): string[] {
  const found = new Map(set.packages.map(one => [one.name, one]))
  const steps: string[] = []
  const seen = new Set<Reasoned>()
  for (let one = found.get(name); one !== undefined && !seen.has(one); ) {
    seen.add(one)
    steps.unshift(`${one.title}  (${one.source})`)
    one = one.because === undefined ? undefined : found.get(one.because)
  }
  if (steps.length === 0) return []
  return [
    `${set.title}: asked for by the manifest`,
    ...steps.map((step, depth) => `${'  '.repeat(depth + 1)}${step}`),
  ]
}

function debs(lock: Lock): [string, Reasoned[]][] {
  return (lock.items['deb'] ?? []).map(item => {
    const set = lockedDebsSchema.parse(item)
    const packages = set.packages.map(deb => {
      const { archive = '', suite = '' } = set.sources[deb.source] ?? {}
      const title = `${deb.name} ${deb.version} ${deb.architecture}`
      return { name: deb.name, title, source: `${archive} ${suite}`, because: deb.because }
    })
    return [`debs/${set.name}`, packages]
  })
}

function rpms(lock: Lock): [string, Reasoned[]][] {
  return (lock.items['rpm'] ?? []).map(item => {
    const set = lockedRpmsSchema.parse(item)
    const packages = set.packages.map(rpm => {
      const epoch = rpm.epoch === '0' ? '' : `${rpm.epoch}:`
      const title = `${rpm.name} ${epoch}${rpm.version}-${rpm.release} ${rpm.architecture}`
      return { name: rpm.name, title, source: rpm.repository, because: rpm.because }
    })
    return [`rpms/${set.name}`, packages]
  })
}

function wheels(lock: Lock): [string, Reasoned[]][] {
  return (lock.items['wheel'] ?? []).map(item => {
    const set = lockedWheelsSchema.parse(item)
    const packages = set.distributions.map(one => ({
      name: one.project,
      title: `${one.project} ${one.version}`,
      source: one.filename,
      because: one.because,
    }))
    return [`pypi (${set.name})`, packages]
  })
}
