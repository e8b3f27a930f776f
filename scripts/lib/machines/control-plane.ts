import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { defined } from '../../../src/core/defined.ts'
import { AirgapError } from '../../../src/core/errors.ts'
import { run, withSbin } from '../run.ts'
import { ended } from './background-process.ts'

/**
 * A real Kubernetes control plane for tests of what is installed on a cluster: etcd, kube-apiserver, kube-controller-manager and
 * kube-scheduler. kwok simulates the kubelets: nodes and pods become ready, jobs complete, deleted objects vanish, and no container
 * runs. Volumes are simulated, too: each claim gets one. It ends with the process that opened it.
 */
export interface ControlPlane {
  /** the administrator's, mode 0600 */
  kubeconfig: string
  /** https://ADDRESS:PORT */
  server: string
  kubectl(args: readonly string[], input?: string): Promise<string>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Programs that `openControlPlane` needs; ./scripts/setup --with-cluster builds those that Debian does not package. */
export const controlPlanePrograms = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kwok',
  'kubectl',
  'openssl',
  'setpriv',
] as const

export interface ControlPlaneOptions {
  /** is created */
  folder: string
  nodes: readonly SimulatedNode[]
  /** address of the API server; by default 127.0.0.1, and then it listens on no other */
  address?: string
  /** wraps a command so that it runs elsewhere, in a network namespace for example */
  inside?: (command: readonly string[]) => string[]
}

const serviceRange = '10.96.0.0/16'

interface SimulatedNode {
  name: string
  labels?: Record<string, string>
  gpus?: number
}

export async function openControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { folder, nodes, address = '127.0.0.1', inside = command => [...command] } = options
  const children = new Map<string, ChildProcess>()
  const stopped = new AbortController()
  let volumes: Promise<void> | undefined
  const close = async () => {
    stopped.abort()
    await volumes
    for (const child of [...children.values()].toReversed()) await ended(child)
  }
  const start = (program: string, args: Record<string, string>) => {
    const log = openSync(join(folder, `${program}.log`), 'a')
    const flags = Object.entries(args).map(([name, value]) => `--${name}=${value}`)
    const [first, ...rest] = ['setpriv', '--pdeathsig', 'KILL', ...inside([program, ...flags])]
    const child = spawn(first!, rest, { stdio: ['ignore', log, log], env: withSbin() })
    // a program that cannot be started counts as ended
    child.on('error', () => undefined)
    children.set(program, child)
    closeSync(log)
  }
  const port = await freePorts(inside)
  const ports = { api: port(), etcd: port(), peer: port() }
  const server = `https://${address}:${ports.api}`
  const kubeconfig = join(folder, 'admin.conf')
  // its discovery cache must not mix servers
  const base = ['kubectl', '--kubeconfig', kubeconfig, '--cache-dir', join(folder, 'kubectl-cache')]
  const kubectl = (args: readonly string[], input?: string) =>
    run(inside([...base, ...args]), input === undefined ? {} : { input })
  /** repeats a kubectl command until it succeeds, as long as all programs run */
  const answered = async (what: string, args: readonly string[]) => {
    const end = performance.now() + 90_000
    for (;;) {
      const broken = [...children].find(
        ([, { exitCode, signalCode }]) => exitCode !== null || signalCode !== null,
      )
      if (broken !== undefined) throw await notRunning(folder, broken[0])
      const answer = await kubectl(args).catch(cause => {
        if (performance.now() > end)
          throw new AirgapError('STEP_FAILED', `the control plane did not get ${what}`, {
            item: folder,
            cause,
          })
      })
      if (answer !== undefined) return
      await sleep(200)
    }
  }
  await mkdir(folder, { recursive: true })
  try {
    await makeCertificates(folder, address)
    await writeFile(kubeconfig, await kubeconfigText(folder, server), { mode: 0o600 })
    // no kube-proxy runs: a request to a service is rejected at once, and does not leave the network
    if (options.inside !== undefined)
      await run(inside(['iptables', '-w', '-I', 'OUTPUT', '-d', serviceRange, '-j', 'REJECT']))
    const at = (name: string) => join(folder, name)
    const etcd = `http://127.0.0.1:${ports.etcd}`
    start('etcd', {
      'data-dir': at('etcd'),
      'unsafe-no-fsync': 'true',
      'listen-client-urls': etcd,
      'advertise-client-urls': etcd,
      'listen-peer-urls': `http://127.0.0.1:${ports.peer}`,
      'initial-advertise-peer-urls': `http://127.0.0.1:${ports.peer}`,
      'initial-cluster': `default=http://127.0.0.1:${ports.peer}`,
    })
    start('kube-apiserver', {
      'etcd-servers': etcd,
      'secure-port': `${ports.api}`,
      'bind-address': address === '127.0.0.1' ? address : '0.0.0.0',
      'advertise-address': address,
      'service-cluster-ip-range': serviceRange,
      'client-ca-file': at('ca.crt'),
      'tls-cert-file': at('server.crt'),
      'tls-private-key-file': at('server.key'),
      'service-account-issuer': 'https://kubernetes.default.svc',
      'authorization-mode': 'Node,RBAC',
      'allow-privileged': 'true',
      'service-account-key-file': at('accounts.pub'),
      'service-account-signing-key-file': at('accounts.key'),
    })
    await answered('an API server', ['get', '--raw', '/readyz'])
    start('kube-controller-manager', {
      kubeconfig,
      'secure-port': '0',
      'use-service-account-credentials': 'true',
      'service-account-private-key-file': at('accounts.key'),
      'root-ca-file': at('ca.crt'),
      'leader-elect': 'false',
    })
    start('kube-scheduler', { kubeconfig, 'secure-port': '0', 'leader-elect': 'false' })
    start('kwok', { kubeconfig, 'manage-all-nodes': 'true', 'node-lease-duration-seconds': '40' })
    await kubectl(
      ['apply', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: nodes.map(nodeObject) }),
    )
    await answered('ready nodes', ['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=5s'])
    // pods of a namespace need its service account
    await answered('service accounts', ['get', 'serviceaccount', 'default'])
    volumes = simulateVolumes(kubectl, stopped.signal)
  } catch (error) {
    await close()
    throw error
  }
  return { kubeconfig, server, kubectl, close, [Symbol.asyncDispose]: close }
}

/** In place of a provisioner: gives a volume to every pending claim. */
async function simulateVolumes(
  kubectl: (args: readonly string[], input?: string) => Promise<string>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const claims = await kubectl(['get', 'pvc', '--all-namespaces', '-o', 'json']).catch(() => '{"items":[]}')
    const pending = (JSON.parse(claims).items as Claim[]).filter(({ status }) => status?.phase === 'Pending')
    const items = pending.map(({ metadata, spec }) => ({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `simulated-${metadata.uid}` },
      spec: {
        capacity: spec.resources.requests,
        accessModes: spec.accessModes,
        hostPath: { path: '/simulated' },
        ...defined({ storageClassName: spec.storageClassName }),
        claimRef: { namespace: metadata.namespace, name: metadata.name },
      },
    }))
    if (items.length > 0)
      await kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items })).catch(
        () => '',
      )
    await sleep(1_000, undefined, { signal }).catch(() => {})
  }
}

interface Claim {
  metadata: { name: string; namespace: string; uid: string }
  spec: { resources: { requests: unknown }; accessModes: string[]; storageClassName?: string }
  status?: { phase?: string }
}

/**
 * Free ports in the network that `inside` leads to: below the ephemeral ports that the kernel gives to clients, and below the node
 * ports of services.
 */
async function freePorts(inside: (command: readonly string[]) => string[]): Promise<() => number> {
  const tables = await run(inside(['sh', '-c', 'cat /proc/net/tcp*']))
  const used = new Set(
    [...tables.matchAll(/^ *\d+: [\dA-F]+:([\dA-F]{4}) /gm)].map(row => parseInt(row[1]!, 16)),
  )
  return () => {
    for (;;) {
      const port = randomInt(20_000, 30_000)
      if (used.has(port)) continue
      used.add(port)
      return port
    }
  }
}

async function notRunning(folder: string, program: string): Promise<AirgapError> {
  const log = await readFile(join(folder, `${program}.log`), 'utf8')
  return new AirgapError('STEP_FAILED', `${program} does not run:\n${log.slice(-4000).trim()}`, {
    item: program,
    next: 'read its log, above',
  })
}

function nodeObject({ name, labels, gpus }: SimulatedNode) {
  const capacity = {
    cpu: '32',
    memory: '256Gi',
    pods: '110',
    'ephemeral-storage': '1Ti',
    ...(gpus === undefined ? {} : { 'nvidia.com/gpu': `${gpus}` }),
  }
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        ...labels,
      },
    },
    status: {
      capacity,
      allocatable: capacity,
      nodeInfo: {
        kubeletVersion: 'v1.28.6',
        kubeProxyVersion: 'v1.28.6',
        operatingSystem: 'linux',
        architecture: 'amd64',
        containerRuntimeVersion: 'containerd://1.7.13',
        osImage: 'simulated',
        machineID: name,
        systemUUID: name,
        bootID: name,
        kernelVersion: 'simulated',
      },
    },
  }
}

/** Makes a certificate authority, certificates of the server and the administrator, and the key of service accounts. */
async function makeCertificates(folder: string, address: string): Promise<void> {
  const openssl = (...args: string[]) => run(['openssl', ...args], { cwd: folder })
  const key = (name: string) =>
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', `${name}.key`)
  for (const name of ['ca', 'server', 'admin', 'accounts']) await key(name)
  await openssl('pkey', '-in', 'accounts.key', '-pubout', '-out', 'accounts.pub')
  await openssl(
    'req',
    '-x509',
    '-new',
    '-key',
    'ca.key',
    '-subj',
    '/CN=test-ca',
    '-days',
    '2',
    '-out',
    'ca.crt',
  )
  const names = `subjectAltName=IP:${address},IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc\n`
  await writeFile(join(folder, 'server.ext'), names)
  await writeFile(join(folder, 'admin.ext'), 'extendedKeyUsage=clientAuth\n')
  for (const [name, subject] of [
    ['server', '/CN=kube-apiserver'],
    ['admin', '/O=system:masters/CN=admin'],
  ] as const) {
    await openssl('req', '-new', '-key', `${name}.key`, '-subj', subject, '-out', `${name}.csr`)
    await openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.crt`,
    )
  }
}

async function kubeconfigText(folder: string, server: string): Promise<string> {
  const data = async (name: string) => (await run(['base64', '-w0', join(folder, name)])).trim()
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': await data('ca.crt') } }],
    users: [
      {
        name: 'admin',
        user: {
          'client-certificate-data': await data('admin.crt'),
          'client-key-data': await data('admin.key'),
        },
      },
    ],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
  })
}
