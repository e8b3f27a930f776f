import { readdir, readFile } from 'node:fs/promises'

/** What several processes use together. */
export interface ProcessUsage {
  /** since they were started; ended children that this process has waited for are included, so that it never falls */
  cpuSeconds: number
  /** resident memory, bytes; what they share counts for each of them */
  residentBytes: number
  openFiles: number
}

/** Ticks per second in /proc: USER_HZ, which is 100 on all platforms with a bundle (time(7)). */
const ticksPerSecond = 100

/** Returns the usage of this process and of `children`; a process that has ended meanwhile counts as part of this one. Sources: proc(5). */
export async function processUsage(children: readonly number[]): Promise<ProcessUsage> {
  const all = await Promise.all([
    usageOf('self', { withChildren: true }),
    ...children.map(pid => usageOf(String(pid), { withChildren: false })),
  ])
  return {
    cpuSeconds: sum(all.map(({ cpuSeconds }) => cpuSeconds)),
    residentBytes: sum(all.map(({ residentBytes }) => residentBytes)),
    openFiles: sum(all.map(({ openFiles }) => openFiles)),
  }
}

async function usageOf(process: string, { withChildren }: { withChildren: boolean }): Promise<ProcessUsage> {
  const [stat, status, files] = await Promise.all([
    readFile(`/proc/${process}/stat`, 'latin1').catch(() => ''),
    readFile(`/proc/${process}/status`, 'latin1').catch(() => ''),
    readdir(`/proc/${process}/fd`).catch(() => []),
  ])
  // the name in parentheses may contain spaces and parentheses; the state is field 3
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, withChildren ? 15 : 13).map(Number)
  const kilobytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0)
  return {
    cpuSeconds: stat === '' ? 0 : sum(ticks) / ticksPerSecond,
    residentBytes: kilobytes * 1024,
    openFiles: files.length,
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}
