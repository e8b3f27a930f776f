/** Names that kubespray and ansible gave to groups and variables over the years, and what they mean here. */
export const roleGroups = [
  ['control-plane', ['kube_control_plane', 'kube-master', 'kube_master']],
  ['worker', ['kube_node', 'kube-node']],
  ['gpu', ['gpu_node', 'gpu-node', 'gpu']],
  ['nfs', ['nfs_server', 'nfs-server', 'nfs']],
] as const
export const controlPlaneGroups: readonly string[] = roleGroups[0][1]

/** Groups that have a meaning here, and those that say nothing which the roles do not. */
export const knownGroups: ReadonlySet<string> = new Set([
  ...roleGroups.flatMap(([, groups]) => groups),
  ...['all', 'ungrouped', 'etcd', 'k8s_cluster', 'k8s-cluster', 'calico_rr', 'calico-rr'],
])

/** What is taken from a variable; the first name that is set counts. */
export const taken = {
  address: ['ip', 'ansible_host', 'ansible_ssh_host', 'access_ip'],
  user: ['ansible_user', 'ansible_ssh_user'],
  port: ['ansible_port', 'ansible_ssh_port'],
  key: ['ansible_ssh_private_key_file', 'ansible_private_key_file'],
  kubernetes: ['kube_version'],
  nfsPath: ['nfs_server_path'],
} as const
export const takenNames: ReadonlySet<string> = new Set(Object.values(taken).flat())

/** Of these it counts that they are set; what they are set to is a secret. */
export const loginPasswords = ['ansible_password', 'ansible_ssh_pass', 'ansible_ssh_password']
export const sudoPasswords = [
  'ansible_become_pass',
  'ansible_become_password',
  'ansible_sudo_pass',
  'ansible_su_pass',
]
