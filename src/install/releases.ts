import { z } from 'zod'
import { AirgapError } from '../core/errors.ts'
import { failedProgram } from './failed-program.ts'
import { askCluster, type Cluster, clusterEnvironment } from './kube.ts'
import { runStepProgram, type StepProgram } from './program.ts'
import type { StepContext } from './step.ts'

/** How helm is run: which cluster, and where its words go. */
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

/** Throws STEP_FAILED with helm's words. */
export async function runHelm(words: readonly string[], { cluster, ...program }: HelmRun): Promise<void> {
  const command: [string, ...string[]] = [`${cluster.bin}/helm`, ...words]
  const end = await runStepProgram({ ...program, command, env: clusterEnvironment(cluster) })
  if (end.status !== 0) throw failedProgram(command, end, { log: program.log, said: wordsOfHelm(end.tail) })
}

/** Newest first. Throws STEP_FAILED where it cannot be known: that there is none must not be concluded from silence. */
export async function historyOf(
  { name, namespace }: Release,
  { cluster, signal }: HelmRun,
): Promise<Revision[]> {
  const args = ['history', name, '--namespace', namespace, '--output', 'json']
  const found = historySchema.safeParse(await askCluster(cluster, { program: 'helm', args, signal }))
  if (found.success && found.data.length > 0) return found.data.toSorted((a, b) => b.revision - a.revision)
  throw new AirgapError('STEP_FAILED', 'the history of a release cannot be read', {
    item: `${namespace}/${name}`,
    likely: 'it is not installed, or the cluster does not answer',
    next: `helm history ${name} --namespace ${namespace} says why`,
  })
}

/**
 * The last revision that worked before the newest; undefined where there is none, or where the newest is itself one that was
 * brought back: a second try, after one release of several failed, must not bring the others forward again.
 */
export function revisionBefore([newest, ...before]: readonly Revision[]): number | undefined {
  if (newest === undefined) return undefined
  if (newest.status === 'deployed' && /^Rollback to /.test(newest.description)) return undefined
  return before.find(({ status }) => status === 'superseded' || status === 'deployed')?.revision
}

/**
 * A helm that was killed leaves its release locked for every later one ("another operation is in progress"). Nobody else works
 * on this cluster while the lock of the site is held: it goes back to what worked, or away where nothing ever did.
 */
export async function endPending(
  own: readonly Release[],
  run: HelmRun,
  progress: StepContext['progress'],
): Promise<void> {
  const args = ['list', '--all-namespaces', '--pending', '--output', 'json']
  const found = releasesSchema.safeParse(
    await askCluster(run.cluster, { program: 'helm', args, signal: run.signal }),
  )
  for (const { name, namespace, status } of found.data ?? []) {
    if (!own.some(one => one.name === name && one.namespace === namespace)) continue
    const revision = revisionBefore(await historyOf({ name, namespace }, run))
    const words = revision === undefined ? ['uninstall', name] : ['rollback', name, String(revision)]
    progress.note(`${name} was left as ${status} by a run that was killed: helm ${words.join(' ')}`)
    await runHelm([...words, '--namespace', namespace, '--wait'], run)
  }
}

/** helmfile prints what helm said twice, below headings of its own. */
export function wordsOfHelm(tail: readonly string[]): string[] {
  const words = tail.map(line => line.trim()).filter(line => /^(?:Error:|\* |in \.)/.test(line))
  return words.length > 0 ? [...new Set(words)].slice(0, 10) : tail.slice(-8)
}
