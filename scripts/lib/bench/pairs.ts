import { type Measured, median } from './measure.ts'
import { atMost, type BenchRow, formatSeconds, informative } from './rows.ts'

/** The same work by ours and by a peer: measurement `i` of both is a pair. */
export interface Pairs {
  ours: readonly Measured[]
  peer: readonly Measured[]
}

/** The row of their times, with CPU seconds and peak memory. Without a limit it is only for information. */
export function timeRow(
  { what, against, limit }: { what: string; against: string; limit?: number },
  { ours, peer }: Pairs,
): BenchRow {
  const both = (figure: (one: Measured) => number) =>
    [median(ours.map(figure)), median(peer.map(figure))] as const
  const peak = (all: readonly Measured[]) => Math.max(...all.map(one => one.memory))
  const [seconds, theirs] = both(one => one.seconds)
  const value = median(ours.map((one, i) => one.seconds / peer[i]!.seconds))
  return {
    what,
    against,
    ours: formatSeconds(seconds),
    peer: formatSeconds(theirs),
    value,
    cpu: both(one => one.cpuSeconds),
    memory: [peak(ours), peak(peer)],
    ...(limit === undefined ? informative : atMost(limit, value)),
  }
}

/** The row of the names that both selected: all of them, or the goal is missed. */
export function agreementRow(
  { what, against }: { what: string; against: string },
  { ours, peer }: { ours: Iterable<string>; peer: Iterable<string> },
): BenchRow {
  const [mine, theirs] = [new Set(ours), new Set(peer)]
  const value = [...mine].filter(one => theirs.has(one)).length / new Set([...mine, ...theirs]).size
  return {
    what,
    against,
    ours: String(mine.size),
    peer: String(theirs.size),
    value,
    goal: '1',
    good: value === 1,
  }
}
