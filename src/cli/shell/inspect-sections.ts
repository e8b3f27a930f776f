import { AirgapError } from '../../core/errors.ts'
import { printableJson } from '../../core/printable.ts'
import { redactUrl } from '../../core/redact.ts'
import type { BillOptions } from '../../kinds/bill.ts'
import { kinds } from '../../kinds/index.ts'
import { type DescribedItem, describeLock } from '../../kinds/items.ts'
import { why } from '../../kinds/why.ts'
import type { ImageContent } from '../../layers/installed.ts'
import { leftOutOf } from '../../lock/left-out.ts'
import type { Lock } from '../../lock/schema.ts'
import { humanBytes } from './format.ts'
import { layersText } from './layers-text.ts'
import { vouchersText } from './vouchers-text.ts'

/** A section of `inspect`. To add one, add it to `sections`: words, help and errors follow. */
interface Section {
  name: string
  /** what it shows, where the name does not say so */
  help?: string
  show(lock: Lock, options: ShowOptions): Shown | Promise<Shown>
}

interface ShowOptions {
  name: string | undefined
  match: string | undefined
  /** whether bills of materials list what is in the layers of images */
  layers: boolean
  /** Reads the layers of the bundle's images. Throws USAGE for a lockfile, which has none. */
  contents(): Promise<ImageContent[]>
}

/** What a section prints: data for JSON and YAML, and text for people. */
interface Shown {
  value: unknown
  text(): readonly string[]
}

/** The sections of all kinds, then those that concern the bundle as a whole. */
const sections: Section[] = [
  ...[...new Set(kinds.map(kind => kind.section))].map(
    (name): Section => ({
      name,
      show: (lock, { match }) => {
        const items = itemsOf(lock, { section: name, match })
        return listing(lock, items, () =>
          items.length > 0 ? table(items) : [`no ${name}${match ? ` match "${match}"` : ''}`],
        )
      },
    }),
  ),
  {
    name: 'left-out',
    help: 'what is not carried, and why',
    show: lock => {
      const items = leftOutOf(lock)
      const lines = items.map(({ kind, item, name, reason }) => `${kind} ${item}: ${name}: ${reason}`)
      return { value: items, text: () => (lines.length > 0 ? lines : ['nothing was left out']) }
    },
  },
  {
    name: 'why',
    help: 'what requires it',
    show: (lock, { name }) => {
      const lines = why(lock, name)
      return { value: lines, text: () => lines }
    },
  },
  {
    name: 'sbom',
    help: 'CycloneDX',
    show: async (lock, options) =>
      json((await import('../../kinds/sbom.ts')).sbomOf(lock, await insideOf(options))),
  },
  {
    name: 'spdx',
    help: 'the same as SPDX',
    show: async (lock, options) =>
      json((await import('../../kinds/spdx.ts')).spdxOf(lock, await insideOf(options))),
  },
  {
    name: 'layers',
    help: 'packages inside images',
    show: async (_, { match, contents }) => {
      const images = (await contents()).filter(({ name }) => !match || name.includes(match))
      return { value: images, text: () => layersText(images) }
    },
  },
  {
    name: 'lock',
    help: 'query values of URLs are masked',
    show: lock => json(withoutSecrets(lock)),
  },
]

/** Without a section: the totals of each kind. */
const totals: Section['show'] = (lock, { match }) => {
  const items = itemsOf(lock, { section: undefined, match })
  return listing(lock, items, () => summary(lock, items))
}

/** The sections as an argument's help lists them. */
export function sectionWords(): string {
  const words = sections.map(({ name, help }) => (help === undefined ? name : `${name} (${help})`))
  return `${words.join(', ')}; default: totals`
}

/** Throws USAGE for an unknown section, NOT_FOUND for a name that the lock does not have. */
export async function inspectLock(
  lock: Lock,
  { what, ...options }: ShowOptions & { what: string | undefined },
): Promise<Shown> {
  return await (what === undefined ? totals : sectionOf(what).show)(lock, options)
}

function sectionOf(name: string): Section {
  const found = sections.find(section => section.name === name)
  if (found !== undefined) return found
  throw new AirgapError('USAGE', 'inspect has no such section', {
    item: name,
    next: `choose one of ${sections.map(section => section.name).join(', ')}`,
  })
}

async function insideOf({ layers, contents }: ShowOptions): Promise<BillOptions> {
  if (!layers) return {}
  const { componentsInside } = await import('../../layers/components.ts')
  return { inside: componentsInside(await contents()) }
}

type Item = Omit<DescribedItem, 'locked'>

function itemsOf(
  lock: Lock,
  { section, match }: { section: string | undefined; match: string | undefined },
): Item[] {
  const listed = kinds.filter(kind => section === undefined || kind.section === section)
  return describeLock(lock).filter(
    item => listed.some(kind => kind.name === item.kind) && (!match || item.name.includes(match)),
  )
}

function listing({ name, version, platforms }: Lock, items: Item[], text: () => readonly string[]): Shown {
  return { value: { name, version, platforms, items }, text }
}

function json(value: object): Shown {
  return { value, text: () => printableJson(JSON.stringify(value, null, 2)).split('\n') }
}

/** The query of a URL may be a signature, and a lock of an older version may have a password in a URL. */
function withoutSecrets(lock: Lock): object {
  return JSON.parse(
    JSON.stringify(lock, (_, value: unknown) =>
      typeof value === 'string' && /^https?:\/\/[^\s]*[?@]/.test(value) ? redactUrl(value) : value,
    ),
  )
}

function summary(lock: Lock, items: Item[]): string[] {
  const lines = [`${lock.name} ${lock.version}  (${lock.platforms.join(', ')})`]
  if (lock.variants) lines.push(`  with ${lock.variants.join(', ')}`)
  if (lock.testUpstream)
    lines.push('  A REHEARSAL: the content comes from a test upstream, not from the publishers')
  for (const kind of new Set(items.map(item => item.kind))) {
    const own = items.filter(item => item.kind === kind)
    const bytes = own.reduce((sum, item) => sum + item.size, 0)
    lines.push(`  ${kind.padEnd(6)} ${String(own.length).padStart(6)}  ${humanBytes(bytes).padStart(10)}`)
  }
  lines.push(...vouchersText(items))
  return lines
}

/** Columns: name, version unless all names contain it, size, then digest and platforms of images, source. */
function table(items: readonly Item[]): string[] {
  const rows = items.map(item => {
    const name = shortName(item)
    return { item, name, version: name.includes(item.version ?? '') ? '' : item.version! }
  })
  const width = (texts: string[]) => texts.reduce((most, text) => Math.max(most, text.length), 0)
  const names = width(rows.map(row => row.name))
  const versions = width(rows.map(row => row.version))
  return rows.map(({ item, name, version }) =>
    [
      name.padEnd(names),
      ...(versions > 0 ? [version.padEnd(versions)] : []),
      humanBytes(item.size).padStart(10),
      ...(item.platforms === undefined
        ? []
        : [item.digest.slice(0, 'sha256:'.length + 12), item.platforms.join(',') || 'no platform']),
      // the name of an image says where it is from, unless it is fetched from another place
      ...(item.source === item.subject ? [] : [item.source]),
      ...(item.firstUse ? ['(first use)'] : []),
    ].join('  '),
  )
}

/** The version has a column of its own: `jq_1.6_amd64` becomes `jq:amd64`, as dpkg writes it. */
function shortName({ name, version }: Item): string {
  return version === undefined ? name : name.replace(`_${version}_`, ':')
}
