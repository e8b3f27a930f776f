import { readdirSync, readFileSync } from 'node:fs'

/** Figures of a process and all of its descendants, from proc(5). A process that has ended counts with the parent that waited for it. */

/** clock ticks per second; USER_HZ is 100 on every architecture of Linux that Node supports */
const ticks = 100

/** Returns the process and its descendants that are running. */
function tree(root: number): number[] {
  const found = [root]
  for (const pid of found) found.push(...childrenOf(pid))
  return found
}

/** A child is listed under the thread that started it. */
function childrenOf(pid: number): number[] {
  const tasks = list(`/proc/${pid}/task`)
  const children = tasks.flatMap(task => read(`/proc/${pid}/task/${task}/children`).split(' '))
  return children.filter(Boolean).map(Number)
}

/** A process can end at any time; then there is nothing to read. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/** Returns a field of a file of proc(5) that is in kB, in bytes. */
function kilobytes(text: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024
}

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0)

/** Returns the CPU seconds, user and system, that the tree has used so far. */
export function treeCpu(root: number): number {
  return sum(tree(root).map(cpuOf))
}

/** With the descendants that the process has waited for. */
function cpuOf(pid: number): number {
  const text = read(`/proc/${pid}/stat`)
  // the program's name, in parentheses, may contain spaces and parentheses
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return sum(fields.slice(11, 15).map(Number)) / ticks
}

/** Returns the tree's memory in bytes: proportional set sizes, so that what processes share counts once. */
export function treeMemory(root: number): number {
  return sum(tree(root).map(pid => kilobytes(read(`/proc/${pid}/smaps_rollup`), 'Pss')))
}

/** Returns the sum of the peaks of the root's descendants that are running, in bytes. */
export function descendantsPeak(root: number): number {
  const pids = tree(root).filter(pid => pid !== root)
  return sum(pids.map(pid => kilobytes(read(`/proc/${pid}/status`), 'VmHWM')))
}

/** Samples the tree's memory until `stop`, which returns the largest sample in bytes. */
export function watchMemory(root: number, everyMs = 100): { stop(): number } {
  let peak = treeMemory(root)
  const sample = () => {
    peak = Math.max(peak, treeMemory(root))
  }
  const timer = setInterval(sample, everyMs)
  return {
    stop() {
      clearInterval(timer)
      sample()
      return peak
    },
  }
}
