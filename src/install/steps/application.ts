import { dirname } from 'node:path'
import { z } from 'zod'
import { AirgapError } from '../../core/errors.ts'
import { shellWord } from '../../core/shell-word.ts'
import { failedProgram } from '../failed-program.ts'
import { type Cluster, clusterEnvironment, queryCluster } from '../kube.ts'
import { runStepProgram, type StepProgram } from '../program.ts'
import {
  endPending,
  type HelmRun,
  historyOf,
  releasesSchema,
  revisionBefore,
  runHelm,
  wordsOfHelm,
} from '../releases.ts'
import type { Step } from '../step.ts'

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

/** Values may switch off all releases of an application, which is not a failure. */
const syncing = ['sync', '--skip-deps', '--allow-no-matching-release'] as const

/** `helmfile list --output json` */
const listedSchema = z.array(
  z.object({ name: z.string(), namespace: z.string(), enabled: z.boolean(), installed: z.boolean() }),
)

/** Installs one application: all its releases, with helmfile, which waits until they are ready. */
export function applicationStep(options: ApplicationOptions): Step {
  const { name, needs, cluster, environment, inputs } = options
  return {
    id: `app-${name}`,
    title: `Install the application ${name}`,
    needs,
    inputs: async () => ({ of: await inputs(), environment }),
    describe: async () => [helmfileCommand(options, syncing).map(shellWord).join(' ')],
    async check({ signal }) {
      const wanted = await releasesOf(options, signal)
      if (wanted === undefined) return 'pending'
      const args = ['list', '--all-namespaces', '--all', '--output', 'json']
      const found = releasesSchema.safeParse(await queryCluster(cluster, { program: 'helm', args, signal }))
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
      const own = (await releasesOf(options, context.signal)) ?? []
      await endPending(
        own,
        helmRun(options, { name: `app-${name}`, signal: context.signal }),
        context.progress,
      )
      const end = await runStepProgram({
        ...program,
        command,
        cwd: dirname(options.helmfile),
        env: clusterEnvironment(cluster),
        signal: context.signal,
        onLine(line) {
          const release = /^(?:Upgrading|Installing) release=(\S+?),/.exec(line)?.[1]
          if (release !== undefined) context.progress.note(`app-${name}: release ${release}`)
        },
      })
      if (end.status !== 0)
        throw failedProgram(command, end, {
          log: program.log,
          said: wordsOfHelm(end.tail),
          likely:
            end.status === 1
              ? 'a pod does not become ready: see kubectl get pods and kubectl describe pod'
              : 'the deployment tree or its values are invalid',
        })
    },
  }
}

function helmRun(
  { cluster, helmfile, program }: Pick<ApplicationOptions, 'cluster' | 'helmfile' | 'program'>,
  { name, signal }: { name: string; signal: AbortSignal },
): HelmRun {
  return { ...program(name), cluster, cwd: dirname(helmfile), signal }
}

/** Uninstalls the releases of an application; volumes and namespaces stay. */
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

/**
 * Rolls each release of an application back to its previous revision, and waits until that is ready. Returns their names. Throws
 * STEP_FAILED if no release has a revision to return to.
 */
export async function rollBackApplication(
  options: Omit<ApplicationOptions, 'needs' | 'inputs'>,
  signal: AbortSignal,
): Promise<string[]> {
  const releases = await releasesOf(options, signal)
  if (releases === undefined || releases.length === 0) {
    throw new AirgapError('STEP_FAILED', 'helmfile does not list the releases of the application', {
      item: options.name,
      likely: 'the deployment tree or its values are invalid',
      next: `read ${options.program(`app-${options.name}`).log}`,
    })
  }
  const run = helmRun(options, { name: `rollback-${options.name}`, signal })
  // the last release may depend on those before it
  const back: string[] = []
  for (const release of releases.toReversed()) {
    const revision = revisionBefore(await historyOf(release, run))
    if (revision === undefined) continue
    const wait = ['--wait', '--timeout', '10m']
    await runHelm(
      ['rollback', release.name, String(revision), '--namespace', release.namespace, ...wait],
      run,
    )
    back.push(`${release.namespace}/${release.name}`)
  }
  if (back.length > 0) return back.toReversed()
  throw new AirgapError('STEP_FAILED', 'no release of the application has a previous revision that worked', {
    item: options.name,
    likely: 'it was not changed since it was installed, or is rolled back already',
    next: 'see the revisions with helm history NAME --namespace NAMESPACE; nothing was changed',
  })
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
  return [
    `${cluster.bin}/helmfile`,
    '--helm-binary',
    `${cluster.bin}/helm`,
    '--no-color',
    '--file',
    helmfile,
    '--environment',
    environment,
    '--selector',
    `app=${name}`,
    ...words,
  ]
}

/** Returns the releases that helmfile would install, none if they are switched off; undefined if helmfile fails. */
async function releasesOf(
  options: Omit<ApplicationOptions, 'needs' | 'inputs'>,
  signal: AbortSignal,
): Promise<{ name: string; namespace: string }[] | undefined> {
  const command = helmfileCommand(options, ['list', '--output', 'json', '--allow-no-matching-release'])
  const lines: string[] = []
  const { cluster, helmfile } = options
  const end = await runStepProgram({
    ...options.program(`app-${options.name}`),
    command,
    cwd: dirname(helmfile),
    env: clusterEnvironment(cluster),
    signal,
    onLine: line => lines.push(line),
  }).catch(() => undefined)
  signal.throwIfAborted()
  if (end?.status !== 0) return undefined
  try {
    const json = lines.find(line => line.startsWith('['))
    // helmfile prints nothing if values switch off all of them
    return listedSchema.parse(JSON.parse(json ?? '[]')).filter(one => one.enabled && one.installed)
  } catch {
    return undefined
  }
}
