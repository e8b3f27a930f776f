import { stringify } from 'yaml'
import { groupRoles } from './inventory-names.ts'
import type { NodeRole, SiteFile, SiteNode } from './schema.ts'

const header = `# Written by offline-deploy from site.yaml: change that one, and run apply again. By hand:
#   ansible-playbook -i THIS_FILE …
`

/**
 * The inventory of ansible and kubespray. What site.yaml sets for kubespray stands at each host, where it wins over the
 * group_vars of the deployment tree. `servers` are those of the site.
 */
export function inventoryText(site: SiteFile, servers?: { registry: string; httpServer: string }): string {
  const hosts = Object.fromEntries(site.nodes.map(node => [node.name, hostVariables(node, site)]))
  const group = (name: keyof typeof groupRoles) => {
    const roles: readonly NodeRole[] = groupRoles[name]
    const members = site.nodes.filter(node => node.roles.some(role => roles.includes(role)))
    return { hosts: Object.fromEntries(members.map(node => [node.name, {}])) }
  }
  const inventory = {
    all: {
      ...(servers === undefined
        ? {}
        : { vars: { registry_host: servers.registry, http_server: servers.httpServer } }),
      hosts,
      children: {
        kube_control_plane: group('kube_control_plane'),
        etcd: group('etcd'),
        kube_node: group('kube_node'),
        k8s_cluster: { children: { kube_control_plane: {}, kube_node: {} } },
        gpu_node: group('gpu_node'),
        nfs_server: group('nfs_server'),
        calico_rr: group('calico_rr'),
      },
    },
  }
  return `${header}${stringify(inventory, { aliasDuplicateObjects: false, lineWidth: 0, version: '1.1' })}`
}

function hostVariables(node: SiteNode, { ssh, nfs, nodes, versions, kubespray }: SiteFile) {
  const { address } = node
  return {
    ansible_host: address,
    ip: address,
    access_ip: address,
    ansible_user: node.user ?? ssh.user,
    ansible_port: node.port ?? ssh.port,
    ...(ssh.privateKey === undefined ? {} : { ansible_ssh_private_key_file: ssh.privateKey }),
    ...(versions.kubernetes === undefined ? {} : { kube_version: versions.kubernetes }),
    ...(nfs !== undefined && node.roles.includes('nfs')
      ? { nfs_server_path: nfs.path, nfs_server_networks: nfs.networks ?? nodes.map(one => one.address) }
      : {}),
    ...kubespray,
  }
}

/** What the deployment tree may ask of a site for its values files, by name. Undefined: the site does not say. */
export function siteFacts(site: SiteFile): Record<string, string | number | undefined> {
  return {
    environment: site.environment,
    externalIP: site.externalIP,
    'nfs.server': site.nfs && addressOf(site.nfs.server, site),
    'nfs.path': site.nfs?.path,
    'nfs.storageClass': site.nfs?.storageClass,
    'kubernetes.version': site.versions.kubernetes,
    'nodes.gpu': site.nodes.filter(({ roles }) => roles.includes('gpu')).length,
    'nodes.count': site.nodes.length,
  }
}

/** Pods do not know the names of nodes. */
function addressOf(server: string, { nodes }: SiteFile): string {
  return nodes.find(({ name }) => name === server)?.address ?? server
}
