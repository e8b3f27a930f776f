import type { Command } from 'commander'
import { describeLock } from '../../build/resolve.ts'
import { openBundle } from '../../bundle/reader.ts'
import { AirgapError } from '../../core/errors.ts'
import type { ItemSummary } from '../../kinds/kind.ts'
import { readLock } from '../../lock/lock.ts'
import type { Lock } from '../../lock/schema.ts'
import { humanBytes, printableJson } from '../shell/format.ts'
import { lockInside } from '../shell/lock-inside.ts'
import type { Shell } from '../shell/run.ts'
import { why } from './why.ts'

/** What a person asks for → kinds. */
const views: Record<string, string[]> = {
  images: ['image'],
  charts: ['chart'],
  packages: ['deb', 'rpm', 'wheel'],
  files: ['file', 'tree'],
}

const others = ['why', 'sbom', 'lock'] as const

interface InspectOptions {
  match?: string
}

export function inspectCommand(program: Command, shell: Shell): void {
  program
    .command('inspect')
    .description('what is inside a bundle, or a lockfile')
    .argument('<bundle>', 'bundle, or lockfile (*.json)')
    .argument(
      '[what]',
      `${Object.keys(views).join(', ')}; why (what asked for it), sbom (CycloneDX), lock; default: sums`,
    )
    .argument('[name]', 'with why: a package, image, chart or file')
    .option('--match <text>', 'only names that contain this')
    .action((path: string, what: string | undefined, name: string | undefined, options: InspectOptions) =>
      inspect(path, { what, name, options, shell }),
    )
}

async function inspect(
  path: string,
  asked: { what: string | undefined; name: string | undefined; options: InspectOptions; shell: Shell },
): Promise<void> {
  const { what, name, options, shell } = asked
  const known = what === undefined || Object.hasOwn(views, what) || others.some(other => other === what)
  if (!known) {
    throw new AirgapError('USAGE', 'nothing to inspect by that name', {
      item: what,
      next: `choose one of ${[...Object.keys(views), ...others].join(', ')}`,
    })
  }
  const lock = await lockOf(path)
  if (what === 'lock') return shell.print(lock, () => printableJson(JSON.stringify(lock, null, 2)))
  const all = describeLock(lock)
  if (what === 'why') {
    const lines = why(lock, { all, name })
    return shell.print(lines, () => lines.join('\n'))
  }
  if (what === 'sbom') {
    const bom = (await import('./sbom.ts')).sbomOf(lock)
    return shell.print(bom, () => printableJson(JSON.stringify(bom, null, 2)))
  }
  const wanted = what === undefined ? undefined : views[what]
  const items = all.filter(
    item => (wanted?.includes(item.kind) ?? true) && (!options.match || item.name.includes(options.match)),
  )
  shell.print({ name: lock.name, version: lock.version, platforms: lock.platforms, items }, () => {
    if (what === undefined) return summary(lock, items)
    return items.length > 0 ? table(items) : `no ${what}${options.match ? ' of that name' : ''}`
  })
}

/** The lock of a bundle stands inside it. */
export async function lockOf(path: string): Promise<Lock> {
  if (path.endsWith('.json')) return await readLock(path)
  const bundle = await openBundle(path)
  try {
    return await lockInside(bundle, path)
  } finally {
    await bundle.close()
  }
}

function summary(lock: Lock, items: ({ kind: string } & ItemSummary)[]): string {
  const lines = [`${lock.name} ${lock.version}  (${lock.platforms.join(', ')})`]
  if (lock.variants) lines.push(`  with ${lock.variants.join(', ')}`)
  if (lock.testUpstream)
    lines.push('  A REHEARSAL: its content comes from an upstream of a test, not from the publishers')
  for (const kind of new Set(items.map(item => item.kind))) {
    const own = items.filter(item => item.kind === kind)
    const bytes = own.reduce((sum, item) => sum + item.size, 0)
    lines.push(`  ${kind.padEnd(6)} ${String(own.length).padStart(6)}  ${humanBytes(bytes).padStart(10)}`)
  }
  return lines.join('\n')
}

/** Name, version where there is one, size, source. */
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

/** A package's unique name holds its version, which has a column of its own: `jq_1.6_amd64` is `jq:amd64`, as dpkg writes it. */
function shortName({ name, version }: ItemSummary): string {
  return version === undefined ? name : name.replace(`_${version}_`, ':')
}
