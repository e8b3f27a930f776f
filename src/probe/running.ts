import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defined } from '../core/defined.ts'
import { withoutSecrets } from '../core/environment.ts'
import { printableLine } from '../core/printable.ts'
import { parseClusterNodes } from './cluster-nodes.ts'

export interface RunningOptions {
  /** root of the file system of the machine */
  root: string
  /** a program, or a name on PATH */
  kubectl: string
  helm: string
  /** default: as kubectl finds it */
  kubeconfig?: string
  /** component → chart, to recognize helm releases */
  charts: ReadonlyMap<string, string>
  signal: AbortSignal
}

export interface Running {
  /** component → version */
  versions: Map<string, string>
  /** what could not be determined, and why */
  unknown: string[]
}

const timeout = 20_000 /* ms; by default, kubectl waits much longer for an unreachable API server */

/**
 * Determines the running versions: of the driver's kernel module, the API server, the oldest containerd of the nodes, and the
 * charts of helm's releases. Changes nothing.
 */
export async function runningVersions(options: RunningOptions): Promise<Running> {
  const running: Running = { versions: new Map(), unknown: [] }
  const driver = await readFile(join(options.root, 'sys/module/nvidia/version'), 'utf8').catch(() => '')
  if (driver.trim() !== '') running.versions.set('nvidia-driver', driver.trim())
  await query(
    running,
    { what: 'the API server', program: options.kubectl, args: ['version'], options },
    output => {
      const version = textAt(output, 'serverVersion', 'gitVersion')
      if (version !== undefined) running.versions.set('kubernetes', version)
    },
  )
  // a cluster that does not respond would only time out again
  if (!running.versions.has('kubernetes')) return running
  await query(
    running,
    { what: 'the nodes', program: options.kubectl, args: ['get', 'nodes'], options },
    output => {
      const runtimes = (parseClusterNodes(output) ?? []).flatMap(node => {
        const runtime = textAt(node, 'containerRuntimeVersion')
        return runtime?.startsWith('containerd://') ? [runtime.slice('containerd://'.length)] : []
      })
      const [oldest] = runtimes.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
      if (oldest !== undefined) running.versions.set('containerd', oldest)
    },
  )
  await query(
    running,
    { what: "helm's releases", program: options.helm, args: ['list', '--all-namespaces'], options },
    output => {
      for (const release of Array.isArray(output) ? output : []) {
        const [, name, version] = /^(.+?)-(v?[0-9].*)$/.exec(textAt(release, 'chart') ?? '') ?? []
        for (const [component, chart] of options.charts)
          if (chart === name && version !== undefined) running.versions.set(component, version)
      }
    },
  )
  return running
}

/** Runs the program and passes its JSON output to `take`. A failure is not an error, but is added to `unknown`. */
async function query(
  running: Running,
  {
    what,
    program,
    args,
    options,
  }: { what: string; program: string; args: string[]; options: RunningOptions },
  take: (output: unknown) => void,
): Promise<void> {
  const { kubeconfig, signal } = options
  try {
    const { stdout } = await promisify(execFile)(program, [...args, '-o', 'json'], {
      timeout,
      signal,
      maxBuffer: 64 << 20,
      env: { ...withoutSecrets(process.env), ...defined({ KUBECONFIG: kubeconfig }) },
    })
    take(JSON.parse(stdout))
  } catch (error) {
    signal.throwIfAborted()
    const { code, stderr = '', message } = error as { code?: unknown; stderr?: string; message: string }
    const why =
      code === 'ENOENT'
        ? `${program} was not found`
        : printableLine(stderr.trim().split('\n').at(-1) || message, 200)
    running.unknown.push(`${what}: ${why}`)
  }
}

function at(value: unknown, keys: string[]): unknown {
  return keys.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[key] : undefined,
    value,
  )
}

/** Returns a short, printable text: the value comes from the cluster, which is untrusted. */
function textAt(value: unknown, ...keys: string[]): string | undefined {
  const found = at(value, keys)
  return typeof found === 'string' && /^[\w.+~:/-]{1,200}$/.test(found) ? found : undefined
}
