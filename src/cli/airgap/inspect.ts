import { access } from 'node:fs/promises'
import type { Command } from 'commander'
import { type BundleStore, openBundle } from '../../bundle/reader.ts'
import { AirgapError } from '../../core/errors.ts'
import type { ImageContent } from '../../layers/installed.ts'
import { carriedLock } from '../../lock/carried-lock.ts'
import { readLock } from '../../lock/lock.ts'
import type { Lock } from '../../lock/schema.ts'
import { repeated } from '../shell/arguments.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes } from '../shell/format.ts'
import { inspectLock, sectionWords } from '../shell/inspect-sections.ts'
import { readLayers } from '../shell/read-layers.ts'
import type { Shell } from '../shell/run.ts'
import { defaultLockPath } from './context.ts'

interface InspectOptions {
  match?: string
  layers?: boolean | undefined
  out?: string
  previous?: string
  scan?: string
  publicKey: string[]
}

export function inspectCommand(program: Command, shell: Shell): void {
  addExamples(program.command('inspect'), [
    ['airgap inspect stack-1.0.0.tar images --match calico'],
    ['airgap inspect stack-1.0.0.tar why libssl3', 'which requested package requires it'],
    ['airgap inspect stack.lock.json sbom > sbom.cdx.json'],
    ['airgap inspect stack-1.0.0.tar sbom --layers > sbom.cdx.json', 'with the packages inside images'],
    [
      'airgap inspect stack-1.1.0.tar report --previous stack-1.0.0.tar --scan scan.json --public-key release.pub',
    ],
  ])
    .description('Show what is inside a bundle or a lockfile')
    .argument('<bundle>', 'bundle, or lockfile (*.json)')
    .argument('[what]', `${sectionWords()}; report (one HTML page to read and sign)`)
    .argument('[name]', 'with why: a package, image, chart or file')
    .option('--match <text>', 'only names that contain this')
    .option('--layers', 'with sbom or spdx: also list the packages inside the layers of images')
    .option('--no-layers', 'with report: do not read the layers of images')
    .option('--out <file>', 'with report: where to write it (default: next to the bundle, *.report.html)')
    .option('--previous <bundle>', 'with report: the earlier bundle or lockfile to compare with')
    .option('--scan <file>', 'with report: results of `airgap scan -o json`')
    .option(
      '--public-key <file>',
      'with report: check the signatures next to the bundle with these keys (repeatable)',
      repeated,
      [],
    )
    .action(
      async (
        path: string,
        what: string | undefined,
        name: string | undefined,
        { match, layers, ...report }: InspectOptions,
      ) => {
        if (what === 'report') {
          await reportOn(path, { layers, ...report, shell })
          return
        }
        await withBundle(path, async (lock, bundle) => {
          const contents = () => contentsOf(bundle, { path, shell })
          const { value, text } = await inspectLock(lock, {
            what,
            name,
            match,
            layers: layers ?? false,
            contents,
          })
          shell.print(value, text)
        })
      },
    )
}

async function reportOn(
  path: string,
  { layers = true, out, previous, scan, publicKey, shell }: InspectOptions & { shell: Shell },
): Promise<void> {
  const { writeReport } = await import('../report/write-report.ts')
  const before = previous === undefined ? undefined : await lockOf(previous)
  const written = await withBundle(path, async (lock, store) => {
    if (store === undefined) throw bundleRequired('a report describes a bundle, not a lockfile', path)
    return await writeReport({ path, lock, store }, { out, previous: before, scan, publicKey, layers, shell })
  })
  shell.print(written, () => `${written.report}: ${humanBytes(written.bytes)}`)
}

function bundleRequired(what: string, item: string): AirgapError {
  return new AirgapError('USAGE', what, {
    item,
    next: 'build the bundle with `airgap build`, then pass its .tar',
  })
}

/** Reads a lockfile, or the lock inside a bundle. */
export async function lockOf(path: string): Promise<Lock> {
  return await withBundle(path, async lock => lock)
}

/** The same, with the open bundle where it is one. */
async function withBundle<T>(
  path: string,
  use: (lock: Lock, bundle: BundleStore | undefined) => Promise<T>,
): Promise<T> {
  if (path.endsWith('.json')) return await use(await readLock(path), undefined)
  if (/\.ya?ml$/.test(path)) throw await manifestInPlaceOfLock(path)
  const bundle = await openBundle(path)
  try {
    return await use(await carriedLock(bundle, path), bundle)
  } finally {
    await bundle.close()
  }
}

async function contentsOf(
  bundle: BundleStore | undefined,
  { path, shell }: { path: string; shell: Shell },
): Promise<ImageContent[]> {
  if (bundle !== undefined) return await readLayers(bundle, shell)
  throw bundleRequired('a lockfile has no layers; a bundle is required', path)
}

async function manifestInPlaceOfLock(path: string): Promise<AirgapError> {
  const lock = defaultLockPath(path)
  const exists = await access(lock).then(
    () => true,
    () => false,
  )
  return new AirgapError('USAGE', 'a lockfile or a bundle is required, not a manifest', {
    item: path,
    next: exists ? `pass its lockfile: ${lock}` : `write its lockfile first: airgap lock -f ${path}`,
  })
}
