import { resolve } from 'node:path'
import { compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import type { Positioned } from '../document/positioned.ts'
import { distinctRequests } from './distinct.ts'
import type { Mistakes } from './mistakes.ts'
import { readRequirements } from './requirements.ts'
import type { ManifestDocument } from './schema.ts'
import { type ListLine, readList } from './source-text.ts'
import type { BaseSystem, DebRequest, DebSource, RpmRequest, WheelRequest } from './stack.ts'

/** The package entries of a manifest: their lists read, their paths absolute. */

export interface LoadContext {
  document: Positioned<ManifestDocument>
  /** absolute folder of the manifest */
  folder: string
  mistakes: Mistakes
}

export async function debsOf(context: LoadContext): Promise<DebRequest[]> {
  const requests: DebRequest[] = []
  for (const [index, entry] of context.document.value.debs.entries()) {
    const place: Place = { kind: 'debs', index }
    const lines = await packageLines(context, place, entry)
    const base = await baseOf(context, place, entry.base)
    if (lines === undefined || base === undefined) continue
    for (const line of lines) context.mistakes.attempt(() => checkDebName(line))
    requests.push({
      at: context.document.at(['debs', index]),
      name: entry.name,
      sources: debSources(context, entry),
      architectures: entry.architectures,
      foreignArchitectures: entry.foreignArchitectures,
      packages: distinctTexts(lines),
      kernelPackages: entry.kernelPackages,
      recommends: entry.recommends,
      pins: entry.pins.map(({ packages, priority, version, suite, origin }) => ({
        packages,
        priority,
        ...(version === undefined ? {} : { version }),
        ...(suite === undefined ? {} : { suite }),
        ...(origin === undefined ? {} : { origin }),
      })),
      base,
    })
  }
  return distinctRequests(requests, { nameOf: deb => deb.name, mistakes: context.mistakes })
}

function debSources({ folder }: LoadContext, entry: ManifestDocument['debs'][number]): DebSource[] {
  const written = 'sources' in entry ? entry.sources : [{ ...entry, suites: [entry.suite] }]
  return written.flatMap(({ archive, suites, components, keys, priority }) =>
    suites.map(suite => ({
      archive,
      suite,
      components: suite.endsWith('/') ? [] : components,
      keys: keys.map(key => resolve(folder, key)),
      keysAsWritten: keys,
      ...(priority === undefined ? {} : { priority }),
    })),
  )
}

export async function rpmsOf(context: LoadContext): Promise<RpmRequest[]> {
  const { document, folder } = context
  const requests: RpmRequest[] = []
  for (const [index, entry] of document.value.rpms.entries()) {
    const place: Place = { kind: 'rpms', index }
    const lines = await packageLines(context, place, entry)
    const base = await baseOf(context, place, entry.base)
    if (lines === undefined || base === undefined) continue
    requests.push({
      at: document.at(['rpms', index]),
      name: entry.name,
      platform: entry.platform ?? platformOf(entry.name),
      repositories: entry.repositories.map(({ keys, client, ...repository }) => ({
        ...repository,
        baseurl: repository.baseurl.replace(/\/+$/, ''),
        keys: keys.map(key => resolve(folder, key)),
        keysAsWritten: keys,
        ...(client === undefined
          ? {}
          : {
              client: {
                certificate: resolve(folder, client.certificate),
                key: resolve(folder, client.key),
              },
            }),
      })),
      architectures: entry.architectures,
      modules: [...entry.modules].sort(compareText),
      packages: distinctTexts(lines),
      kernelPackages: entry.kernelPackages,
      weak: entry.weak,
      base,
    })
  }
  return distinctRequests(requests, { nameOf: rpm => rpm.name, mistakes: context.mistakes })
}

/** `el9`, `rocky-9`, `rhel-8.10` → `platform:el9`, `platform:el8` */
function platformOf(name: string): string {
  return `platform:el${/([0-9]+)(\.[0-9]+)?$/.exec(name)?.[1] ?? name}`
}

export async function wheelsOf(context: LoadContext): Promise<WheelRequest[]> {
  const { document, folder, mistakes } = context
  const requests: WheelRequest[] = []
  for (const [index, entry] of document.value.wheels.entries()) {
    const at = document.at(['wheels', index])
    const requirements = entry.packages.map((text, i) => ({
      text,
      at: document.at(['wheels', index, 'packages', i]),
    }))
    const constraints = []
    for (const file of entry.requirements) {
      const read = await mistakes.attemptLater(() => readRequirements(resolve(folder, file), at))
      requirements.push(...(read?.requirements ?? []))
      constraints.push(...(read?.constraints ?? []))
    }
    for (const file of entry.constraints) {
      const read = await mistakes.attemptLater(() => readRequirements(resolve(folder, file), at))
      constraints.push(...(read?.requirements ?? []))
    }
    if (requirements.length === 0) mistakes.add(nothingAsked(at, 'packages:` or `requirements:'))
    requests.push({
      at,
      name: entry.name,
      indexes: entry.indexes,
      requirements,
      constraints,
      pythons: entry.pythons,
      platforms: entry.platforms,
      sdists: entry.sdists,
      prereleases: entry.prereleases,
    })
  }
  return distinctRequests(requests, { nameOf: wheel => wheel.name, mistakes })
}

interface Place {
  kind: 'debs' | 'rpms'
  index: number
}

/** What an entry asks for, of its own and in its lists; undefined where a list cannot be read. */
async function packageLines(
  { document, folder, mistakes }: LoadContext,
  { kind, index }: Place,
  entry: { packages: string[]; lists: string[]; kernelPackages: string[] },
): Promise<ListLine[] | undefined> {
  const lines = entry.packages.map((text, i) => ({ text, at: document.at([kind, index, 'packages', i]) }))
  for (const [i, list] of entry.lists.entries()) {
    const asker = document.at([kind, index, 'lists', i])
    const listed = await mistakes.attemptLater(() => readList(resolve(folder, list), asker))
    if (listed === undefined) return undefined
    lines.push(...listed)
  }
  if (lines.length === 0 && entry.kernelPackages.length === 0)
    mistakes.add(nothingAsked(document.at([kind, index]), 'packages:` or `lists:'))
  return lines
}

function nothingAsked(at: string, keys: string): AirgapError {
  return new AirgapError('MANIFEST_INVALID', 'no packages are asked for', {
    item: at,
    next: `add \`${keys}\``,
  })
}

async function baseOf(
  { document, folder, mistakes }: LoadContext,
  { kind, index }: Place,
  written: ManifestDocument['debs'][number]['base'],
): Promise<BaseSystem | undefined> {
  if (written === 'none') return { type: 'none' }
  if (typeof written === 'string') return { type: 'named', name: written }
  const asker = document.at([kind, index, 'base'])
  const lines = await mistakes.attemptLater(() => readList(resolve(folder, written.list), asker))
  if (lines === undefined) return undefined
  const packages = lines.flatMap(line => {
    const [name = '', version = '', architecture = '', ...more] = line.text.split(/\s+/)
    if (architecture !== '' && more.length === 0) return [{ name, version, architecture }]
    mistakes.add(
      new AirgapError('MANIFEST_INVALID', 'not an installed package', {
        item: `${line.at}: ${line.text.slice(0, 200)}`,
        likely: 'each line is: name version architecture',
        next:
          kind === 'debs'
            ? "make the list with dpkg-query -W -f '${Package} ${Version} ${Architecture}\\n'"
            : "make the list with rpm -qa --qf '%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH}\\n'",
      }),
    )
    return []
  })
  return { type: 'list', packages }
}

function distinctTexts(lines: ListLine[]): string[] {
  return [...new Set(lines.map(line => line.text))].sort(compareText)
}

function checkDebName(line: ListLine): void {
  // debian-policy 5.6.1: names; 5.6.12: versions; apt-get(8): /suite and :architecture
  if (/^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?(=[A-Za-z0-9.+~:-]+|\/[A-Za-z0-9.+~_/-]+)?$/.test(line.text)) return
  throw new AirgapError('MANIFEST_INVALID', 'not a package name', {
    item: `${line.at}: ${line.text.slice(0, 200)}`,
    next: 'write one name (or name=version, name/suite, name:architecture) a line',
  })
}
