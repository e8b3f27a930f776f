import type { Command } from 'commander'
import { openBundle } from '../../bundle/reader.ts'
import { AirgapError } from '../../core/errors.ts'
import { printableJson } from '../../core/printable.ts'
import { redactUrl } from '../../core/redact.ts'
import { kinds } from '../../kinds/index.ts'
import { describeLock } from '../../kinds/items.ts'
import type { ItemSummary } from '../../kinds/kind.ts'
import { why } from '../../kinds/why.ts'
import { carriedLock } from '../../lock/carried-lock.ts'
import { readLock } from '../../lock/lock.ts'
import type { Lock } from '../../lock/schema.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'

/** What `inspect` can list: the sections of all kinds. */
const sections = [...new Set(kinds.map(kind => kind.section))]
const others = ['why', 'sbom', 'lock'] as const

interface InspectOptions {
  match?: string
}

export function inspectCommand(program: Command, shell: Shell): void {
  addExamples(program.command('inspect'), [
    ['airgap inspect stack-1.0.0.tar images --match calico'],
    ['airgap inspect stack-1.0.0.tar why libssl3', 'which requested package requires it'],
    ['airgap inspect stack.lock.json sbom > sbom.cdx.json'],
  ])
    .description('Show what is inside a bundle or a lockfile')
    .argument('<bundle>', 'bundle, or lockfile (*.json)')
    .argument(
      '[what]',
      `${sections.join(', ')}; why (what requires it), sbom (CycloneDX), lock (query values of URLs are masked); default: totals`,
    )
    .argument('[name]', 'with why: a package, image, chart or file')
    .option('--match <text>', 'only names that contain this')
    .action((path: string, what: string | undefined, name: string | undefined, options: InspectOptions) =>
      inspect(path, { what, name, options, shell }),
    )
}

async function inspect(
  path: string,
  request: { what: string | undefined; name: string | undefined; options: InspectOptions; shell: Shell },
): Promise<void> {
  const { what, name, options, shell } = request
  const words: string[] = [...sections, ...others]
  if (what !== undefined && !words.includes(what)) {
    throw new AirgapError('USAGE', 'inspect has no such section', {
      item: what,
      next: `choose one of ${words.join(', ')}`,
    })
  }
  const lock = await lockOf(path)
  if (what === 'lock') {
    const shown = withoutSecrets(lock)
    return shell.print(shown, () => printableJson(JSON.stringify(shown, null, 2)))
  }
  if (what === 'why') {
    const lines = why(lock, name)
    return shell.print(lines, () => lines.join('\n'))
  }
  if (what === 'sbom') {
    const bom = (await import('../../kinds/sbom.ts')).sbomOf(lock)
    return shell.print(bom, () => printableJson(JSON.stringify(bom, null, 2)))
  }
  const listed = kinds.filter(kind => what === undefined || kind.section === what).map(kind => kind.name)
  const items = describeLock(lock).filter(
    item => listed.includes(item.kind) && (!options.match || item.name.includes(options.match)),
  )
  shell.print({ name: lock.name, version: lock.version, platforms: lock.platforms, items }, () => {
    if (what === undefined) return summary(lock, items)
    return items.length > 0 ? table(items) : `no ${what}${options.match ? ` match "${options.match}"` : ''}`
  })
}

/** The query of a URL may be a signature, and a lock of an older version may have a password in a URL. */
function withoutSecrets(lock: Lock): object {
  return JSON.parse(
    JSON.stringify(lock, (_, value: unknown) =>
      typeof value === 'string' && /^https?:\/\/[^\s]*[?@]/.test(value) ? redactUrl(value) : value,
    ),
  )
}

/** Reads a lockfile, or the lock inside a bundle. */
export async function lockOf(path: string): Promise<Lock> {
  if (path.endsWith('.json')) return await readLock(path)
  const bundle = await openBundle(path)
  try {
    return await carriedLock(bundle, path)
  } finally {
    await bundle.close()
  }
}

function summary(lock: Lock, items: ({ kind: string } & ItemSummary)[]): string {
  const lines = [`${lock.name} ${lock.version}  (${lock.platforms.join(', ')})`]
  if (lock.variants) lines.push(`  with ${lock.variants.join(', ')}`)
  if (lock.testUpstream)
    lines.push('  A REHEARSAL: the content comes from a test upstream, not from the publishers')
  for (const kind of new Set(items.map(item => item.kind))) {
    const own = items.filter(item => item.kind === kind)
    const bytes = own.reduce((sum, item) => sum + item.size, 0)
    lines.push(`  ${kind.padEnd(6)} ${String(own.length).padStart(6)}  ${humanBytes(bytes).padStart(10)}`)
  }
  return lines.join('\n')
}

/** Columns: name, version if any item has one, size, source. */
function table(items: ItemSummary[]): string {
  const rows = items.map(item => ({ item, name: shortName(item), version: item.version ?? '' }))
  const width = (texts: string[]) => texts.reduce((most, text) => Math.max(most, text.length), 0)
  const names = width(rows.map(row => row.name))
  const versions = width(rows.map(row => row.version))
  return rows
    .map(({ item, name, version }) =>
      [
        name.padEnd(names),
        ...(versions > 0 ? [version.padEnd(versions)] : []),
        humanBytes(item.size).padStart(10),
        `${item.source}${item.firstUse ? '  (first use)' : ''}`,
      ].join('  '),
    )
    .join('\n')
}

/** The version has a column of its own: `jq_1.6_amd64` becomes `jq:amd64`, as dpkg writes it. */
function shortName({ name, version }: ItemSummary): string {
  return version === undefined ? name : name.replace(`_${version}_`, ':')
}
