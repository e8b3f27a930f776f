import { createWriteStream } from 'node:fs'
import { chmod, cp, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../../core/atomic-file.ts'
import { canonicalJson } from '../../core/canonical-json.ts'
import { AirgapError } from '../../core/errors.ts'
import { type Ansible, runPlaybook } from '../ansible.ts'
import type { Deployment } from '../deployment.ts'
import { type Cluster, clusterEnvironment, queryCluster } from '../kube.ts'
import { saveOutput } from '../save-output.ts'
import type { Step, StepContext } from '../step.ts'

export interface BackupOptions {
  /** each upgrade gets a new folder in it */
  folder: string
  /** name of the copy → file or folder */
  copies: Readonly<Record<string, string>>
  cluster: Cluster
  ansible: Ansible
  /** saves etcd; undefined if offline-deploy did not install the cluster */
  playbook: string | undefined
  cwd: string
  backups: Deployment['backups']
  inputs: () => Promise<object>
}

/** Backs up a site before an upgrade: values, inventory, releases, etcd, databases. The backup appears whole or not at all. */
export function backupStep(options: BackupOptions): Step {
  const { folder, copies, cluster, ansible, playbook, cwd, backups, inputs } = options
  return {
    id: 'backup',
    title: 'Back up the site before the upgrade',
    needs: [],
    inputs,
    describe: async () => [
      `write a new folder below ${folder} (mode 0700) with`,
      `  ${Object.keys(copies).join(', ')}; values and manifests of every release`,
      ...(playbook === undefined ? [] : ['  a snapshot of etcd']),
      ...backups.map(({ name, namespace, workload }) => `  database ${name} (${namespace}, ${workload})`),
    ],
    async check() {
      const names = await readdir(folder).catch(() => [])
      return names.some(name => !name.endsWith('.part')) ? 'done' : 'pending'
    },
    async apply(context) {
      const name = context.now().toISOString().replace(/[:.]/g, '-')
      const part = join(folder, `${name}.part`)
      try {
        await mkdir(part, { recursive: true, mode: 0o700 })
        await copyAll(part)
        const namespaces = await saveReleases(part, context)
        for (const backup of backups) {
          // a database that is new in this bundle, or of an application that was never installed
          if (!namespaces.has(backup.namespace)) {
            context.progress.note(
              `backup: ${backup.name}: skipped, no release is installed in ${backup.namespace}`,
            )
            continue
          }
          context.progress.note(`backup: ${backup.name}`)
          await saveDatabase(join(part, `${backup.name}.sql`), backup, context)
        }
        if (playbook !== undefined)
          await runPlaybook(
            ansible,
            { name: 'backup', playbook, cwd, variables: { backup_folder: part } },
            context,
          )
        // all of them contain secrets, wherever they are copied to later
        for (const entry of await readdir(part, { withFileTypes: true }))
          if (entry.isFile()) await chmod(join(part, entry.name), 0o600)
        await rename(part, join(folder, name))
        context.progress.note(`backup: ${join(folder, name)}`)
      } catch (error) {
        await rm(part, { recursive: true, force: true })
        throw error
      }
    },
  }

  async function copyAll(to: string): Promise<void> {
    for (const [name, from] of Object.entries(copies)) {
      if ((await stat(from).catch(() => undefined)) === undefined) continue
      await cp(from, join(to, name), { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
    }
  }

  /** Returns the namespaces of all releases. */
  async function saveReleases(to: string, { signal }: StepContext): Promise<Set<string>> {
    const namespaces = new Set<string>()
    const releases = await queryCluster(cluster, {
      program: 'helm',
      args: ['list', '-A', '-o', 'json'],
      signal,
    })
    if (!Array.isArray(releases)) throw unreachable()
    await writeAtomically(join(to, 'releases.json'), `${canonicalJson(releases, 2)}\n`, 0o600)
    for (const release of releases as { name?: unknown; namespace?: unknown }[]) {
      const { name, namespace } = release
      if (
        typeof name !== 'string' ||
        typeof namespace !== 'string' ||
        !/^[a-z0-9.-]+$/.test(name + namespace)
      )
        continue
      namespaces.add(namespace)
      const all = await queryCluster(cluster, {
        program: 'helm',
        signal,
        args: ['get', 'values', name, '--namespace', namespace, '--all', '--output', 'json'],
      })
      await writeAtomically(join(to, `values-${namespace}-${name}.json`), `${canonicalJson(all, 2)}\n`, 0o600)
    }
    return namespaces
  }

  async function saveDatabase(
    to: string,
    { name, namespace, workload, command }: Deployment['backups'][number],
    { signal }: StepContext,
  ): Promise<void> {
    const kubectl = [`${cluster.bin}/kubectl`, '--namespace', namespace, 'exec', workload, '--', ...command]
    const { status, stderr, bytes } = await saveOutput(kubectl, {
      to: createWriteStream(to, { mode: 0o600 }),
      env: clusterEnvironment(cluster),
      signal,
    })
    if (status === 0 && bytes > 0) return
    throw new AirgapError(
      'STEP_FAILED',
      `the database ${name} cannot be dumped: ${stderr || 'the command printed nothing'}`,
      {
        item: `${namespace} ${workload}`,
        likely: 'its pod is not running',
        next: 'repair it first: an upgrade without a backup cannot be undone; nothing was changed',
      },
    )
  }
}

function unreachable(): AirgapError {
  return new AirgapError('STEP_FAILED', 'the cluster does not answer', {
    item: 'helm list',
    likely: 'the API server is down, or the kubeconfig is of another cluster',
    next: 'see `offline-deploy status`; nothing was changed',
  })
}
