import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { attributeEgress, type Egress } from '../../../src/install/egress/attribute.ts'
import type { Captured } from '../../../src/install/egress/capture.ts'
import { captureScript } from '../../../src/install/egress/capture-script.ts'
import type { NetworkHost } from './closed-network.ts'

/** Programs that `watchEgress` needs. */
export const watchPrograms = ['python3'] as const

export interface EgressWatch extends AsyncDisposable {
  /** Ends the watch; `pods` is the answer of `kubectl get pods --all-namespaces -o json`. */
  report(pods: unknown): Promise<Egress[]>
}

/**
 * Records, until it is ended, which process or pod on each of the hosts (by name) tries to leave a closed network: what
 * `offline-deploy verify --cluster --egress` does for some minutes.
 */
export async function watchEgress(
  hosts: Readonly<Record<string, NetworkHost>>,
  inside: readonly string[],
): Promise<EgressWatch> {
  const captures = Object.entries(hosts).map(([name, host]) => ({ name, ...startCapture(host, inside) }))
  const end = () => {
    for (const { child } of captures) child.kill('SIGTERM')
  }
  const watch = {
    async report(pods: unknown) {
      end()
      const captured = await Promise.all(
        captures.map(async ({ name, output }) => [name, JSON.parse(await output) as Captured] as const),
      )
      return attributeEgress(new Map(captured), pods)
    },
    [Symbol.asyncDispose]: async () => end(),
  }
  try {
    await Promise.all(captures.map(({ started }) => started))
  } catch (error) {
    end()
    throw error
  }
  return watch
}

interface Capture {
  child: ChildProcess
  started: Promise<unknown>
  output: Promise<string>
}

function startCapture(host: NetworkHost, inside: readonly string[]): Capture {
  const day = '86400'
  const [program, ...args] = host.inside(['python3', '-c', captureScript, day, ...inside])
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', chunk => {
    text += chunk
  })
  return {
    child,
    started: once(child, 'spawn'),
    output: once(child, 'close').then(() => text),
  }
}
