import { isMap, parseDocument, stringify } from 'yaml'

/** What `offline-deploy init` is told of a site; every part may be left out. */
export interface SiteAnswers {
  environment?: string
  externalIP?: string
  nfs?: { server: string; path?: string }
  ssh?: {
    user?: string
    port?: number
    privateKey?: string
    password?: boolean
    sudo?: 'passwordless' | 'password'
  }
  nodes: readonly { name: string; address: string; roles: readonly string[]; user?: string; port?: number }[]
  versions?: { kubernetes?: string }
}

/** A first site.yaml: what is known, and every other key explained in a comment. */
export function starterSite(answers: SiteAnswers): string {
  const { environment = 'prod', externalIP, nfs, ssh, nodes, versions } = answers
  const example = nodes.length === 0
  const line = (key: string, value: unknown, instead: string) =>
    value === undefined ? `# ${key}: ${instead}` : `${key}: ${flow(value)}`
  return [
    '# What is different at this site. `offline-deploy plan` says what follows from it; `apply` may be run again after every change.',
    'apiVersion: airgap-site/v1',
    '',
    '# environments/NAME of the deployment tree',
    `environment: ${flow(environment)}`,
    '',
    '# where users reach the platform: a machine, or a load balancer before them',
    line('externalIP', externalIP, '10.0.0.100'),
    '',
    '# the volumes: a machine with the role nfs, or a server that the site has already (networks: who may mount it)',
    line('nfs', nfs, '{server: 10.0.0.11, path: /nfs-data/astrago}'),
    '',
    '# how machines are reached. password: true and sudo: password ask on the terminal, or take OFFLINE_DEPLOY_SSH_PASSWORD and',
    '# OFFLINE_DEPLOY_SUDO_PASSWORD; no password ever stands here',
    line(
      'ssh',
      ssh,
      '{user: root, port: 22, privateKey: /root/.ssh/id_ed25519, password: false, sudo: passwordless}',
    ),
    '',
    '# control-plane: 1, 3 or 5 of them; worker: runs pods; gpu: a worker with NVIDIA GPUs; nfs: exports the volumes',
    ...(example
      ? [
          'nodes:',
          '  - {name: master-1, address: 10.0.0.11, roles: [control-plane, worker]}',
          '#  - {name: gpu-1, address: 10.0.0.21, roles: [worker, gpu], user: ubuntu, port: 22}',
        ]
      : ['nodes:', ...nodes.map(node => `  - ${flow(node)}`)]),
    '',
    '# leave it out for what the bundle brings',
    line('versions', versions, '{kubernetes: v1.28.6}'),
    '# a cluster that is there already, with switches: {kubernetes: false}',
    '# kubeconfig: /root/.kube/config',
    '# false: left out',
    '# switches: {kubernetes: true, gpuDriver: true, nfs: true, applications: {harbor: true}}',
    '# variables of kubespray, before its own: kubespray: {kube_network_plugin_mtu: 1450}',
    '# put into environments/NAME/values.yaml: values: {keycloak: {servicePort: 30001}}',
    '',
  ].join('\n')
}

function flow(value: unknown): string {
  return stringify(value, {
    collectionStyle: 'flow',
    lineWidth: 0,
    version: '1.1',
    flowCollectionPadding: false,
  }).trim()
}

/** The text with a machine more; comments and order stay. */
export function withNode(text: string, node: SiteAnswers['nodes'][number]): string {
  const document = parseDocument(text)
  const added = document.createNode(node)
  if (isMap(added)) added.flow = true
  document.addIn(['nodes'], added)
  return document.toString({ lineWidth: 0, flowCollectionPadding: false })
}

/** The text without the machine at this place. */
export function withoutNode(text: string, index: number): string {
  const document = parseDocument(text)
  document.deleteIn(['nodes', index])
  return document.toString({ lineWidth: 0, flowCollectionPadding: false })
}
