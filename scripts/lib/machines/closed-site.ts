import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AirgapError } from '../../../src/core/errors.ts'
import { run, withSbin } from '../run.ts'
import type { ClosedNetwork } from './closed-network.ts'

/** `offline-deploy serve`, unpacked from a bundle, on the site's host of a closed network. */
export interface ClosedSite {
  /** http://host:port, or https://host:port */
  http: string
  /** path of the CA on the site's host; nothing there with plain HTTP */
  ca: string
  /** text of a client file (path below /clients), requested from the node */
  clientFile(path: string): Promise<string>
  /** Copies client files into a root as an operator would; returns their texts. */
  putClientFiles(root: string, paths: readonly string[]): Promise<string[]>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** `folder` is created, for the program and the site's state. The program is that of the first bundle. Plain HTTP unless `tls`. */
export async function serveInClosedNetwork(
  network: ClosedNetwork,
  options: {
    folder: string
    bundles: readonly [string, ...string[]]
    tls?: boolean
    ports?: [number, number]
  },
): Promise<ClosedSite> {
  const { folder, bundles, tls = false, ports: [registryPort, httpPort] = [35000, 8080] } = options
  await mkdir(folder, { recursive: true })
  await run(['tar', 'xf', bundles[0], '-C', folder, 'offline-deploy'])
  const http = `${tls ? 'https' : 'http'}://${network.site.address}:${httpPort}`
  const ca = join(folder, 'site/tls/ca.pem')
  const [program, ...args] = network.site.inside([
    // an empty environment: no PATH, no HOME
    'env',
    '-i',
    join(folder, 'offline-deploy', 'offline-deploy'),
    'serve',
    ...bundles.flatMap(bundle => ['--bundle', bundle]),
    '--site',
    join(folder, 'site'),
    '--address',
    network.site.address,
    '--registry-port',
    String(registryPort),
    '--http-port',
    String(httpPort),
    tls ? '--tls' : '--plain-http',
  ])
  const child = spawn(program!, args, { stdio: ['ignore', 'ignore', 'pipe'], env: withSbin() })
  let output = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    output = (output + text).slice(-4000)
  })
  const ended = new Promise<void>(done => child.once('close', () => done()))
  const close = async () => {
    child.kill('SIGTERM')
    await ended
  }
  const get = (path: string) =>
    run(
      network.node.inside([
        'curl',
        '--fail',
        '--silent',
        '--show-error',
        ...(tls ? ['--cacert', ca] : []),
        `${http}${path}`,
      ]),
    )
  const clientFile = (path: string) => get(`/clients/${path}`)
  try {
    await answers(() => get('/clients/site.json'))
  } catch (cause) {
    await close()
    throw new AirgapError('STEP_FAILED', `the site did not answer:\n${output}`, {
      item: http,
      next: 'read its output, above',
      cause,
    })
  }
  return {
    http,
    ca,
    clientFile,
    async putClientFiles(root, paths) {
      return await Promise.all(
        paths.map(async path => {
          const text = await clientFile(path)
          await mkdir(join(root, dirname(path)), { recursive: true })
          await writeFile(join(root, path), text)
          return text
        }),
      )
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function answers(ask: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + 30_000
  for (;;) {
    try {
      await ask()
      return
    } catch (error) {
      if (Date.now() > end) throw error
    }
    await new Promise(go => setTimeout(go, 100))
  }
}
