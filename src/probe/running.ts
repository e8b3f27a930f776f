import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { withoutSecrets } from '../core/environment.ts'
import { parseClusterNodes } from './cluster-nodes.ts'

export interface RunningOptions {
  /** of the machine to look at */
  root: string
  /** a program, or a name on PATH */
  kubectl: string
  helm: string
  /** default: as kubectl finds it */
  kubeconfig?: string
  /** component → chart, for the releases of helm */
  charts: ReadonlyMap<string, string>
  signal: AbortSignal
}

export interface Running {
  /** component → version */
  versions: Map<string, string>
  /** what could not be asked, and why */
  unknown: string[]
}

const timeout = 20_000 /* ms; kubectl waits much longer for an API server that is gone */

/**
 * What runs here, as far as it tells: the driver's module, the API server and the oldest kubelet and containerd of its nodes, the
 * charts of helm's releases. Nothing is changed.
 */
export async function runningVersions(options: RunningOptions): Promise<Running> {
  const running: Running = { versions: new Map(), unknown: [] }
  const driver = await readFile(join(options.root, 'sys/module/nvidia/version'), 'utf8').catch(() => '')
  if (driver.trim() !== '') running.versions.set('nvidia-driver', driver.trim())
  await ask(
    running,
    { what: 'the API server', program: options.kubectl, args: ['version'], options },
    answer => {
      const version = textAt(answer, 'serverVersion', 'gitVersion')
      if (version !== undefined) running.versions.set('kubernetes', version)
    },
  )
  // a cluster that does not answer would only be waited for again
  if (!running.versions.has('kubernetes')) return running
  await ask(
    running,
    { what: 'its nodes', program: options.kubectl, args: ['get', 'nodes'], options },
    answer => {
      const runtimes = (parseClusterNodes(answer) ?? []).flatMap(node => {
        const runtime = textAt(node, 'containerRuntimeVersion')
        return runtime?.startsWith('containerd://') ? [runtime.slice('containerd://'.length)] : []
      })
      const [oldest] = runtimes.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
      if (oldest !== undefined) running.versions.set('containerd', oldest)
    },
  )
  await ask(
    running,
    { what: "helm's releases", program: options.helm, args: ['list', '--all-namespaces'], options },
    answer => {
      for (const release of Array.isArray(answer) ? answer : []) {
        const [, name, version] = /^(.+?)-(v?[0-9].*)$/.exec(textAt(release, 'chart') ?? '') ?? []
        for (const [component, chart] of options.charts)
          if (chart === name && version !== undefined) running.versions.set(component, version)
      }
    },
  )
  return running
}

/** Runs a program for its JSON; that it cannot be run or asked is no failure of ours. */
async function ask(
  running: Running,
  {
    what,
    program,
    args,
    options,
  }: { what: string; program: string; args: string[]; options: RunningOptions },
  take: (answer: unknown) => void,
): Promise<void> {
  const { kubeconfig, signal } = options
  try {
    const { stdout } = await promisify(execFile)(program, [...args, '-o', 'json'], {
      ...{ timeout, signal, maxBuffer: 64 << 20 },
      env: {
        ...withoutSecrets(process.env),
        ...(kubeconfig === undefined ? {} : { KUBECONFIG: kubeconfig }),
      },
    })
    take(JSON.parse(stdout))
  } catch (error) {
    signal.throwIfAborted()
    const { code, stderr = '', message } = error as { code?: unknown; stderr?: string; message: string }
    const why =
      code === 'ENOENT'
        ? `${program} is not here`
        : (stderr.trim().split('\n').at(-1) || message).slice(0, 200)
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

/** A version, short and printable: it comes from the cluster. */
function textAt(value: unknown, ...keys: string[]): string | undefined {
  const found = at(value, keys)
  return typeof found === 'string' && /^[\w.+~:/-]{1,200}$/.test(found) ? found : undefined
}
