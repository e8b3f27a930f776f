import { cpuPerGiB, type Loaded, load } from './load.ts'
import { median } from './measure.ts'
import type { Server } from './servers.ts'

/** The same load on two servers: measurement `i` of both is a pair. */
export interface Compared {
  ours: Loaded[]
  peer: Loaded[]
  against: string
}

/** Runs the same load on every server in turn, `times` times. */
export async function compare(
  servers: { ours: Server; peers: readonly Server[] },
  options: { times: number; args: (server: Server) => readonly string[] },
): Promise<Compared[]> {
  const all = [servers.ours, ...servers.peers]
  const loaded = all.map((): Loaded[] => [])
  for (let i = 0; i < options.times; i++)
    for (const [at, server] of all.entries()) loaded[at]!.push(await load(server, options.args(server)))
  return servers.peers.map((peer, at) => ({ ours: loaded[0]!, peer: loaded[at + 1]!, against: peer.name }))
}

type Figure = (loaded: Loaded) => number

/** Returns the median of ours divided by the peer's, pair by pair. */
export function ratioOf({ ours, peer }: Compared, figure: Figure): number {
  return median(ours.map((loaded, i) => figure(loaded) / figure(peer[i]!)))
}

/** Returns both medians. */
export function both({ ours, peer }: Compared, figure: Figure): readonly [number, number] {
  return [median(ours.map(figure)), median(peer.map(figure))]
}

export function cpuOf(compared: Compared): readonly [number, number] {
  return both(compared, cpuPerGiB)
}

/** Returns both peaks, in bytes. */
export function memoryOf({ ours, peer }: Compared): readonly [number, number] {
  const peak = (all: Loaded[]) => Math.max(...all.map(one => one.serverMemory))
  return [peak(ours), peak(peer)]
}

export function throughput({ bytes, seconds }: Loaded): string {
  return `${Math.round(bytes / seconds / 2 ** 20)} MiB/s`
}

/** Returns the measurement with the median time. */
export function middle(all: readonly Loaded[]): Loaded {
  return all.toSorted((a, b) => a.seconds - b.seconds)[Math.floor(all.length / 2)]!
}
