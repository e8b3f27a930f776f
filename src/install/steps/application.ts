import { dirname } from 'node:path'
import { z } from 'zod'
import { AirgapError } from '../../core/errors.ts'
import { askCluster, type Cluster, clusterEnvironment } from '../kube.ts'
import { runStepProgram, type StepProgram } from '../program.ts'
import { shellWord } from '../shell-word.ts'
import type { Step, StepContext } from '../step.ts'
import { failedProgram } from './failed-program.ts'

export interface ApplicationOptions {
  /** the label `app` of its releases */
  name: string
  needs: readonly string[]
  cluster: Cluster
  helmfile: string
  environment: string
  /** its files, the environment's values, its charts */
  inputs: () => Promise<object>
  program: (name: string) => Pick<StepProgram, 'log' | 'running' | 'silenceMs'>
}

/** Values may switch all releases of an application off: that is no failure. */
const syncing = ['sync', '--skip-deps', '--allow-no-matching-release'] as const

const releasesSchema = z.array(
  z.object({ name: z.string(), namespace: z.string(), status: z.string().default('') }),
)
/** `helmfile list --output json` */
const listedSchema = z.array(
  z.object({ name: z.string(), namespace: z.string(), enabled: z.boolean(), installed: z.boolean() }),
)

/** One application: all its releases, by helmfile, which waits until they are ready. */
export function applicationStep(options: ApplicationOptions): Step {
  const { name, needs, cluster, environment, inputs } = options
  return {
    id: `app-${name}`,
    title: `application ${name}`,
    needs,
    inputs: async () => ({ of: await inputs(), environment }),
    describe: async () => [helmfileCommand(options, syncing).map(shellWord).join(' ')],
    async check({ signal }) {
      const wanted = await releasesOf(options, signal)
      if (wanted === undefined) return 'pending'
      const args = ['list', '--all-namespaces', '--all', '--output', 'json']
      const found = releasesSchema.safeParse(await askCluster(cluster, { program: 'helm', args, signal }))
      if (!found.success) return 'pending'
      const deployed = new Set(
        found.data.filter(one => one.status === 'deployed').map(one => `${one.namespace}/${one.name}`),
      )
      return wanted.every(release => deployed.has(`${release.namespace}/${release.name}`))
        ? 'done'
        : 'pending'
    },
    async apply(context) {
      const command = helmfileCommand(options, syncing)
      const program = options.program(`app-${name}`)
      await endPending(options, context)
      const end = await runStepProgram({
        ...{ ...program, command, cwd: dirname(options.helmfile), env: clusterEnvironment(cluster) },
        signal: context.signal,
        onLine(line) {
          const release = /^(?:Upgrading|Installing) release=(\S+?),/.exec(line)?.[1]
          if (release !== undefined) context.progress.note(`app-${name}: release ${release}`)
        },
      })
      if (end.status !== 0)
        throw failedProgram(command, end, {
          ...{ log: program.log, said: wordsOfHelm(end.tail) },
          likely:
            end.status === 1
              ? 'a pod does not get ready: kubectl get pods, and kubectl describe pod, say why'
              : 'the deployment tree or its values cannot be rendered',
        })
    },
  }
}

/** helmfile prints what helm said twice, below headings of its own. */
function wordsOfHelm(tail: readonly string[]): string[] {
  const words = tail.map(line => line.trim()).filter(line => /^(?:Error:|\* |in \.)/.test(line))
  return words.length > 0 ? [...new Set(words)].slice(0, 10) : tail.slice(-8)
}

/** Removes its releases; volumes and namespaces stay. */
export async function destroyApplication(
  options: Omit<ApplicationOptions, 'needs' | 'inputs'>,
  signal: AbortSignal,
): Promise<void> {
  const command = helmfileCommand(options, ['destroy', '--skip-deps', '--allow-no-matching-release'])
  const program = options.program(`destroy-${options.name}`)
  const env = clusterEnvironment(options.cluster)
  const end = await runStepProgram({ ...program, command, cwd: dirname(options.helmfile), env, signal })
  if (end.status !== 0) throw failedProgram(command, end, { log: program.log })
}

/** Each of its releases goes back to the revision before, and waits until that is ready; gives their names. */
export async function rollBackApplication(
  options: Omit<ApplicationOptions, 'needs' | 'inputs'>,
  signal: AbortSignal,
): Promise<string[]> {
  const releases = await releasesOf(options, signal)
  if (releases === undefined || releases.length === 0) {
    throw new AirgapError('STEP_FAILED', 'helmfile does not tell which releases the application has', {
      item: options.name,
      likely: 'the deployment tree does not render',
      next: `read ${options.program(`app-${options.name}`).log}`,
    })
  }
  const program = options.program(`rollback-${options.name}`)
  const env = clusterEnvironment(options.cluster)
  // what came last may stand on what came before it
  const back: string[] = []
  for (const { name, namespace } of releases.toReversed()) {
    const revision = revisionBefore(await historyOf(options.cluster, { name, namespace }, signal))
    if (revision === undefined) continue
    const command: [string, ...string[]] = [
      `${options.cluster.bin}/helm`,
      ...['rollback', name, String(revision), '--namespace', namespace, '--wait', '--timeout', '10m'],
    ]
    const end = await runStepProgram({ ...program, command, cwd: dirname(options.helmfile), env, signal })
    if (end.status !== 0) throw failedProgram(command, end, { log: program.log, said: wordsOfHelm(end.tail) })
    back.push(`${namespace}/${name}`)
  }
  if (back.length > 0) return back.toReversed()
  throw new AirgapError('STEP_FAILED', 'no release of it has a working revision to go back to', {
    item: options.name,
    likely: 'it was installed once and not changed since, or was brought back already',
    next: 'helm history NAME --namespace NAMESPACE shows the revisions; nothing was changed',
  })
}

interface Revision {
  revision: number
  status: string
  chart: string
  description: string
}

const historySchema = z.array(
  z.object({
    revision: z.number().int().positive(),
    status: z.string(),
    chart: z.string().default(''),
    description: z.string().default(''),
  }),
)

async function historyOf(
  cluster: Cluster,
  release: { name: string; namespace: string },
  signal: AbortSignal,
): Promise<Revision[]> {
  const args = ['history', release.name, '--namespace', release.namespace, '--output', 'json']
  const found = historySchema.safeParse(await askCluster(cluster, { program: 'helm', args, signal }))
  return found.success ? found.data.toSorted((a, b) => b.revision - a.revision) : []
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
 * on this cluster while the lock of the site is held: it goes back to what worked, or away where nothing did.
 */
async function endPending(
  options: Pick<ApplicationOptions, 'name' | 'cluster' | 'helmfile' | 'environment' | 'program'>,
  { signal, progress }: StepContext,
): Promise<void> {
  const { cluster } = options
  const args = ['list', '--all-namespaces', '--pending', '--output', 'json']
  const found = releasesSchema.safeParse(await askCluster(cluster, { program: 'helm', args, signal }))
  if (!found.success || found.data.length === 0) return
  const own = new Set((await releasesOf(options, signal))?.map(one => `${one.namespace}/${one.name}`))
  const program = options.program(`app-${options.name}`)
  for (const { name, namespace, status } of found.data) {
    if (!own.has(`${namespace}/${name}`)) continue
    const revision = revisionBefore(await historyOf(cluster, { name, namespace }, signal))
    const words = revision === undefined ? ['uninstall', name] : ['rollback', name, String(revision)]
    progress.note(`app-${options.name}: ${name} was left as ${status}: ${words.join(' ')}`)
    const command = [`${cluster.bin}/helm`, ...words, '--namespace', namespace, '--wait'] as const
    const end = await runStepProgram({
      ...{ ...program, command: [...command], cwd: dirname(options.helmfile), signal },
      env: clusterEnvironment(cluster),
    })
    if (end.status !== 0) throw failedProgram(command, end, { log: program.log, said: wordsOfHelm(end.tail) })
  }
}

function helmfileCommand(
  {
    cluster,
    helmfile,
    environment,
    name,
  }: Pick<ApplicationOptions, 'cluster' | 'helmfile' | 'environment' | 'name'>,
  words: readonly string[],
): [string, ...string[]] {
  const [verb = '', ...rest] = words
  return [
    `${cluster.bin}/helmfile`,
    ...['--helm-binary', `${cluster.bin}/helm`, '--no-color'],
    ...['--file', helmfile, '--environment', environment, '--selector', `app=${name}`],
    ...[verb, ...rest],
  ]
}

/** What helmfile would install, nothing where it is switched off; undefined where it cannot tell. */
async function releasesOf(
  options: Omit<ApplicationOptions, 'needs' | 'inputs'>,
  signal: AbortSignal,
): Promise<{ name: string; namespace: string }[] | undefined> {
  const command = helmfileCommand(options, ['list', '--output', 'json', '--allow-no-matching-release'])
  const lines: string[] = []
  const { cluster, helmfile } = options
  const end = await runStepProgram({
    ...options.program(`app-${options.name}`),
    ...{ command, cwd: dirname(helmfile), env: clusterEnvironment(cluster), signal },
    onLine: line => lines.push(line),
  }).catch(() => undefined)
  signal.throwIfAborted()
  if (end?.status !== 0) return undefined
  try {
    const json = lines.find(line => line.startsWith('['))
    // nothing at all is printed where values switch all of them off
    return listedSchema.parse(JSON.parse(json ?? '[]')).filter(one => one.enabled && one.installed)
  } catch {
    return undefined
  }
}
