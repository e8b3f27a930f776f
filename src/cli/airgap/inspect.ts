import { type Command, Option } from 'commander'
import { describeLock } from '../../build/resolve.ts'
import { type BundleStore, openBundle } from '../../bundle/reader.ts'
import { readAll } from '../../content/read.ts'
import { readTree } from '../../content/tree.ts'
import { AirgapError } from '../../core/errors.ts'
import { annotationKeys } from '../../core/media-types.ts'
import type { ItemSummary } from '../../kinds/kind.ts'
import { parseLock, readLock } from '../../lock/lock.ts'
import type { Lock } from '../../lock/schema.ts'
import { humanBytes, printableJson } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'

/** What a person asks for → kinds. */
const views: Record<string, string[]> = {
  images: ['image'],
  charts: ['chart'],
  packages: ['deb'],
  files: ['file', 'tree'],
}

export function inspectCommand(program: Command, shell: Shell): void {
  program
    .command('inspect')
    .description('what is inside a bundle, or a lockfile')
    .argument('<bundle>', 'bundle, or lockfile (*.json)')
    .argument('[what]', `${Object.keys(views).join(', ')}, why or lock`)
    .argument('[name]', 'with why: a package, image, chart or file')
    .addOption(new Option('--match <text>', 'only names that contain this'))
    .action(
      async (
        path: string,
        what: string | undefined,
        name: string | undefined,
        options: { match?: string },
      ) => {
        const lock = await lockOf(path)
        if (what === 'lock') {
          shell.print(lock, () => printableJson(JSON.stringify(lock, null, 2)))
          return
        }
        if (what === 'why') {
          const chain = why(lock, name)
          shell.print(chain, () => chain.join('\n'))
          return
        }
        if (what !== undefined && !Object.hasOwn(views, what)) {
          throw new AirgapError('USAGE', 'nothing to inspect by that name', {
            item: what,
            next: `choose one of ${Object.keys(views).join(', ')}, why, lock`,
          })
        }
        const wanted = what === undefined ? undefined : views[what]
        const items = describeLock(lock).filter(
          item =>
            (wanted?.includes(item.kind) ?? true) && (!options.match || item.name.includes(options.match)),
        )
        shell.print({ name: lock.name, version: lock.version, platforms: lock.platforms, items }, () =>
          what === undefined ? summary(lock, items) : table(items),
        )
      },
    )
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

export async function lockInside(bundle: BundleStore, path: string): Promise<Lock> {
  const root = bundle
    .roots()
    .filter(descriptor => descriptor.annotations?.[annotationKeys.refName] === 'lock')
  const file = (await readTree(bundle, root)).get('lock.json')
  if (!file) {
    throw new AirgapError('BUNDLE_CORRUPT', 'the bundle has no lock inside', {
      item: path,
      next: 'build it again',
    })
  }
  const text = await readAll(bundle, file.descriptor, 512 * 1024 * 1024 /* bytes */)
  return parseLock(text.toString('utf8'), path)
}

function summary(lock: Lock, items: ({ kind: string } & ItemSummary)[]): string {
  const lines = [`${lock.name} ${lock.version}  (${lock.platforms.join(', ')})`]
  for (const kind of new Set(items.map(item => item.kind))) {
    const own = items.filter(item => item.kind === kind)
    const bytes = own.reduce((sum, item) => sum + item.size, 0)
    lines.push(`  ${kind.padEnd(6)} ${String(own.length).padStart(6)}  ${humanBytes(bytes).padStart(10)}`)
  }
  return lines.join('\n')
}

function table(items: ItemSummary[]): string {
  const width = Math.max(
    0,
    ...items.map(item => item.name.length + (item.version ? item.version.length + 1 : 0)),
  )
  return items
    .map(item => {
      const name = item.version ? `${item.name} ${item.version}` : item.name
      return `${name.padEnd(width)}  ${humanBytes(item.size).padStart(10)}  ${item.source}${item.firstUse ? '  (first use)' : ''}`
    })
    .join('\n')
}

/** The chain that pulled a package in, from what was asked for down to it. */
function why(lock: Lock, name: string | undefined): string[] {
  if (!name) throw new AirgapError('USAGE', 'why what?', { next: 'airgap inspect BUNDLE why NAME' })
  for (const set of lock.items['deb'] ?? []) {
    const packages = (set['packages'] ?? []) as { name: string; version: string; because?: string }[]
    const found = new Map(packages.map(pkg => [pkg.name, pkg]))
    let current = found.get(name)
    if (!current) continue
    const chain: string[] = []
    while (current && chain.length <= packages.length) {
      chain.unshift(`${current.name} ${current.version}`)
      current = current.because === undefined ? undefined : found.get(current.because)
    }
    return [
      `${set.name}: asked for by the manifest`,
      ...chain.map((line, depth) => `${'  '.repeat(depth + 1)}${line}`),
    ]
  }
  const other = describeLock(lock).find(item => item.name === name)
  if (other) return [`${other.kind} ${other.name}: asked for by the manifest`]
  throw new AirgapError('NOT_FOUND', 'the bundle has nothing by that name', {
    item: name,
    next: 'airgap inspect BUNDLE packages --match PART',
  })
}
