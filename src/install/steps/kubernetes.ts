import { join } from 'node:path'
import { coerce, compare } from 'semver'
import { AirgapError } from '../../core/errors.ts'
import { shellWord } from '../../core/shell-word.ts'
import { type ClusterNode, parseClusterNodes } from '../../probe/cluster-nodes.ts'
import { type Ansible, playbookCommand, runPlaybook } from '../ansible.ts'
import { type Cluster, queryCluster } from '../kube.ts'
import { adoptKubeconfig } from '../kubeconfig.ts'
import type { Step } from '../step.ts'
import { namesOf } from './playbook.ts'

export interface KubernetesOptions {
  needs: readonly string[]
  ansible: Ansible
  cluster: Cluster
  /** the folder of kubespray */
  kubespray: string
  /** names of the cluster's machines, and those of its control plane */
  machines: readonly string[]
  controlPlane: readonly string[]
  /** such as v1.28.6; undefined: the default of kubespray */
  version: string | undefined
  /** only these: an ansible pattern, and the names of those among `machines` */
  limit?: { pattern: string; machines: readonly string[] } | undefined
  /** whether an existing cluster is upgraded */
  upgrade: boolean
  inputs: () => Promise<object>
}

/** Installs or upgrades the cluster with kubespray's playbook. Done when every machine is a ready node of the right version. */
export function kubernetesStep(options: KubernetesOptions): Step {
  const { needs, ansible, cluster, kubespray, machines, version, inputs } = options
  const limit = options.limit?.pattern
  /** an existing cluster is upgraded node by node, each drained before */
  const plan = async (signal: AbortSignal) => {
    const found = await nodesOf(cluster, signal)
    if (found.size === 0 && options.upgrade) throw noAnswer(cluster)
    const old = (name: string) =>
      version !== undefined && (found.get(name)?.kubeletVersion ?? version) !== version
    const upgrade = [...found.keys()].some(old)
    const left =
      options.limit && options.controlPlane.find(name => old(name) && !options.limit?.machines.includes(name))
    if (left !== undefined) throw controlPlaneFirst(left, version)
    const name = upgrade ? 'upgrade-cluster.yml' : 'cluster.yml'
    const newer = [...found.values()].find(node => isNewer(node.kubeletVersion, version))
    return {
      upgrade,
      newer,
      run: { name: 'kubernetes', playbook: join(kubespray, name), cwd: kubespray, limit },
    }
  }
  return {
    id: 'kubernetes',
    title: `Install Kubernetes${version === undefined ? '' : ` ${version}`} with kubespray`,
    needs,
    inputs: async () => ({ of: await inputs(), machines, version: version ?? null, limit: limit ?? null }),
    async describe({ signal }) {
      const { upgrade, newer, run } = await plan(signal)
      if (newer !== undefined) return [`refused: ${downgrade(newer, version).message}`]
      return [
        upgrade
          ? `upgrade ${namesOf(machines, limit)}, one node at a time, drained before; 15 minutes each`
          : `install containerd, etcd, kubeadm, Calico and CoreDNS on ${namesOf(machines, limit)}; 15 to 40 minutes`,
        playbookCommand(ansible, run).map(shellWord).join(' '),
        `write the administrator's kubeconfig to ${cluster.kubeconfig}`,
      ]
    },
    async check({ signal }) {
      const found = await nodesOf(cluster, signal)
      const good = (name: string) => {
        const node = found.get(name)
        return node?.ready && (version === undefined || node.kubeletVersion === version)
      }
      return (options.limit?.machines ?? machines).every(good) ? 'done' : 'pending'
    },
    async apply(context) {
      const { upgrade, newer, run } = await plan(context.signal)
      if (newer !== undefined) throw downgrade(newer, version)
      if (upgrade) context.progress.note(`kubernetes: upgrade to ${version}`)
      await runPlaybook(ansible, run, context)
      await adoptKubeconfig(cluster)
    },
  }
}

/** `v1.29.1` is newer than `v1.28.6` */
function isNewer(version: string, than: string | undefined): boolean {
  const [a, b] = [coerce(version), coerce(than)]
  return a !== null && b !== null && compare(a, b) > 0
}

/** kubeadm has no way back (Kubernetes' version skew policy), and kubespray's upgrade would try. */
function downgrade({ name, kubeletVersion }: ClusterNode, version: string | undefined): AirgapError {
  return new AirgapError(
    'INCOMPATIBLE',
    `Kubernetes cannot be downgraded: ${name} runs ${kubeletVersion}, the bundle has ${version}`,
    {
      item: name,
      likely: 'an older bundle is being applied, or the cluster was upgraded by other means',
      next: 'use a bundle with this version of Kubernetes or a newer one; to leave the cluster as it is, pass --skip kubernetes',
    },
  )
}

function noAnswer({ kubeconfig }: Cluster): AirgapError {
  return new AirgapError('STEP_FAILED', 'the cluster does not answer, so its version is not known', {
    item: kubeconfig,
    likely: 'the API server is down, or the kubeconfig is lost',
    next: 'repair the cluster first, then upgrade it; nothing was changed',
  })
}

function controlPlaneFirst(name: string, version: string | undefined): AirgapError {
  return new AirgapError(
    'USAGE',
    `the control plane has to be upgraded first: ${name} is not at ${version} yet`,
    {
      item: '--limit',
      likely: 'a kubelet must not be newer than the API server',
      next: 'run it without --limit, or include the control plane in --limit',
    },
  )
}

/** Returns the nodes of the cluster by name; none if it does not answer. */
async function nodesOf(cluster: Cluster, signal: AbortSignal): Promise<Map<string, ClusterNode>> {
  const answer = await queryCluster(cluster, {
    program: 'kubectl',
    args: ['get', 'nodes', '-o', 'json'],
    signal,
  })
  return new Map((parseClusterNodes(answer) ?? []).map(node => [node.name, node]))
}
