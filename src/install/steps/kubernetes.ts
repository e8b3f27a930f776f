import { join } from 'node:path'
import { z } from 'zod'
import { type Ansible, playbookCommand, runPlaybook } from '../ansible.ts'
import { askCluster, type Cluster } from '../kube.ts'
import { shellWord } from '../shell-word.ts'
import type { Step } from '../step.ts'
import { namesOf } from './playbook.ts'

/** What `kubectl get nodes -o json` says that counts here. */
const nodesSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      status: z.object({
        conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
        nodeInfo: z.object({ kubeletVersion: z.string() }),
      }),
    }),
  ),
})

export interface KubernetesOptions {
  needs: readonly string[]
  ansible: Ansible
  cluster: Cluster
  /** where kubespray is unpacked */
  kubespray: string
  /** names of the cluster's machines */
  machines: readonly string[]
  /** such as v1.28.6; undefined: whatever kubespray installs */
  version: string | undefined
  limit?: string | undefined
  inputs: () => Promise<object>
}

/** The cluster, by kubespray's own playbook: done when every machine is a ready node of the right version. */
export function kubernetesStep(options: KubernetesOptions): Step {
  const { needs, ansible, cluster, kubespray, machines, version, limit, inputs } = options
  const run = { name: 'kubernetes', playbook: join(kubespray, 'cluster.yml'), cwd: kubespray, limit }
  return {
    id: 'kubernetes',
    title: `Kubernetes${version === undefined ? '' : ` ${version}`}, by kubespray`,
    needs,
    inputs: async () => ({ of: await inputs(), machines, version: version ?? null, limit: limit ?? null }),
    describe: async () => [
      `on ${namesOf(machines, limit)}: containerd, etcd, kubeadm, Calico, CoreDNS; 15 to 40 minutes`,
      playbookCommand(ansible, run).map(shellWord).join(' '),
      `the administrator's kubeconfig comes to ${cluster.kubeconfig}`,
    ],
    async check({ signal }) {
      const found = await versionsOf(cluster, signal)
      const good = (name: string) => {
        const node = found.get(name)
        return node?.ready && (version === undefined || node.version === version)
      }
      return machines.every(good) ? 'done' : 'pending'
    },
    async apply(context) {
      const found = await versionsOf(cluster, context.signal)
      // what runs already is brought from one version to the next machine by machine, with its pods moved away
      const upgrade = version !== undefined && [...found.values()].some(one => one.version !== version)
      const playbook = upgrade ? join(kubespray, 'upgrade-cluster.yml') : run.playbook
      if (upgrade) context.progress.note(`kubernetes: upgrade to ${version}`)
      await runPlaybook(ansible, { ...run, playbook }, context)
    },
  }
}

/** Nodes of the cluster by name; none where it does not answer. */
async function versionsOf(
  cluster: Cluster,
  signal: AbortSignal,
): Promise<Map<string, { ready: boolean; version: string }>> {
  const answer = await askCluster(cluster, {
    program: 'kubectl',
    args: ['get', 'nodes', '-o', 'json'],
    signal,
  })
  const parsed = nodesSchema.safeParse(answer)
  if (!parsed.success) return new Map()
  return new Map(
    parsed.data.items.map(({ metadata, status }) => [
      metadata.name,
      {
        ready: status.conditions.some(one => one.type === 'Ready' && one.status === 'True'),
        version: status.nodeInfo.kubeletVersion,
      },
    ]),
  )
}
