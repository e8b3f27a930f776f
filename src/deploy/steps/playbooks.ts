import { basename, join } from 'node:path'
import { defined } from '../../core/defined.ts'
import { digestOf } from '../../core/digest.ts'
import { writeMachineRepositories } from '../../install/machine-repositories.ts'
import type { Step } from '../../install/step.ts'
import { inventoryFiles } from '../../install/steps/inventory.ts'
import { playbookStep } from '../../install/steps/playbook.ts'
import {
  ansibleInputs,
  inventoryRecord,
  limitTo,
  type MachineParts,
  nodesWith,
  repositoriesOf,
} from './parts.ts'

/** The step after which a machine can install packages and pull images. */
export function preparedBy({ install: { deployment } }: MachineParts): string {
  return deployment.playbooks.nodes === undefined ? 'control-host' : 'nodes'
}

export function nodes(parts: MachineParts): Step | undefined {
  const { install, clients, ca, tools, state } = parts
  const { playbooks } = install.deployment
  if (playbooks.nodes === undefined) return undefined
  const playbook = playbookOf(parts, playbooks.nodes)
  const machines = install.site.nodes.map(({ name }) => name)
  return playbookStep({
    ...playbook,
    id: 'nodes',
    title: 'Configure package sources and install prerequisites on the nodes',
    needs: ['inventory', 'control-host'],
    pattern: 'k8s_cluster:etcd:nfs_server',
    machines,
    limit: limitTo(parts, machines),
    // its roles copy what lies next to the inventory
    inputs: async () => {
      const trusted = await ca('plan')
      return defined({
        of: await playbook.inputs(),
        beside: inventoryFiles(await clients('plan'), '').map(({ path, text }) => [path, digestOf(text)]),
        ca: trusted && digestOf(trusted),
      })
    },
    // which repository each machine gets is decided here; the role reads it
    prepare: (pattern, context) =>
      writeMachineRepositories(
        {
          ansible: tools.ansible,
          pattern,
          repositories: repositoriesOf(parts).map(({ name }) => basename(name)),
          folder: state.paths.inventory,
          record: inventoryRecord(parts),
        },
        context,
      ),
    does: [
      ...(parts.caFile === undefined ? [] : ['the CA of the site’s servers']),
      'package sources and keys of the site',
      'base packages',
      'registry mirrors of containerd',
    ],
  })
}

export function gpuDriver(parts: MachineParts): Step | undefined {
  const { site, deployment } = parts.install
  const machines = nodesWith(parts, 'gpu')
  const { gpuDriver: path } = deployment.playbooks
  if (path === undefined || !site.switches.gpuDriver || machines.length === 0) return undefined
  return playbookStep({
    ...playbookOf(parts, path),
    id: 'gpu-driver',
    title: 'Install the NVIDIA driver on the GPU nodes',
    needs: [preparedBy(parts)],
    pattern: 'gpu_node',
    machines,
    limit: limitTo(parts, machines),
    does: ['driver and kernel headers, one machine at a time', 'no reboot'],
  })
}

export function nfs(parts: MachineParts): Step | undefined {
  const { site, deployment } = parts.install
  const machines = nodesWith(parts, 'nfs')
  const { nfs: path } = deployment.playbooks
  if (path === undefined || !site.switches.nfs || machines.length === 0) return undefined
  return playbookStep({
    ...playbookOf(parts, path),
    id: 'nfs',
    title: 'Export the NFS folder for volumes',
    needs: [preparedBy(parts)],
    pattern: 'nfs_server',
    machines,
    limit: limitTo(parts, machines),
    does: [`export ${site.nfs?.path ?? ''} to ${(site.nfs?.networks ?? ['the nodes']).join(', ')}`],
  })
}

/** A playbook of the deployment tree, decided by the folder it is in. */
function playbookOf(parts: MachineParts, path: string) {
  const { folder } = parts.install
  return {
    ansible: parts.tools.ansible,
    cwd: folder,
    playbook: join(folder, path),
    inputs: () => ansibleInputs(parts, [path.slice(0, Math.max(path.lastIndexOf('/'), 0)) || path]),
  }
}
