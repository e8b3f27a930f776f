import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../run.ts'

/**
 * A closed network of a site's host and its nodes: one network namespace for each, connected by a bridge in another one, and nothing
 * else. Each host's default routes (IPv4 and IPv6) lead to that bridge, which counts and refuses every packet: an attempt to leave is seen
 * on the host, and counted where no program of the host can change the count. The DNS server is an address outside, so that every lookup
 * counts as an attempt, too. Needs root.
 */
export interface ClosedNetwork {
  site: NetworkHost
  /** the first of the nodes */
  node: NetworkHost
  nodes: NetworkHost[]
  /** packets of all hosts and both protocols that tried to leave; must stay 0 on a closed site */
  escapeAttempts(): Promise<number>
  /** those of them that came from addresses of pods */
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

/** the bridge's own addresses */
const gateway = { v4: '10.77.0.254', v6: 'fd77::fe' }
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
    for (const line of router(pods)) await onBridge(line)
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
    for (const [i, host] of hosts.entries()) await configure(host, addresses[i]!)
  } catch (error) {
    await close()
    throw error
  }
  const [site, ...nodes] = hosts as [NetworkHost, NetworkHost, ...NetworkHost[]]
  return {
    site,
    node: nodes[0] as NetworkHost,
    nodes,
    escapeAttempts: () => attempts(bridge, () => true),
    podEscapeAttempts: () => attempts(bridge, source => source === pods),
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

/** Commands that make the bridge and the router behind it, which forwards nothing. */
function router(pods: string | undefined): string[] {
  // -o: where bridged frames pass through iptables, too (br_netfilter), those between hosts are not counted
  const refused = (program: string, from = '') => `${program} -w -A FORWARD${from} -o out -j REJECT`
  return [
    'ip link add bridge type bridge',
    // a route to somewhere: without one the kernel refuses a packet before it reaches the rules
    'ip link add out type veth peer name nowhere',
    'sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1',
    // every sender is answered at once; senders behind a node (pods) are accepted
    'sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0',
    'sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.bridge.rp_filter=0 net.ipv4.conf.all.send_redirects=0',
    'sysctl -qw net.ipv4.conf.bridge.send_redirects=0 net.ipv6.conf.bridge.accept_dad=0 net.ipv6.conf.out.accept_dad=0',
    'ip link set nowhere up',
    'ip link set out up',
    'ip link set bridge up',
    `ip address add ${gateway.v4}/24 dev bridge`,
    `ip address add ${gateway.v6}/64 dev bridge nodad`,
    'ip route add default dev out',
    'ip -6 route add default dev out',
    // no route of the host led to the pod: it has not tried to leave
    ...(pods === undefined
      ? []
      : [`iptables -w -A FORWARD -d ${pods} -o out -j DROP`, refused('iptables', ` -s ${pods}`)]),
    refused('iptables'),
    refused('ip6tables'),
  ]
}

async function configure(host: NetworkHost, own: Address): Promise<void> {
  const inside = (line: string) => run(host.inside(line.split(' ')))
  // forwards nothing, accepts no addresses or routes from others, waits for no duplicate address detection
  await inside('sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0')
  await inside('sysctl -qw net.ipv6.conf.eth0.accept_ra=0 net.ipv6.conf.eth0.accept_dad=0')
  await inside('ip link set lo up')
  await inside(`ip address add ${own.v4}/24 dev eth0`)
  await inside(`ip address add ${own.v6}/64 dev eth0 nodad`)
  await inside('ip link set eth0 up')
  await inside(`ip route add default via ${gateway.v4}`)
  await inside(`ip -6 route add default via ${gateway.v6}`)
}

/** Packets that the bridge refused, of the sources (networks) that `counts` chooses. */
async function attempts(bridge: NetworkHost, counts: (source: string) => boolean): Promise<number> {
  let total = 0
  for (const program of ['iptables', 'ip6tables']) {
    const list = await run(bridge.inside([program, '-w', '-S', 'FORWARD', '-v']))
    for (const line of list.split('\n')) {
      const packets = /-j REJECT\b.* -c (\d+)|-c (\d+) .*-j REJECT\b/.exec(line)
      const source = /-s (\S+)/.exec(line)?.[1] ?? ''
      if (packets !== null && counts(source)) total += Number(packets[1] ?? packets[2])
    }
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
