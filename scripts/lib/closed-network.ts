import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run, withSbin } from './run.ts'

/**
 * A closed network of two hosts: namespaces `site` and `node`, joined by a veth pair, with nothing else. Each has a default
 * route into the other, which forwards nothing: an attempt to leave becomes a packet, is counted, and is dropped. DNS points at an
 * address outside, so every look-up is an attempt too. Root only.
 */
export interface ClosedNetwork {
  site: NetworkHost
  node: NetworkHost
  /** packets that tried to leave, of both hosts; 0 is what a closed site must see */
  escapeAttempts(): Promise<number>
  close(): Promise<void>
}

export interface NetworkHost {
  namespace: string
  address: string
  /** a command line that runs in the namespace */
  inside(command: string[]): string[]
}

const subnet = '10.77.0.0/24'
const outside = '192.0.2.1'

export async function openClosedNetwork(): Promise<ClosedNetwork> {
  const id = `airgap${process.pid}`
  const site = host(`${id}s`, '10.77.0.1')
  const node = host(`${id}n`, '10.77.0.2')
  const close = async () => {
    for (const { namespace } of [site, node]) await closeNamespace(namespace)
  }
  try {
    for (const { namespace } of [site, node]) {
      await ip(['netns', 'add', namespace])
      await mkdir(join('/etc/netns', namespace), { recursive: true })
      await writeFile(
        join('/etc/netns', namespace, 'resolv.conf'),
        `nameserver ${outside}\noptions timeout:1 attempts:1\n`,
      )
    }
    await ip([
      'link',
      'add',
      'eth0',
      'netns',
      site.namespace,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      node.namespace,
    ])
    await configure(site, node)
    await configure(node, site)
  } catch (error) {
    await close()
    throw error
  }
  return { site, node, close, escapeAttempts: async () => (await countOf(site)) + (await countOf(node)) }
}

function host(namespace: string, address: string): NetworkHost {
  return { namespace, address, inside: command => ['ip', 'netns', 'exec', namespace, ...command] }
}

const ip = (args: string[]) => run(['ip', ...args], { env: withSbin() as Record<string, string> })

async function configure(own: NetworkHost, peer: NetworkHost): Promise<void> {
  const inside = (command: string[]) =>
    run(own.inside(command), { env: withSbin() as Record<string, string> })
  // IPv6 neighbour discovery would be counted as attempts
  await inside(['sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv4.ip_forward=0'])
  await inside(['ip', 'link', 'set', 'lo', 'up'])
  await inside(['ip', 'address', 'add', `${own.address}/24`, 'dev', 'eth0'])
  await inside(['ip', 'link', 'set', 'eth0', 'up'])
  await inside(['ip', 'route', 'add', 'default', 'via', peer.address])
  await inside(['iptables', '-A', 'OUTPUT', '!', '-o', 'lo', '!', '-d', subnet, '-j', 'DROP'])
}

/** Packets that the DROP rule of one host has met. */
async function countOf({ inside }: NetworkHost): Promise<number> {
  const list = await run(inside(['iptables', '-L', 'OUTPUT', '-v', '-n', '-x']), {
    env: withSbin() as Record<string, string>,
  })
  const packets = /^\s*(\d+)\s+\d+\s+DROP/m.exec(list)?.[1]
  if (packets === undefined) throw new Error('the rule that counts attempts to leave is gone')
  return Number(packets)
}

/** Ends every process of the namespace, then the namespace. Never throws: it also cleans up after failures. */
async function closeNamespace(namespace: string): Promise<void> {
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
