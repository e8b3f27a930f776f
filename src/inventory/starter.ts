import { stringify } from 'yaml'

/** What `offline-deploy init` is told of a site; every part may be left out. */
export interface SiteAnswers {
  environment?: string
  externalIP?: string
  nfs?: { server: string; path?: string; networks?: readonly string[]; storageClass?: string }
  ssh?: {
    user?: string
    port?: number
    privateKey?: string
    password?: boolean
    sudo?: 'passwordless' | 'password'
  }
  nodes: readonly AskedNode[]
  versions?: { kubernetes?: string }
}

export interface AskedNode {
  name: string
  address: string
  roles: readonly string[]
  user?: string
  port?: number
}

/** A key of site.yaml: what it means, what it is set to, and an example for where it is not set. */
interface Key {
  key: string
  means: string[]
  value?: unknown
  example: unknown
}

/**
 * A first site.yaml: what is known, and every other key explained. Comments with a space after the # explain; without one
 * they are keys that are not set. All stand where the YAML library leaves them when it writes the file again.
 */
export function starterSite(answers: SiteAnswers): string {
  const { environment = 'prod', externalIP, nfs, ssh, nodes, versions } = answers
  return [
    '# What is different at this site. `offline-deploy plan` says what follows from it; `apply` may be run again after every',
    '# change. A line such as "#externalIP: …" is a key that is not set: take the # away to set it. No password belongs here.',
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
      means: ['where users reach the platform: a machine, or a load balancer before them'],
      value: externalIP,
      example: '10.0.0.100',
    }),
    '',
    ...section(
      'nfs',
      ['the volumes of the applications'],
      [
        {
          key: 'server',
          means: ['a machine below with the role nfs, or a server that the site has already'],
          value: nfs?.server,
          example: '10.0.0.31',
        },
        { key: 'path', means: ['the folder it exports'], value: nfs?.path, example: '/nfs-data/astrago' },
        {
          key: 'networks',
          means: ['who may mount it (default: the machines below)'],
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
      ['how all machines are reached'],
      [
        { key: 'user', means: ['who logs in there'], value: ssh?.user, example: 'root' },
        { key: 'port', means: ['port of their sshd'], value: ssh?.port, example: 22 },
        {
          key: 'privateKey',
          means: ['the key to log in with (default: the keys and the agent of whoever runs this)'],
          value: ssh?.privateKey,
          example: '/root/.ssh/id_ed25519',
        },
        {
          key: 'password',
          means: ['true: logs in with a password, asked for, or taken from OFFLINE_DEPLOY_SSH_PASSWORD'],
          value: ssh?.password,
          example: false,
        },
        {
          key: 'sudo',
          means: ['passwordless, or password: asked for, or taken from OFFLINE_DEPLOY_SUDO_PASSWORD'],
          value: ssh?.sudo,
          example: 'passwordless',
        },
      ],
    ),
    '',
    ...keyLines({
      key: 'kubeconfig',
      means: ['a cluster that is there already; goes with switches: kubernetes: false'],
      example: '/root/.kube/config',
    }),
    '',
    ...section(
      'versions',
      [],
      [
        {
          key: 'kubernetes',
          means: ['has to be in the bundle (default: what the bundle brings)'],
          value: versions?.kubernetes,
          example: 'v1.28.6',
        },
      ],
    ),
    '',
    ...section(
      'switches',
      ['false: this part is left out'],
      [
        { key: 'kubernetes', means: ['false: there is a cluster already, see kubeconfig'], example: true },
        { key: 'gpuDriver', means: ['NVIDIA’s driver on machines with the role gpu'], example: true },
        { key: 'nfs', means: ['the NFS server on the machine with the role nfs'], example: true },
        { key: 'applications', means: ['by name'], example: { harbor: true } },
      ],
    ),
    '',
    ...keyLines({
      key: 'kubespray',
      means: ['variables of kubespray, on every machine: before its own and those of the bundle'],
      example: { kube_network_plugin_mtu: 1450 },
    }),
    '',
    ...keyLines({
      key: 'values',
      means: ['put into environments/NAME/values.yaml'],
      example: { keycloak: { servicePort: 30001 } },
    }),
    '',
    ...nodeLines(nodes),
    '',
  ].join('\n')
}

function nodeLines(nodes: readonly AskedNode[]): string[] {
  const example = nodes.length === 0
  return [
    '# The machines. name: its host name in the cluster; address: its IP address. roles:',
    '#   control-plane: 1, 3 or 5 machines; worker: runs pods; gpu: a worker with NVIDIA GPUs; nfs: one, exports the volumes',
    '# user and port where they are not those of ssh, for example:',
    '#   - {name: gpu-1, address: 10.0.0.21, roles: [worker, gpu], user: ubuntu, port: 2222}',
    ...(example ? ['# This machine is an example: write yours instead.'] : []),
    'nodes:',
    ...(example
      ? [{ name: 'master-1', address: '10.0.0.11', roles: ['control-plane', 'worker'] }]
      : nodes
    ).map(node => `  - ${flow(node)}`),
  ]
}

/** The section itself is a comment where none of its keys is set: an empty one is a mistake. */
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

/** In one line, whatever it is; YAML 1.1 quotes more than 1.2, so that both read the same. */
function flow(value: unknown): string {
  return stringify(value, {
    collectionStyle: 'flow',
    lineWidth: 0,
    version: '1.1',
    flowCollectionPadding: false,
    aliasDuplicateObjects: false,
  }).trim()
}
