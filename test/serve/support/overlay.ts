import type { FastifyInstance } from 'fastify'
import { onTestFinished } from 'vitest'
import { MemoryStore } from '../../../src/content/memory-store.ts'
import type { ReadableStore } from '../../../src/content/store.ts'
import { overlayClient } from '../../../src/overlay/client.ts'
import { type OpenOverlay, type OverlayOptions, openOverlay } from '../../../src/overlay/overlay.ts'
import { overlayStore } from '../../../src/overlay/overlay-store.ts'
import { createRegistryServer } from '../../../src/serve/registry.ts'
import type { ServedImages } from '../../../src/serve/served.ts'
import { withOverlay } from '../../../src/site/content.ts'
import { sampleImages } from './servers.ts'

export interface OverlayServer {
  server: FastifyInstance
  owner: OpenOverlay
}

/** A registry that takes pushes into `folder`, over the content of a bundle. */
export async function overlayServer(
  folder: string,
  {
    store = new MemoryStore(),
    images = sampleImages(),
    ...options
  }: { store?: ReadableStore; images?: ServedImages } & OverlayOptions = {},
): Promise<OverlayServer> {
  const owner = await openOverlay(folder, options)
  const overlay = overlayClient(owner, { folder })
  onTestFinished(async () => {
    await overlay.close()
    await owner.close()
  })
  return {
    owner,
    server: createRegistryServer(withOverlay(store, overlayStore(folder)), images, { overlay }),
  }
}
