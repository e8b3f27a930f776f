import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError } from '../../src/core/errors.ts'
import { run } from './run.ts'

/**
 * A closed network of two hosts: namespaces `site` and `node`, joined by a veth pair, with nothing else. Each has default
 * routes (IPv4 and IPv6) into the other, which forwards nothing: an attempt to leave becomes a packet, is counted, and is
 * dropped. DNS points at an address outside, so that every look-up is an attempt too. Root only.
 */
export interface ClosedNetwork {
  site: NetworkHost
  node: NetworkHost
  /** packets that tried to leave, of both hosts and both protocols; 0 is what a closed site must see */
  escapeAttempts(): Promise<number>
  /** Ends every process in it and takes it away. Never throws; may be called again. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface NetworkHost {
  namespace: string
  /** IPv4 */
  address: string
  /** resolv.conf of the host */
  resolvConf: string
  /** a command line that runs on the host, which sees its own /sys and resolv.conf: ip-netns(8) */
  inside(command: readonly string[]): string[]
  /** bytes that came in from the other host */
  received(): Promise<number>
}

/** What `openClosedNetwork` needs. */
export const networkPrograms = ['ip', 'iptables', 'ip6tables', 'sysctl'] as const

const subnet = { v4: '10.77.0.0/24', v6: 'fd77::/64' }
/** RFC 5737: documentation, nobody's */
const outside = '192.0.2.1'

interface Address {
  v4: string
  v6: string
}

export async function openClosedNetwork(): Promise<ClosedNetwork> {
  const id = `airgap-${randomBytes(4).toString('hex')}`
  const addresses: Record<'site' | 'node', Address> = {
    site: { v4: '10.77.0.1', v6: 'fd77::1' },
    node: { v4: '10.77.0.2', v6: 'fd77::2' },
  }
  const site = networkHost(`${id}-site`, addresses.site.v4)
  const node = networkHost(`${id}-node`, addresses.node.v4)
  const close = async () => {
    for (const host of [node, site]) await closeNamespace(host)
  }
  try {
    for (const host of [site, node]) await createNamespace(host)
    const ends = [site.namespace, node.namespace].map(name => ['eth0', 'netns', name])
    await ip(['link', 'add', ...ends[0]!, 'type', 'veth', 'peer', 'name', ...ends[1]!])
    await configure(site, { own: addresses.site, peer: addresses.node })
    await configure(node, { own: addresses.node, peer: addresses.site })
  } catch (error) {
    await close()
    throw error
  }
  return {
    site,
    node,
    escapeAttempts: async () => (await attemptsOf(site)) + (await attemptsOf(node)),
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

async function configure(host: NetworkHost, { own, peer }: { own: Address; peer: Address }): Promise<void> {
  const inside = (line: string) => run(host.inside(line.split(' ')))
  // forwards nothing, takes no addresses or routes from anyone; no duplicate address detection to wait for
  await inside('sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0')
  await inside('sysctl -qw net.ipv6.conf.eth0.accept_ra=0 net.ipv6.conf.eth0.accept_dad=0')
  await inside('ip link set lo up')
  await inside(`ip address add ${own.v4}/24 dev eth0`)
  await inside(`ip address add ${own.v6}/64 dev eth0 nodad`)
  await inside('ip link set eth0 up')
  await inside(`ip route add default via ${peer.v4}`)
  await inside(`ip -6 route add default via ${peer.v6}`)
  const own4 = `iptables -w -A OUTPUT ! -o lo`
  await inside(`${own4} ! -d ${subnet.v4} -j DROP`)
  // link-local and multicast do not leave a link: neighbour discovery is no attempt
  for (const near of ['fe80::/10', 'ff00::/8', subnet.v6])
    await inside(`ip6tables -w -A OUTPUT ! -o lo -d ${near} -j ACCEPT`)
  await inside('ip6tables -w -A OUTPUT ! -o lo -j DROP')
}

/** Packets that the DROP rules of one host have met. */
async function attemptsOf({ namespace, inside }: NetworkHost): Promise<number> {
  let total = 0
  for (const program of ['iptables', 'ip6tables']) {
    const list = await run(inside([program, '-w', '-L', 'OUTPUT', '-v', '-n', '-x']))
    const packets = /^\s*(\d+)\s+\d+\s+DROP/m.exec(list)?.[1]
    if (packets === undefined) {
      throw new AirgapError('STEP_FAILED', 'the rule that counts attempts to leave is gone', {
        item: `${program} in ${namespace}`,
        likely: 'something else changed the firewall of the namespace',
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
      // it ended by itself
    }
  }
  await ip(['netns', 'delete', namespace]).catch(() => '')
  await rm(join('/etc/netns', namespace), { recursive: true, force: true })
}
