import { join } from 'node:path'
import { AirgapError } from '../core/errors.ts'
import { runPlaybook } from '../install/ansible.ts'
import { readInventory } from '../inventory/read-inventory.ts'
import { type ClusterChange, type InstalledSite, selected } from './change-cluster.ts'

/** Removes Kubernetes from the named machines, or the whole cluster where none is named, by kubespray's playbooks. */
export function resetMachines(names: readonly string[]): ClusterChange<{ reset: string[] }> {
  const whole = names.length === 0
  return {
    releases: false,
    pulls: false,
    describe(site) {
      const all = clusterMachines(site)
      if (!site.install.site.switches.kubernetes) throw foreignCluster(site)
      return whole
        ? `remove Kubernetes from ${all.join(', ')}, and with it everything that runs in the cluster`
        : `remove ${selected(names, { from: all, what: 'machine' }).join(', ')} from the cluster`
    },
    async run(site, context) {
      const all = clusterMachines(site)
      const { ansible, paths } = site.tools
      await refuseOtherMachines(site, whole ? all : names)
      const confirmed = { skip_confirmation: true, reset_confirmation: true }
      await runPlaybook(
        ansible,
        {
          name: 'reset',
          cwd: paths.kubespray,
          playbook: join(paths.kubespray, whole ? 'reset.yml' : 'remove-node.yml'),
          variables: whole ? confirmed : { ...confirmed, node: names.join(','), reset_nodes: true },
          // remove-node.yml selects the machine itself, and needs the control plane
          limit: whole ? all.join(',') : undefined,
        },
        context,
      )
      await site.undone('kubernetes')
      return { reset: whole ? all : [...names] }
    },
  }
}

function clusterMachines({ install }: InstalledSite): string[] {
  return install.site.nodes
    .filter(({ roles }) => roles.includes('control-plane') || roles.includes('worker'))
    .map(({ name }) => name)
}

/** ansible takes the machines from the inventory that the last apply wrote: they must be those that were confirmed. */
async function refuseOtherMachines(
  { install, tools }: InstalledSite,
  names: readonly string[],
): Promise<void> {
  const inventory = await readInventory(tools.ansible.inventory)
  const changed = names.filter(name => {
    const address = install.site.nodes.find(node => node.name === name)?.address
    const host = inventory.hosts.get(name)
    return host === undefined || host.variables.get('ansible_host') !== address
  })
  if (changed.length === 0) return
  throw new AirgapError('USAGE', 'site.yaml and the inventory of the last apply name different machines', {
    item: `${changed.join(', ')}: ${tools.ansible.inventory}`,
    likely: 'site.yaml was edited since the last apply',
    next: 'restore site.yaml, or rewrite the inventory with `offline-deploy apply --only inventory`; nothing was changed',
  })
}

function foreignCluster({ install }: InstalledSite): AirgapError {
  return new AirgapError('USAGE', 'this cluster was not installed from here, so it is not removed', {
    item: `${install.site.environment}: switches.kubernetes: false`,
    likely: 'site.yaml says that Kubernetes existed before',
    next: 'remove the applications from it with `offline-deploy destroy`',
  })
}
