import { createServer } from 'node:net'
import { digestOf } from '../core/digest.ts'
import type { ChallengeOptions } from '../serve/challenge.ts'
import type { Listening } from '../serve/listen.ts'
import type { LocalVerdicts } from '../serve/local-verdicts.ts'
import type { AccessEntry } from '../serve/served.ts'
import type { SiteAddress } from '../site/address.ts'
import type { SiteContent } from '../site/content.ts'
import { openServerKey } from '../site/server-key.ts'
import { proofPath, proveServer, type SiteServer } from '../site/server-proof.ts'
import { httpView, registryView, siteDocumentPath } from '../site/site-view.ts'
import type { SiteState } from '../site/state.ts'
import { openKey } from './site-key.ts'

export interface Serving {
  address: SiteAddress
  /** top folders of the HTTP server */
  folders: string[]
  close(): Promise<void>
}

export interface ServingOptions {
  contents: readonly SiteContent[]
  /** ports may be 0: any free one */
  address: SiteAddress
  /** IP address to listen on */
  listen: string
  state: SiteState
  now: () => Date
  log: (entry: AccessEntry) => void
}

/** Starts both servers; the registry first and with nothing else loaded, as what matters is its first manifest. */
export async function startServing(options: ServingOptions): Promise<Serving> {
  const { contents, listen, state, now, log } = options
  const address: SiteAddress = {
    host: options.address.host,
    registryPort: options.address.registryPort || (await freePort(listen)),
    httpPort: options.address.httpPort || (await freePort(listen)),
  }
  const servers: Listening[] = []
  let verdicts: LocalVerdicts | undefined
  const close = async () => {
    // within the time that a stopped program has (shell/run.ts)
    await Promise.all(servers.map(server => server.close({ graceMs: 5_000 })))
    await verdicts?.close()
  }
  const serverKey = await openServerKey(state.folder)
  const challengeOf = (server: SiteServer, description: string): ChallengeOptions => ({
    path: proofPath,
    answer: challenge => proveServer(serverKey, { site: state.id, server, description, ...challenge }),
  })
  try {
    const [{ createRegistryServer }, { listen: listenOn }, { localVerdicts }, { store, images, mirrors }] =
      await Promise.all([
        import('../serve/registry.ts'),
        import('../serve/listen.ts'),
        import('../serve/local-verdicts.ts'),
        registryView(contents, { address }),
      ])
    verdicts = localVerdicts(store)
    const registry = createRegistryServer(store, images, {
      log,
      verdicts,
      challenge: challengeOf('registry', ''),
    })
    servers.push(await listenOn(registry, { host: listen, port: address.registryPort }))
    const [{ createHttpServer }, key] = await Promise.all([import('../serve/files.ts'), openKey(state, now)])
    const { mounts } = await httpView(contents, { address, key, site: state.id, mirrors, now })
    const root = mounts.find(({ prefix }) => prefix === '/')
    const document = root?.generated?.get(siteDocumentPath.slice(1))
    const challenge = challengeOf('http', document === undefined ? '' : digestOf(document.bytes))
    const http = createHttpServer(store, mounts, { log, verdicts, challenge })
    servers.push(await listenOn(http, { host: listen, port: address.httpPort }))
    return { address, folders: topFolders(mounts.map(({ prefix }) => prefix)), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** `/debs/debian-12` → `/debs`; clients' files are always there, in the mount of the root. */
function topFolders(prefixes: readonly string[]): string[] {
  const names = prefixes.flatMap(prefix => prefix.split('/')[1] || [])
  return [...new Set([...names, 'clients'])].map(name => `/${name}`)
}

/** The documents that the servers hand out name their ports, so that these have to be known before. */
async function freePort(host: string): Promise<number> {
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, host, resolve)
    })
    const found = server.address()
    return typeof found === 'object' && found !== null ? found.port : 0
  } finally {
    server.close()
  }
}
