import type { NodeRole } from './schema.ts'

/**
 * Groups of the inventory that we write, and the roles of the machines in each: kubespray's names, and `gpu_node` and `nfs_server` of
 * the deployment tree's playbooks.
 */
export const groupRoles = {
  all: ['control-plane', 'worker', 'gpu', 'nfs'],
  kube_control_plane: ['control-plane'],
  etcd: ['control-plane'],
  kube_node: ['worker'],
  k8s_cluster: ['control-plane', 'worker'],
  gpu_node: ['gpu'],
  nfs_server: ['nfs'],
  calico_rr: [],
} as const satisfies Record<string, readonly NodeRole[]>

/** Names that kubespray and ansible have given over the years to the group of each role. */
export const roleGroups: readonly (readonly [NodeRole, readonly string[]])[] = [
  ['control-plane', ['kube_control_plane', 'kube-master', 'kube_master']],
  ['worker', ['kube_node', 'kube-node']],
  ['gpu', ['gpu_node', 'gpu-node', 'gpu']],
  ['nfs', ['nfs_server', 'nfs-server', 'nfs']],
]
export const controlPlaneGroups: readonly string[] = roleGroups.flatMap(([role, groups]) =>
  role === 'control-plane' ? groups : [],
)

/** Groups that have a meaning here, and groups that add nothing to the roles. */
export const knownGroups: ReadonlySet<string> = new Set([
  ...roleGroups.flatMap(([, groups]) => groups),
  ...Object.keys(groupRoles),
  'ungrouped',
  'k8s-cluster',
  'calico-rr',
])

/** Variables that are converted, by what they mean; the first one that is set counts. */
export const converted = {
  address: ['ip', 'ansible_host', 'ansible_ssh_host', 'access_ip'],
  user: ['ansible_user', 'ansible_ssh_user'],
  port: ['ansible_port', 'ansible_ssh_port'],
  key: ['ansible_ssh_private_key_file', 'ansible_private_key_file'],
  kubernetes: ['kube_version'],
  nfsPath: ['nfs_server_path'],
  nameservers: ['upstream_dns_servers'],
} as const
export const convertedNames: ReadonlySet<string> = new Set(Object.values(converted).flat())

/** Only whether these are set matters; their values are secrets. */
export const loginPasswords = ['ansible_password', 'ansible_ssh_pass', 'ansible_ssh_password']
export const sudoPasswords = [
  'ansible_become_pass',
  'ansible_become_password',
  'ansible_sudo_pass',
  'ansible_su_pass',
]
