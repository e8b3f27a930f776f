import type { Artifact } from '../../../src/content/artifact.ts'
import { createHttpServer } from '../../../src/serve/files.ts'
import { createRegistryServer } from '../../../src/serve/registry.ts'
import { mergedStore } from '../../../src/site/content.ts'
import { namedRoots } from '../../../src/site/images.ts'
import type { SiteKey } from '../../../src/site/site-key.ts'
import { httpView, registryView } from '../../../src/site/site-view.ts'
import { startPage } from '../../../src/site/start-page/start-page.ts'
import { contentOf } from './sample-site.ts'

export interface SiteWithPage extends AsyncDisposable {
  /** of the HTTP server */
  url: string
  /** index digest of its bundle */
  digest: string
}

/** Serves both servers of a site on loopback, with the start page that names their ports. */
export async function servePage(artifacts: readonly Artifact[], key: SiteKey): Promise<SiteWithPage> {
  const content = await contentOf(artifacts)
  const store = mergedStore([content])
  const probe = createHttpServer(store, [])
  const ports: number[] = []
  for (const server of [probe, createHttpServer(store, [])]) {
    await server.listen({ port: 0, host: '127.0.0.1' })
    const bound = server.server.address()
    ports.push(typeof bound === 'object' && bound ? bound.port : 0)
    await server.close()
  }
  const address = { scheme: 'http' as const, host: '127.0.0.1', registryPort: ports[0]!, httpPort: ports[1]! }
  const { images, mirrors } = await registryView([content], { address })
  const view = await httpView([content], { address, key, site: 'test', mirrors, now: () => new Date() })
  const signer = { name: 'release-team', fingerprint: 'SHA256:an/example', words: 'amber canoe' }
  const page = startPage({
    store,
    about: {
      address,
      keyFingerprint: key.fingerprint,
      bundles: [
        {
          name: 'sample',
          version: '1.0.0',
          digest: content.indexDigest,
          size: 1_000,
          built: '2026-11-20T09:12:44Z',
          trust: 'signed',
          signers: [signer],
          unconfirmed: [],
        },
      ],
    },
    named: () => namedRoots(content.roots()),
    lists: view.lists,
    clients: view.clients,
  })
  const servers = [createRegistryServer(store, images), createHttpServer(store, [...view.mounts, page])]
  for (const [i, server] of servers.entries()) await server.listen({ port: ports[i]!, host: '127.0.0.1' })
  return {
    url: `http://127.0.0.1:${ports[1]}`,
    digest: content.indexDigest,
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map(server => server.close()))
    },
  }
}
