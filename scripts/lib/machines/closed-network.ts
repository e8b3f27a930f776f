import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError } from '../../../src/core/errors.ts'
import { run } from '../run.ts'

/**
 * A closed network of a site's host and its nodes: one network namespace for each, connected by a bridge in another one, and nothing
 * else. Each host's default routes (IPv4 and IPv6) lead to another host, which forwards nothing: an attempt to leave becomes a packet
 * that is counted and dropped. The DNS server is an address outside, so that every lookup counts as an attempt, too. Needs root.
 */
export interface ClosedNetwork {
  site: NetworkHost
  /** the first of the nodes */
  node: NetworkHost
  nodes: NetworkHost[]
  /** packets of all hosts and both protocols that tried to leave; must stay 0 on a closed site */
  escapeAttempts(): Promise<number>
  /** packets of pods that tried to leave; their nodes forward them */
  podEscapeAttempts(): Promise<number>
  /** Ends every process in the network and removes it. Never throws; may be called again. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface NetworkHost {
  namespace: string
  /** IPv4 */
  address: string
  /** resolv.conf of the host */
  resolvConf: string
  /** wraps a command line so that it runs on the host, with the host's /sys and resolv.conf: ip-netns(8) */
  inside(command: readonly string[]): string[]
  /** bytes received from other hosts */
  received(): Promise<number>
}

/** Programs that `openClosedNetwork` needs. */
export const networkPrograms = ['ip', 'iptables', 'ip6tables', 'sysctl'] as const

const subnet = { v4: '10.77.0.0/24', v6: 'fd77::/64' }
/** RFC 5737: reserved for documentation */
const outside = '192.0.2.1'

interface Address {
  v4: string
  v6: string
}

/** `pods`: IPv4 network of pods behind the nodes, which counts as inside. */
export async function openClosedNetwork({
  nodes: count = 1,
  pods,
}: {
  nodes?: number
  pods?: string | undefined
} = {}): Promise<ClosedNetwork> {
  const id = `airgap-${randomBytes(4).toString('hex')}`
  const names = ['site', ...Array.from({ length: count }, (_, i) => (i === 0 ? 'node' : `node${i + 1}`))]
  const addresses = names.map((_, i): Address => ({ v4: `10.77.0.${i + 1}`, v6: `fd77::${i + 1}` }))
  const hosts = names.map((name, i) => networkHost(`${id}-${name}`, addresses[i]!.v4))
  const bridge = networkHost(`${id}-switch`, '')
  const close = async () => {
    for (const host of [...hosts.toReversed(), bridge]) await closeNamespace(host)
  }
  try {
    for (const host of [bridge, ...hosts]) await createNamespace(host)
    const onBridge = (line: string) => run(bridge.inside(line.split(' ')))
    await onBridge('ip link add bridge type bridge')
    await onBridge('sysctl -qw net.ipv6.conf.all.disable_ipv6=1')
    await onBridge('ip link set bridge up')
    for (const [i, host] of hosts.entries()) {
      const port = `port${i}`
      await ip([
        'link',
        'add',
        'eth0',
        'netns',
        host.namespace,
        'type',
        'veth',
        'peer',
        'name',
        port,
        'netns',
        bridge.namespace,
      ])
      await onBridge(`ip link set ${port} master bridge up`)
    }
    for (const [i, host] of hosts.entries()) {
      const peer = addresses[(i + 1) % hosts.length]!
      await configure(host, { own: addresses[i]!, peer, pods })
    }
  } catch (error) {
    await close()
    throw error
  }
  const [site, ...nodes] = hosts as [NetworkHost, NetworkHost, ...NetworkHost[]]
  return {
    site,
    node: nodes[0] as NetworkHost,
    nodes,
    escapeAttempts: () => attempts(hosts, 'OUTPUT'),
    podEscapeAttempts: () => attempts(hosts, 'FORWARD'),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function networkHost(namespace: string, address: string): NetworkHost {
  const inside = (command: readonly string[]) => ['ip', 'netns', 'exec', namespace, ...command]
  return {
    namespace,
    address,
    resolvConf: join('/etc/netns', namespace, 'resolv.conf'),
    inside,
    received: async () => Number(await run(inside(['cat', '/sys/class/net/eth0/statistics/rx_bytes']))),
  }
}

const ip = (args: string[]) => run(['ip', ...args])

async function createNamespace(host: NetworkHost): Promise<void> {
  await ip(['netns', 'add', host.namespace])
  await mkdir(join('/etc/netns', host.namespace), { recursive: true })
  await writeFile(host.resolvConf, `nameserver ${outside}\noptions timeout:1 attempts:1\n`)
}

async function configure(
  host: NetworkHost,
  { own, peer, pods }: { own: Address; peer: Address; pods: string | undefined },
): Promise<void> {
  const inside = (line: string) => run(host.inside(line.split(' ')))
  // forwards nothing, accepts no addresses or routes from others, waits for no duplicate address detection
  await inside('sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0')
  await inside('sysctl -qw net.ipv6.conf.eth0.accept_ra=0 net.ipv6.conf.eth0.accept_dad=0')
  await inside('ip link set lo up')
  await inside(`ip address add ${own.v4}/24 dev eth0`)
  await inside(`ip address add ${own.v6}/64 dev eth0 nodad`)
  await inside('ip link set eth0 up')
  await inside(`ip route add default via ${peer.v4}`)
  await inside(`ip -6 route add default via ${peer.v6}`)
  for (const near of [subnet.v4, ...(pods === undefined ? [] : [pods])])
    for (const chain of ['OUTPUT ! -o lo', 'FORWARD'])
      await inside(`iptables -w -A ${chain} -d ${near} -j ACCEPT`)
  // link-local and multicast packets do not leave a link: neighbour discovery is not an attempt to leave
  for (const near of ['fe80::/10', 'ff00::/8', subnet.v6])
    await inside(`ip6tables -w -A OUTPUT ! -o lo -d ${near} -j ACCEPT`)
  for (const program of ['iptables', 'ip6tables'])
    for (const chain of ['OUTPUT ! -o lo', 'FORWARD']) await inside(`${program} -w -A ${chain} -j DROP`)
}

/** Packets counted by the DROP rules of the hosts. */
async function attempts(hosts: readonly NetworkHost[], chain: 'OUTPUT' | 'FORWARD'): Promise<number> {
  const found = await Promise.all(hosts.map(host => attemptsOf(host, chain)))
  return found.reduce((sum, one) => sum + one, 0)
}

async function attemptsOf({ namespace, inside }: NetworkHost, chain: string): Promise<number> {
  let total = 0
  for (const program of ['iptables', 'ip6tables']) {
    const list = await run(inside([program, '-w', '-L', chain, '-v', '-n', '-x']))
    const packets = /^\s*(\d+)\s+\d+\s+DROP/m.exec(list)?.[1]
    if (packets === undefined) {
      throw new AirgapError('STEP_FAILED', 'the rule that counts attempts to leave has been removed', {
        item: `${program} in ${namespace}`,
        likely: 'another program changed the firewall of the namespace',
        next: 'run it again',
      })
    }
    total += Number(packets)
  }
  return total
}

async function closeNamespace({ namespace }: NetworkHost): Promise<void> {
  const pids = await ip(['netns', 'pids', namespace]).catch(() => '')
  for (const pid of pids.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // it has already ended
    }
  }
  await ip(['netns', 'delete', namespace]).catch(() => '')
  await rm(join('/etc/netns', namespace), { recursive: true, force: true })
}
