import { AirgapError } from '../../../src/core/errors.ts'
import { measure } from './measure.ts'
import { treeCpu, watchMemory } from './process-tree.ts'

/** What bench-load prints (`load/main.go`). Times of requests are milliseconds. */
export interface LoadReport {
  seconds: number
  /** of bench-load itself */
  cpuSeconds: number
  bytes: number
  requests: number
  failures: number
  failure?: string
  wholeMs: Quantiles
  firstByteMs: Quantiles
  clients: { seconds: number; bytes: number }[]
}

export interface Quantiles {
  p50: number
  p99: number
  max: number
}

export interface Loaded extends LoadReport {
  /** of all of the server's processes, during this load */
  serverCpu: number
  /** peak of all of the server's processes together, bytes */
  serverMemory: number
}

/** Runs bench-load with these arguments, and measures the server's processes meanwhile. Throws where a request failed. */
export async function load(server: { name: string; pid: number }, args: readonly string[]): Promise<Loaded> {
  const before = treeCpu(server.pid)
  const memory = watchMemory(server.pid)
  try {
    const { stdout } = await measure(['bench-load', ...args])
    const report: LoadReport = JSON.parse(stdout)
    const serverMemory = memory.stop()
    if (report.failures > 0) {
      throw new AirgapError('STEP_FAILED', `${report.failures} clients failed: ${report.failure}`, {
        item: server.name,
        next: 'run the benchmark again with AIRGAP_BENCH_VERBOSE=1, to read what the servers print',
      })
    }
    return { ...report, serverCpu: treeCpu(server.pid) - before, serverMemory }
  } finally {
    memory.stop()
  }
}

/** CPU seconds of the server for each GiB that it sent. */
export const cpuPerGiB = (loaded: Loaded) => loaded.serverCpu / (loaded.bytes / 2 ** 30)

/** Waits until a server uses no CPU, so that what it does at its start does not count. Gives up after a minute. */
export async function settled(pid: number): Promise<void> {
  for (let tries = 0; tries < 120; tries++) {
    const before = treeCpu(pid)
    await new Promise(go => setTimeout(go, 500))
    if (treeCpu(pid) - before <= 0.02) return
  }
}
