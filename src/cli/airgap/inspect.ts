import { access } from 'node:fs/promises'
import type { Command } from 'commander'
import { openBundle } from '../../bundle/reader.ts'
import { AirgapError } from '../../core/errors.ts'
import { carriedLock } from '../../lock/carried-lock.ts'
import { readLock } from '../../lock/lock.ts'
import type { Lock } from '../../lock/schema.ts'
import { addExamples } from '../shell/examples.ts'
import { inspectLock, sectionWords } from '../shell/inspect-sections.ts'
import type { Shell } from '../shell/run.ts'
import { defaultLockPath } from './context.ts'

export function inspectCommand(program: Command, shell: Shell): void {
  addExamples(program.command('inspect'), [
    ['airgap inspect stack-1.0.0.tar images --match calico'],
    ['airgap inspect stack-1.0.0.tar why libssl3', 'which requested package requires it'],
    ['airgap inspect stack.lock.json sbom > sbom.cdx.json'],
  ])
    .description('Show what is inside a bundle or a lockfile')
    .argument('<bundle>', 'bundle, or lockfile (*.json)')
    .argument('[what]', sectionWords())
    .argument('[name]', 'with why: a package, image, chart or file')
    .option('--match <text>', 'only names that contain this')
    .action(
      async (
        path: string,
        what: string | undefined,
        name: string | undefined,
        { match }: { match?: string },
      ) => {
        const { value, text } = await inspectLock(await lockOf(path), { what, name, match })
        shell.print(value, text)
      },
    )
}

/** Reads a lockfile, or the lock inside a bundle. */
export async function lockOf(path: string): Promise<Lock> {
  if (path.endsWith('.json')) return await readLock(path)
  if (/\.ya?ml$/.test(path)) throw await manifestInPlaceOfLock(path)
  const bundle = await openBundle(path)
  try {
    return await carriedLock(bundle, path)
  } finally {
    await bundle.close()
  }
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
