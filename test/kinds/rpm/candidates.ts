import type { RpmCandidate, RpmRelation } from '../../../src/kinds/rpm/candidate.ts'
import { closureOf } from '../../../src/kinds/rpm/closure.ts'
import { listOf } from '../../../src/kinds/rpm/package-list.ts'
import { nevraOf } from '../../../src/kinds/rpm/request.ts'
import { parseEvr } from '../../../src/kinds/rpm/rich.ts'
import { makeUniverse, type UniverseOptions } from '../../../src/kinds/rpm/universe.ts'

const signs = { '=': 'EQ', '<': 'LT', '<=': 'LE', '>': 'GT', '>=': 'GE' } as const

type Lists = 'provides' | 'requires' | 'conflicts' | 'obsoletes' | 'recommends' | 'supplements' | 'suggests'

export interface Described extends Partial<Record<Lists, string[]>> {
  repository?: number
  files?: string[]
}

/** As a spec file writes it: `name`, `name >= 1:2-3`, `(a if b)`. */
export function relation(text: string): RpmRelation {
  if (text.startsWith('(')) return { name: text }
  const [name = '', sign, evr = ''] = text.split(' ')
  return sign === undefined ? { name } : { name, flags: signs[sign as keyof typeof signs], ...parseEvr(evr) }
}

/** `name-[epoch:]version-release.arch` */
export function candidate(nevra: string, described: Described = {}): RpmCandidate {
  const dot = nevra.lastIndexOf('.')
  const dash = nevra.lastIndexOf('-', nevra.lastIndexOf('-') - 1)
  const { epoch = '0', version, release = '' } = parseEvr(nevra.slice(dash + 1, dot))
  const name = nevra.slice(0, dash)
  const list = (key: Lists) => (described[key] ?? []).map(relation)
  return {
    name,
    epoch,
    version,
    release,
    architecture: nevra.slice(dot + 1),
    repository: described.repository ?? 0,
    location: `Packages/${nevra.replace(':', '-')}.rpm`,
    size: 1,
    checksum: { type: 'sha256', hex: '' },
    headerRange: { start: 0, end: 0 },
    provides: [{ name, flags: 'EQ', epoch, version, release }, ...list('provides')],
    requires: list('requires'),
    conflicts: list('conflicts'),
    obsoletes: list('obsoletes'),
    recommends: list('recommends'),
    supplements: list('supplements'),
    suggests: list('suggests'),
    enhances: [],
    files: described.files ?? [],
    primary: { offset: 0, length: 0 },
  }
}

export interface Asked extends Partial<UniverseOptions> {
  weak?: boolean
}

/** What is chosen, by nevra. */
export function chosen(candidates: RpmCandidate[], packages: string[], options: Asked = {}): string[] {
  const universe = makeUniverse([listOf(candidates)], {
    architecture: 'x86_64',
    priorities: [],
    installed: [],
    ...options,
  })
  const request = { packages, weak: options.weak ?? false, groups: [], at: 'airgap.yaml:1:1' }
  return closureOf(universe, request)
    .map(one => nevraOf(one.candidate))
    .sort()
}
