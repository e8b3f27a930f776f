import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { canonicalJson } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { parseOsRelease } from '../probe/os-release.ts'
import { repositoryFor, repositoryNames } from '../probe/repository-name.ts'
import { writeFiles } from '../site/managed-files.ts'
import { type Ansible, runModule } from './ansible.ts'
import type { StepContext } from './step.ts'

export interface MachineRepositoriesOptions {
  ansible: Ansible
  /** the machines to query, as ansible writes it */
  pattern: string
  /** names of the package repositories that the bundles have; empty: the machines keep their package sources */
  repositories: readonly string[]
  /** the inventory's folder */
  folder: string
  /** of the files that are written there */
  record: string
}

/** Beside the inventory: machine → its repository, which the role `offline_repositories` reads. */
const fileName = 'repositories.json'
const schema = z.record(z.string(), z.string())

/**
 * Reads the release of each machine over ansible and writes which repository serves it, for the role that configures its
 * package sources. A machine that does not answer keeps what was written before; the playbook reports it. Throws STEP_FAILED
 * for a machine whose release the bundles have no packages for.
 */
export async function writeMachineRepositories(
  options: MachineRepositoriesOptions,
  { signal }: Pick<StepContext, 'signal'>,
): Promise<void> {
  const { ansible, pattern, repositories, folder, record } = options
  const answers = await runModule(ansible, {
    name: 'releases',
    pattern,
    module: 'ansible.builtin.slurp',
    arguments: { src: '/etc/os-release' },
    signal,
  })
  const chosen = new Map(Object.entries(await readChosen(join(folder, fileName))))
  const unserved: string[] = []
  for (const [machine, answer] of answers) {
    const release = parseOsRelease(Buffer.from(String(answer['content'] ?? ''), 'base64').toString('utf8'))
    const name = repositories.length === 0 ? '' : release && repositoryFor(release, repositories)
    if (name !== undefined) chosen.set(machine, name)
    else unserved.push(`${machine}: ${(release && repositoryNames(release)[0]) ?? 'unknown release'}`)
  }
  if (unserved.length > 0) throw noPackages(unserved, repositories)
  const text = `${canonicalJson(Object.fromEntries([...chosen].sort()), 2)}\n`
  await writeFiles([{ path: fileName, text }], { root: folder, record })
}

/** What was chosen before: with --limit, only some machines are queried again. */
async function readChosen(path: string): Promise<Record<string, string>> {
  const text = await readFile(path, 'utf8').catch(() => '{}')
  try {
    return schema.parse(JSON.parse(text))
  } catch {
    return {}
  }
}

function noPackages(unserved: readonly string[], repositories: readonly string[]): AirgapError {
  return new AirgapError('STEP_FAILED', 'the bundle has no packages for the release of a machine', {
    item: unserved.slice(0, 20).join(', '),
    likely: `the bundle has packages for ${repositories.join(', ')}`,
    next: 'rebuild the bundle with an entry for this release, or install one of these releases there',
  })
}
