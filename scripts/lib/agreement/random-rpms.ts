import { createHash } from 'node:crypto'
import type { RpmCandidate, RpmRelation } from '../../../src/kinds/rpm/candidate.ts'
import { randomOf } from '../upstreams/seeded-random.ts'

export interface RandomOptions {
  seed: number
  /** names; some have several versions and architectures */
  names: number
  repositories: number
  /** 0…1: how often packages conflict, obsolete, have conditions and weak dependencies */
  trouble: number
  multilib?: boolean
}

export interface RandomRepositories {
  repositories: RpmCandidate[][]
  /** files that only filelists.xml lists */
  hidden: Map<RpmCandidate, string[]>
}

/** Makes repositories with alternatives, file dependencies, conditions, obsoletes, conflicts, weak dependencies, odd versions. */
export function randomRpms(options: RandomOptions): RandomRepositories {
  const random = randomOf(options.seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const chance = (p: number) => random() < p
  const trouble = (p: number) => chance(p * options.trouble)
  const nameOf = (i: number) => `pkg${i}`
  const capabilities = Array.from({ length: Math.ceil(options.names / 5) }, (_, i) => `cap(${i})`)
  const repositories: RpmCandidate[][] = Array.from({ length: options.repositories }, () => [])
  const hidden = new Map<RpmCandidate, string[]>()
  const versions = ['1.0', '1.1', '1.10', '2.0~rc1', '2.0', '2.0^git1', '3']
  const lower = (i: number) => nameOf(Math.floor(random() * i))

  // mostly existing names in a matching version, or hardly anything could be installed
  const made: RpmCandidate[] = []
  const provided: string[] = []
  const relation = (i: number): RpmRelation => {
    const kind = random()
    if (kind < 0.25 && provided.length > 0) return { name: pick(provided) }
    const one = made.length > 0 && chance(0.98) ? pick(made) : undefined
    if (!one) return { name: lower(Math.max(1, i)) }
    if (kind < 0.35) {
      const file = [...one.files, ...(hidden.get(one) ?? [])][0]
      return { name: file ?? one.name }
    }
    if (kind > 0.5) return { name: one.name }
    const any = chance(0.05)
    const version = any ? pick(versions) : one.version
    const flags = pick(any ? (['GE', 'LE', 'EQ', 'GT', 'LT'] as const) : (['GE', 'LE', 'EQ'] as const))
    const release = chance(0.2) ? { release: one.release } : {}
    return { name: one.name, flags, epoch: one.epoch, version, ...release }
  }
  const rich = (i: number, depth = 0): string => {
    const side = () =>
      depth < 2 && chance(0.25)
        ? rich(i, depth + 1)
        : chance(0.2)
          ? pick(capabilities)
          : lower(Math.max(1, i))
    const kind = random()
    if (kind < 0.3) return `(${side()} or ${side()})`
    if (kind < 0.5) return `(${side()} if ${side()})`
    if (kind < 0.65) return `(${side()} if ${side()} else ${side()})`
    if (kind < 0.8) return `(${side()} and ${side()})`
    if (kind < 0.9) return `(${pick(capabilities)} with ${lower(Math.max(1, i))})`
    return `(${pick(capabilities)} without ${lower(Math.max(1, i))})`
  }
  for (let i = 0; i < options.names; i++) {
    const kinds = options.multilib && chance(0.3) ? ['x86_64', 'i686'] : [chance(0.15) ? 'noarch' : 'x86_64']
    const own = [...new Set(Array.from({ length: chance(0.3) ? 2 : 1 }, () => pick(versions)))]
    for (const version of own) {
      for (const architecture of kinds) {
        const epoch = chance(0.05) ? '1' : '0'
        const release = pick(['1', '1', '2'])
        const name = nameOf(i)
        const files: string[] = chance(0.3) ? [`/usr/bin/tool${i}`] : []
        if (chance(0.05)) files.push(`/usr/bin/tool${Math.floor(random() * options.names)}`)
        const many = Math.floor(random() * 4)
        const sum = createHash('sha256')
          .update(`${options.seed}${name}${version}${release}${architecture}`)
          .digest('hex')
        const one: RpmCandidate = {
          name,
          epoch,
          version,
          release,
          architecture,
          repository: Math.floor(random() * options.repositories),
          location: `Packages/${name}-${version}-${release}.${architecture}.rpm`,
          size: 1000,
          checksum: { type: 'sha256', hex: sum },
          headerRange: { start: 4504, end: 9000 },
          provides: [
            { name, flags: 'EQ', epoch, version, release },
            ...(chance(0.3) ? [{ name: pick(capabilities) }] : []),
            ...(chance(0.1)
              ? [{ name: pick(capabilities), flags: 'EQ' as const, epoch: '0', version: pick(versions) }]
              : []),
          ],
          requires: [
            ...Array.from({ length: many }, () => relation(i)),
            ...(trouble(0.2) ? [{ name: rich(i) }] : []),
          ],
          conflicts: trouble(0.06) ? [relation(options.names)] : [],
          obsoletes: trouble(0.05)
            ? [{ ...relation(options.names), name: nameOf(Math.floor(random() * options.names)) }]
            : [],
          recommends: trouble(0.2) ? [relation(options.names)] : [],
          supplements: trouble(0.08) ? [relation(options.names)] : [],
          suggests: trouble(0.1) ? [relation(options.names)] : [],
          enhances: trouble(0.05) ? [relation(options.names)] : [],
          files: [...new Set(files)],
          primary: { offset: 0, length: 0 },
        }
        if (chance(0.3)) hidden.set(one, [`/usr/share/data${i}`])
        const place = repositories[one.repository]!
        const twin = place.some(
          x => x.name === name && x.version === version && x.architecture === architecture,
        )
        if (twin) continue
        place.push(one)
        made.push(one)
        provided.push(...one.provides.map(each => each.name).filter(each => each !== name))
      }
    }
  }
  return { repositories, hidden }
}
