import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { AirgapError } from '../../../src/core/errors.ts'
import { networkPrograms, openClosedNetwork } from '../machines/closed-network.ts'
import { type EgressWatch, watchEgress, watchPrograms } from '../machines/egress-watch.ts'
import { type InstallSite, openInstallSite, siteFolder } from '../machines/install-site.ts'
import { debianSshRoot, type SshNode, sshNodePrograms } from '../machines/ssh-node.ts'
import { cacheFolder } from '../places.ts'
import { programPath, requirePrograms } from '../run.ts'
import { clusterPrograms } from './cluster-downloads.ts'
import { buildRehearsalBundle } from './stack-bundle.ts'
import { stackPrograms } from './stack-upstream.ts'

/** See scripts/cluster-rehearsal. */

const machines = ['master-1', 'gpu-1', 'gpu-2']
const podNetwork = '10.233.64.0/18'
const serviceNetwork = '10.233.0.0/18'
const kubectl = ['/opt/site/tools/bin/kubectl', '--kubeconfig', '/opt/site/kubeconfig']
const started = performance.now()
const say = (text: string) =>
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${text}`)

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      charts: { type: 'string' },
      kubespray: { type: 'string' },
      shell: { type: 'boolean', default: false },
    },
  })
  if (values.kubespray === undefined) {
    throw new AirgapError('USAGE', '--kubespray is required', {
      next: 'scripts/cluster-rehearsal --kubespray FOLDER (an unpacked v2.24.1) [--charts FOLDER]',
    })
  }
  requirePrograms(
    [...stackPrograms, ...clusterPrograms, ...networkPrograms, ...watchPrograms, ...sshNodePrograms],
    '--with-clients --with-tools --with-stack --with-cluster --with-nodes',
  )
  await using resources = new AsyncDisposableStack()
  const work = await mkdtemp(join(tmpdir(), 'airgap-cluster-'))
  resources.defer(() => rm(work, { recursive: true, force: true }))
  const bundle = await buildRehearsalBundle({
    work,
    resources,
    cluster: true,
    charts: values.charts,
    kubespray: resolve(values.kubespray),
  })
  say('the bundle of the whole stack')
  const network = resources.use(await openClosedNetwork({ nodes: machines.length, pods: podNetwork }))
  const hosts = Object.fromEntries(machines.map((name, i) => [name, network.nodes[i]!]))
  const watch = resources.use(
    await watchEgress({ deploy: network.site, ...hosts }, [podNetwork, serviceNetwork]),
  )
  const site = await openInstallSite({
    work,
    machines,
    resources,
    network,
    bundle: bundle.path,
    rootTar: await debianSshRoot(cacheFolder),
    systemdTar: await debianSshRoot(cacheFolder, { systemd: true }),
  })
  for (const [i, node] of site.nodes.entries()) await prepare(node, i, site)
  await site.writeSiteFile(siteFile(site, bundle.checksums))
  say('a site: the deployment host, and three machines with systemd')
  try {
    await deploy(site, ['apply', '--yes', '--skip', 'app'])
    await deploy(site, ['status'])
    say(await site.control.chroot([...kubectl, 'get', 'nodes,pods', '-A', '-o', 'wide']))
    await deploy(site, ['apply', '--yes', '--skip', 'app'])
    // upgrade to the same bundle: saves the current state, etcd included, and has nothing else to do
    await deploy(site, ['upgrade', '--yes', '--skip', 'app'])
    await aWhile(site)
    await showWhatLeft(site, watch)
  } finally {
    if (values.shell) {
      say(
        `look: ${site.control.inside(['bash']).join(' ')}\n${site.nodes.map(n => n.inside(['bash']).join(' ')).join('\n')}`,
      )
      await new Promise<void>(done => process.once('SIGINT', () => done()))
    }
  }
  await deploy(site, ['reset', '--yes', '--confirm', 'prod'])
}

/** Asks a DNS server (first argument) for a name, and prints the code of its answer: 0 found, 2 SERVFAIL, 3 no such name. */
const dnsQuery = String.raw`
import socket, struct, sys
server, name = sys.argv[1:]
question = b''.join(bytes([len(part)]) + part.encode() for part in name.split('.') if part) + b'\0' + struct.pack('!HH', 1, 1)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
    asked.settimeout(10)
    asked.sendto(struct.pack('!6H', 4242, 0x100, 1, 0, 0, 0) + question, (server, 53))
    print(asked.recv(1500)[3] & 15)
`

/** The DNS of the cluster is asked for a foreign name; then pods and programs of the nodes work on their own. */
async function aWhile({ control, nodes }: InstallSite): Promise<void> {
  const service = ['get', 'service', 'coredns', '-n', 'kube-system', '-o', 'jsonpath={.spec.clusterIP}']
  const server = (await control.chroot([...kubectl, ...service])).trim()
  for (const name of ['kubernetes.default.svc.cluster.local', 'registry.example.com', '.']) {
    const asked = performance.now()
    const code = await nodes[1]!.chroot(['python3', '-c', dnsQuery, server, name])
    say(`DNS of the cluster, ${name}: code ${code.trim()}, ${Math.round(performance.now() - asked)} ms`)
  }
  await new Promise(done => setTimeout(done, 120_000))
}

/** Fails the rehearsal if anything tried to leave. */
async function showWhatLeft({ control, network }: InstallSite, watch: EgressWatch): Promise<void> {
  const all = await network.escapeAttempts()
  say(`packets that tried to leave: ${all}, of these ${await network.podEscapeAttempts()} of pods`)
  const pods = JSON.parse(await control.chroot([...kubectl, 'get', 'pods', '-A', '-o', 'json']))
  for (const one of await watch.report(pods)) {
    const sender = [one.node, one.pod ?? '', one.process ?? '(ended)'].filter(Boolean).join(' ')
    say(
      `  ${sender} → ${one.protocol} ${one.destination}:${one.port}, ${one.packets} packets ${one.queries.join(' ')}`,
    )
  }
  if (all > 0) process.exitCode = 1
}

/** Adds what a real machine has by default, and a bridge network in place of Calico. */
async function prepare(node: SshNode, index: number, site: InstallSite): Promise<void> {
  await copyFile(await programPath('runc'), join(node.root, 'usr/sbin/runc'))
  const subnet = (i: number) => `10.233.${64 + i}.0/24`
  const folder = join(node.root, 'etc/cni/net.d')
  await mkdir(folder, { recursive: true })
  const bridge = {
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    hairpinMode: true,
    ipam: {
      type: 'host-local',
      ranges: [[{ subnet: subnet(index) }]],
      routes: [{ dst: '0.0.0.0/0' }],
    },
  }
  const portmap = { type: 'portmap', capabilities: { portMappings: true } }
  await writeFile(
    join(folder, '10-rehearsal.conflist'),
    JSON.stringify({ cniVersion: '0.4.0', name: 'rehearsal', plugins: [bridge, portmap] }),
  )
  for (const [i, other] of site.nodes.entries())
    if (i !== index) await node.chroot(['ip', 'route', 'add', subnet(i), 'via', other.address])
}

function siteFile(site: InstallSite, checksums: Record<string, string>) {
  const node = (name: string, ...roles: string[]) => ({
    name,
    roles,
    address: site.nodes[machines.indexOf(name)]!.address,
  })
  return {
    apiVersion: 'airgap-site/v1',
    externalIP: site.nodes[0]!.address,
    // the host's kernel may not support NFS exports
    nfs: { server: 'master-1' },
    switches: { nfs: false },
    ssh: { user: 'astrago', privateKey: '/root/.ssh/id_ed25519' },
    nodes: [
      node('master-1', 'control-plane', 'worker', 'nfs'),
      node('gpu-1', 'worker', 'gpu'),
      node('gpu-2', 'worker', 'gpu'),
    ],
    kubespray: {
      ...checksums,
      kube_pods_subnet: podNetwork,
      // disabled, because this host's kernel or images lack them
      kube_network_plugin: 'cni',
      kube_proxy_mode: 'iptables',
      enable_nodelocaldns: false,
      enable_dns_autoscaler: false,
      loadbalancer_apiserver_localhost: false,
      // a node's disk is the host's, which may be nearly full
      eviction_hard: { 'nodefs.available': '1%', 'imagefs.available': '1%' },
      kubelet_config_extra_args: { imageGCHighThresholdPercent: 99, imageGCLowThresholdPercent: 98 },
      // the connection table is the host's; a node must not resize it
      kube_proxy_conntrack_max_per_core: 0,
      kube_proxy_conntrack_min: 0,
    },
  }
}

async function deploy(site: InstallSite, args: readonly string[]): Promise<void> {
  say(`$ offline-deploy ${args.join(' ')}`)
  const address = args[0] === 'reset' ? [] : ['--address', site.network.site.address]
  const common = ['--bundle', '/media/usb/astrago.tar', '--site', siteFolder, ...address]
  const ran = await site.deploy([...args, ...common], { onLine: line => say(`  ${line.slice(0, 300)}`) })
  if (ran.code !== 0)
    throw new AirgapError('STEP_FAILED', `offline-deploy ended with ${ran.code}`, { item: args.join(' ') })
}

try {
  await main()
} catch (error) {
  if (!(error instanceof AirgapError)) throw error
  console.error(
    `error ${error.code}: ${error.message}\n  item: ${error.item ?? ''}\n  next: ${error.next ?? ''}`,
  )
  process.exitCode = error.exitCode
}
