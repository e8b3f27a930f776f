import { stringify } from 'yaml'

/** What `offline-deploy init` knows about a site; every part is optional. */
export interface SiteAnswers {
  environment?: string
  nameservers?: readonly string[]
  externalIP?: string
  nfs?: { server: string; path?: string; networks?: readonly string[]; storageClass?: string }
  ssh?: {
    user?: string
    port?: number
    privateKey?: string
    password?: boolean
    sudo?: 'passwordless' | 'password'
  }
  nodes: readonly NodeAnswer[]
  versions?: { kubernetes?: string }
}

export interface NodeAnswer {
  name: string
  address: string
  roles: readonly string[]
  user?: string
  port?: number
}

/** A key of site.yaml: its meaning, its value, and an example for when it is not set. */
interface Key {
  key: string
  means: string[]
  value?: unknown
  example: unknown
}

/**
 * Returns a first site.yaml: what is known, and every other key with an explanation. Comments with a space after the # explain; those
 * without one are keys that are not set. All are placed so that the YAML library keeps them there when it writes the file again.
 */
export function starterSite(answers: SiteAnswers): string {
  const { environment = 'prod', nameservers, externalIP, nfs, ssh, nodes, versions } = answers
  return [
    '# What is specific to this site. `offline-deploy plan` shows what it leads to; run `apply` again after every change.',
    '# A line such as "#externalIP: …" is a key that is not set: remove the # to set it. Do not write passwords here.',
    'apiVersion: airgap-site/v1',
    '',
    ...keyLines({
      key: 'environment',
      means: ['which environments/NAME of the deployment tree'],
      value: environment,
      example: 'prod',
    }),
    '',
    ...keyLines({
      key: 'externalIP',
      means: ['where users reach the platform: a node, or a load balancer in front of the nodes'],
      value: externalIP,
      example: '10.0.0.100',
    }),
    '',
    ...keyLines({
      key: 'nameservers',
      means: [
        'DNS servers of the site, for nodes and pods (default: pods resolve the names of the cluster only,',
        'and what they ask of other names is refused at once)',
      ],
      value: nameservers,
      example: ['10.0.0.2'],
    }),
    '',
    ...section(
      'nfs',
      ['volumes of the applications'],
      [
        {
          key: 'server',
          means: ['a node below with the role nfs, or an existing server'],
          value: nfs?.server,
          example: '10.0.0.31',
        },
        { key: 'path', means: ['the folder it exports'], value: nfs?.path, example: '/nfs-data/astrago' },
        {
          key: 'networks',
          means: ['clients that may mount it (default: the nodes below)'],
          value: nfs?.networks,
          example: ['10.0.0.0/24'],
        },
        {
          key: 'storageClass',
          means: ['name of the storage class (default: that of the deployment tree)'],
          value: nfs?.storageClass,
          example: 'nfs-csi',
        },
      ],
    ),
    '',
    ...section(
      'ssh',
      ['SSH access to the nodes'],
      [
        { key: 'user', means: ['user to log in as'], value: ssh?.user, example: 'root' },
        { key: 'port', means: ['port of sshd'], value: ssh?.port, example: 22 },
        {
          key: 'privateKey',
          means: ['key to log in with (default: the keys and the agent of the user who runs offline-deploy)'],
          value: ssh?.privateKey,
          example: '/root/.ssh/id_ed25519',
        },
        {
          key: 'password',
          means: ['true: log in with a password, from a prompt or OFFLINE_DEPLOY_SSH_PASSWORD'],
          value: ssh?.password,
          example: false,
        },
        {
          key: 'sudo',
          means: ['passwordless, or password: from a prompt or OFFLINE_DEPLOY_SUDO_PASSWORD'],
          value: ssh?.sudo,
          example: 'passwordless',
        },
      ],
    ),
    '',
    ...keyLines({
      key: 'kubeconfig',
      means: ['of an existing cluster; requires kubernetes: false under switches'],
      example: '/root/.kube/config',
    }),
    '',
    ...section(
      'versions',
      [],
      [
        {
          key: 'kubernetes',
          means: ['must be in the bundle (default: the version of the bundle)'],
          value: versions?.kubernetes,
          example: 'v1.28.6',
        },
      ],
    ),
    '',
    ...section(
      'switches',
      ['false: do not install this part'],
      [
        { key: 'kubernetes', means: ['false: the cluster exists already, see kubeconfig'], example: true },
        { key: 'gpuDriver', means: ['the NVIDIA driver on nodes with the role gpu'], example: true },
        { key: 'nfs', means: ['the NFS server on the node with the role nfs'], example: true },
        { key: 'applications', means: ['by name'], example: { harbor: true } },
      ],
    ),
    '',
    ...keyLines({
      key: 'kubespray',
      means: ['kubespray variables for every node; they win over those of kubespray and of the bundle'],
      example: { kube_network_plugin_mtu: 1450 },
    }),
    '',
    ...keyLines({
      key: 'secrets',
      means: [
        'passwords and keys of the applications, as their values name them: kept in environments/NAME/secrets.yaml,',
        'never shown; what is missing there is generated (chmod 600 this file if you set any here)',
      ],
      example: { keycloak: { adminPassword: '…' } },
    }),
    '',
    ...keyLines({
      key: 'values',
      means: ['set in environments/NAME/values.yaml'],
      example: { keycloak: { servicePort: 30001 } },
    }),
    '',
    ...nodeLines(nodes),
    '',
  ].join('\n')
}

function nodeLines(nodes: readonly NodeAnswer[]): string[] {
  const example = nodes.length === 0
  return [
    '# The nodes. name: host name in the cluster; address: IP address; roles:',
    '#   control-plane: 1, 3 or 5 nodes; worker: runs pods; gpu: a worker with NVIDIA GPUs; nfs: one node, exports the volumes',
    '# Set user and port if they differ from those of ssh, for example:',
    '#   - {name: gpu-1, address: 10.0.0.21, roles: [worker, gpu], user: ubuntu, port: 2222}',
    ...(example ? ['# This node is an example: replace it with yours.'] : []),
    'nodes:',
    ...(example
      ? [{ name: 'master-1', address: '10.0.0.11', roles: ['control-plane', 'worker'] }]
      : nodes
    ).map(node => `  - ${flow(node)}`),
  ]
}

/** The section itself is a comment if none of its keys is set: an empty section is a mistake. */
function section(name: string, means: string[], keys: Key[]): string[] {
  const set = keys.some(({ value }) => value !== undefined)
  const lines = keys.flatMap(keyLines).map(line => `  ${line}`)
  return [...means.map(text => `# ${text}`), set ? `${name}:` : `#${name}:`, ...lines]
}

function keyLines({ key, means, value, example }: Key): string[] {
  return [
    ...means.map(text => `# ${text}`),
    value === undefined ? `#${key}: ${flow(example)}` : `${key}: ${flow(value)}`,
  ]
}

/** Any value on one line; YAML 1.1 quotes more than 1.2, so that both read the same. */
function flow(value: unknown): string {
  return stringify(value, {
    collectionStyle: 'flow',
    lineWidth: 0,
    version: '1.1',
    flowCollectionPadding: false,
    aliasDuplicateObjects: false,
  }).trim()
}
