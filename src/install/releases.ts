import { z } from 'zod'
import { AirgapError } from '../core/errors.ts'
import { failedProgram } from './failed-program.ts'
import { type Cluster, clusterEnvironment, queryCluster } from './kube.ts'
import { runStepProgram, type StepProgram } from './program.ts'
import type { StepContext } from './step.ts'

/** How helm is run: its cluster, and where its output goes. */
export interface HelmRun extends Pick<StepProgram, 'log' | 'running' | 'silenceMs' | 'cwd' | 'signal'> {
  cluster: Cluster
}

export interface Release {
  name: string
  namespace: string
}

/** `helm list --output json` */
export const releasesSchema = z.array(
  z.object({ name: z.string(), namespace: z.string(), status: z.string().default('') }),
)
/** `helm history --output json` */
const historySchema = z.array(
  z.object({
    revision: z.number().int().positive(),
    status: z.string(),
    description: z.string().default(''),
  }),
)
type Revision = z.infer<typeof historySchema>[number]

/** Runs helm. Throws STEP_FAILED with its error messages. */
export async function runHelm(words: readonly string[], { cluster, ...program }: HelmRun): Promise<void> {
  const command: [string, ...string[]] = [`${cluster.bin}/helm`, ...words]
  const end = await runStepProgram({ ...program, command, env: clusterEnvironment(cluster) })
  if (end.status !== 0) throw failedProgram(command, end, { log: program.log, said: wordsOfHelm(end.tail) })
}

/** Returns the revisions of a release, newest first. Throws STEP_FAILED if helm does not answer, which does not mean that there are none. */
export async function historyOf(
  { name, namespace }: Release,
  { cluster, signal }: HelmRun,
): Promise<Revision[]> {
  const args = ['history', name, '--namespace', namespace, '--output', 'json']
  const found = historySchema.safeParse(await queryCluster(cluster, { program: 'helm', args, signal }))
  if (found.success && found.data.length > 0) return found.data.toSorted((a, b) => b.revision - a.revision)
  throw new AirgapError('STEP_FAILED', 'helm does not return the history of a release', {
    item: `${namespace}/${name}`,
    likely: 'it is not installed, or the cluster does not answer',
    next: `run helm history ${name} --namespace ${namespace} by hand`,
  })
}

/**
 * Returns the last revision before the newest that worked; undefined if there is none, or if the newest is itself the result of a
 * rollback: a second try, after one release of several failed, must not undo the rollback of the others.
 */
export function revisionBefore([newest, ...before]: readonly Revision[]): number | undefined {
  if (newest === undefined) return undefined
  if (newest.status === 'deployed' && /^Rollback to /.test(newest.description)) return undefined
  return before.find(({ status }) => status === 'superseded' || status === 'deployed')?.revision
}

/**
 * Unlocks releases. A helm that was killed leaves its release locked ("another operation is in progress"). Nobody else works on
 * this cluster while the lock of the site is held, so such a release is rolled back, or uninstalled if no revision ever worked.
 */
export async function endPending(
  own: readonly Release[],
  run: HelmRun,
  progress: StepContext['progress'],
): Promise<void> {
  const args = ['list', '--all-namespaces', '--pending', '--output', 'json']
  const found = releasesSchema.safeParse(
    await queryCluster(run.cluster, { program: 'helm', args, signal: run.signal }),
  )
  for (const { name, namespace, status } of found.data ?? []) {
    if (!own.some(one => one.name === name && one.namespace === namespace)) continue
    const revision = revisionBefore(await historyOf({ name, namespace }, run))
    const words = revision === undefined ? ['uninstall', name] : ['rollback', name, String(revision)]
    progress.note(`a run that was killed left ${name} ${status}: helm ${words.join(' ')}`)
    await runHelm([...words, '--namespace', namespace, '--wait'], run)
  }
}

/** Returns helm's error messages: helmfile prints them twice, below headings of its own. */
export function wordsOfHelm(tail: readonly string[]): string[] {
  const words = tail.map(line => line.trim()).filter(line => /^(?:Error:|\* |in \.)/.test(line))
  return words.length > 0 ? [...new Set(words)].slice(0, 10) : tail.slice(-8)
}
