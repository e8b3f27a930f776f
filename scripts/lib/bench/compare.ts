import { cpuPerGiB, type Loaded, load } from './load.ts'
import { median } from './measure.ts'
import type { BenchTable } from './rows.ts'
import type { Server } from './servers.ts'

/** The same load on two servers: measurement `i` of both is a pair. */
export interface Compared {
  ours: Loaded[]
  peer: Loaded[]
  against: string
}

/**
 * Runs the same load on every server in turn, `times` times. A peer whose answers break off (zot ends each after a minute) is named as left
 * out; where ours do, it throws.
 */
export async function compare(
  servers: { ours: Server; peers: readonly Server[] },
  options: { times: number; args: (server: Server) => readonly string[]; table: BenchTable },
): Promise<Compared[]> {
  const ours: Loaded[] = []
  const theirs = new Map(servers.peers.map(peer => [peer, [] as Loaded[]]))
  for (let i = 0; i < options.times; i++) {
    ours.push(await load(servers.ours, options.args(servers.ours)))
    for (const [peer, loaded] of theirs) {
      try {
        loaded.push(await load(peer, options.args(peer)))
      } catch (error) {
        theirs.delete(peer)
        options.table.leaveOut(peer.name, error instanceof Error ? error.message : String(error))
      }
    }
  }
  return [...theirs].map(([{ name }, peer]) => ({ ours, peer, against: name }))
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
