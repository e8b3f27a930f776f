import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Candidate } from '../../../../src/kinds/deb/candidate.ts'
import { PackageList } from '../../../../src/kinds/deb/package-list.ts'
import { PackageTableBuilder } from '../../../../src/kinds/deb/package-table.ts'

/** A package of a made-up archive: what resolving looks at, and nothing to fetch. */
export type WorldPackage = Partial<Omit<Candidate, 'stanza' | 'priority'>> & {
  name: string
  priority?: string
}

export interface WorldSuite {
  /** further fields of Release */
  release?: Record<string, string>
  packages: WorldPackage[]
}

const levels = ['required', 'important', 'standard', 'optional', 'extra']

export function candidateOf(one: WorldPackage, source = 0): Candidate {
  const { name, version = '1', architecture = 'amd64', priority = 'optional' } = one
  const sha256 = createHash('sha256').update(`${name} ${version} ${architecture}`).digest('hex')
  return {
    source,
    component: 'main',
    filename: `pool/${name}_${version}_${architecture}.deb`,
    size: 1,
    sha256,
    essential: false,
    stanza: {
      index: { mediaType: 'x', digest: `sha256:${'0'.repeat(64)}`, size: 1 },
      offset: 0,
      length: 1,
    },
    ...one,
    version,
    architecture,
    priority: levels.indexOf(priority) + 1,
  }
}

export function stanzaOf(one: WorldPackage, status?: string): string {
  const candidate = candidateOf(one)
  const fields: [string, string | number | undefined][] = [
    ['Package', candidate.name],
    ['Status', status],
    ['Version', candidate.version],
    ['Architecture', candidate.architecture],
    ['Maintainer', 'Nobody <nobody@example.org>'],
    ['Source', candidate.builtFrom],
    ['Essential', candidate.essential ? 'yes' : undefined],
    ['Priority', one.priority ?? 'optional'],
    ['Multi-Arch', candidate.multiArch],
    ['Pre-Depends', candidate.preDepends],
    ['Depends', candidate.depends],
    ['Recommends', candidate.recommends],
    ['Suggests', candidate.suggests],
    ['Provides', candidate.provides],
    ['Conflicts', candidate.conflicts],
    ['Breaks', candidate.breaks],
    ['Phased-Update-Percentage', candidate.phased],
    ['Filename', status === undefined ? candidate.filename : undefined],
    ['Size', status === undefined ? candidate.size : undefined],
    ['SHA256', status === undefined ? candidate.sha256 : undefined],
    ['Description', `test package ${candidate.name}`],
  ]
  return fields.flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\n`])).join('')
}

/** The packages as a machine of the architecture finds them in an index. */
export function listOf(
  packages: readonly WorldPackage[],
  { source = 0, architecture = 'amd64' }: { source?: number; architecture?: string } = {},
): PackageList {
  const builder = new PackageTableBuilder({ architecture, item: 'test' })
  builder.read(Buffer.from(packages.map(one => stanzaOf(one)).join('\n')))
  const index = { mediaType: 'x', digest: `sha256:${'0'.repeat(64)}`, size: 1 } as const
  return new PackageList(builder.end(), { source, component: 'main', index, architecture })
}

/** /var/lib/dpkg/status of a machine that has these. */
export function statusOf(packages: WorldPackage[]): string {
  return packages.map(one => stanzaOf(one, 'install ok installed')).join('\n')
}

/** An archive with one component `main`, not signed: `dists/SUITE/Release` and the indexes. */
export async function writeWorld(
  folder: string,
  suites: Record<string, WorldSuite>,
  { architectures = ['amd64'] }: { architectures?: string[] } = {},
): Promise<void> {
  for (const [suite, { release = {}, packages }] of Object.entries(suites)) {
    const sums: string[] = []
    for (const architecture of architectures) {
      const own = packages.filter(one => [architecture, 'all'].includes(one.architecture ?? 'amd64'))
      const text = own.map(one => stanzaOf(one)).join('\n')
      const index = `main/binary-${architecture}`
      await mkdir(join(folder, 'dists', suite, index), { recursive: true })
      await writeFile(join(folder, 'dists', suite, index, 'Packages'), text)
      const sum = createHash('sha256').update(text).digest('hex')
      sums.push(` ${sum} ${Buffer.byteLength(text)} ${index}/Packages`)
    }
    const fields = {
      Suite: suite,
      Codename: suite,
      Components: 'main',
      Architectures: architectures.join(' '),
      Date: 'Mon, 01 Jan 2024 00:00:00 UTC',
      ...release,
    }
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`)
    await writeFile(join(folder, 'dists', suite, 'Release'), `${lines.join('')}SHA256:\n${sums.join('\n')}\n`)
  }
}

/** What an apt that trusts the folder is told of it. */
export function sourcesOf(folder: string, suites: string[]): string {
  return suites
    .map(suite => `Types: deb\nURIs: file:${folder}\nSuites: ${suite}\nComponents: main\nTrusted: yes\n`)
    .join('\n')
}
