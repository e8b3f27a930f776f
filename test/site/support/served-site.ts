import type { HttpView } from '../../../src/kinds/mount.ts'
import { createHttpServer } from '../../../src/serve/files.ts'
import { mergedStore, type SiteContent } from '../../../src/site/content.ts'
import type { SiteKey } from '../../../src/site/site-key.ts'
import { httpView } from '../../../src/site/site-view.ts'

/** The HTTP server of a site on loopback, with what it serves. */
export interface ServedSite extends HttpView, AsyncDisposable {
  url: string
}

/** Serves the bundles; the view's client files name the port of the server. */
export async function serveSite(contents: SiteContent[], key: SiteKey): Promise<ServedSite> {
  const probe = createHttpServer(mergedStore(contents), [])
  await probe.listen({ port: 0, host: '127.0.0.1' })
  const bound = probe.server.address()
  const port = typeof bound === 'object' && bound ? bound.port : 0
  await probe.close()
  const address = { scheme: 'http', host: '127.0.0.1', registryPort: 35000, httpPort: port } as const
  const view = await httpView(contents, { address, key, site: 'test', mirrors: [], now: () => new Date() })
  const server = createHttpServer(mergedStore(contents), view.mounts)
  await server.listen({ port, host: '127.0.0.1' })
  return {
    ...view,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await server.close()
    },
  }
}
