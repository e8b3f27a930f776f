import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { LayoutStore } from '../../../src/content/layout-store.ts'
import { defined } from '../../../src/core/defined.ts'
import { parsePlatform } from '../../../src/core/platform.ts'
import { parseReference } from '../../../src/core/reference.ts'
import { imageKind } from '../../../src/kinds/image/index.ts'
import type { LockedImage } from '../../../src/kinds/image/locked.ts'
import type { SignaturePolicy } from '../../../src/oci-signatures/policy.ts'
import { testRegistry } from '../../remote/support/clients.ts'
import { type FakeRegistry, startRegistry } from '../../remote/support/token-registry.ts'

export const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
}

export type Put = ReturnType<FakeRegistry['put']>

/** An upstream in memory that stores whatever it is given. */
export class Upstream {
  readonly registry: FakeRegistry
  #count = 0

  private constructor(registry: FakeRegistry) {
    this.registry = registry
  }

  static async start(gate?: Parameters<typeof startRegistry>[0]): Promise<Upstream> {
    return new Upstream(await startRegistry(gate))
  }

  /** An image whose config has these fields; each call makes another one. */
  image(config: object, tag?: string): Put {
    const bytes = Buffer.from(JSON.stringify({ ...config, number: this.#count++ }))
    const made = {
      schemaVersion: 2,
      mediaType: types.manifest,
      config: this.registry.putBlob(bytes, types.config),
      layers: [this.registry.putBlob(Buffer.from(`layer ${this.#count}`), types.layer)],
    }
    return this.registry.put(made, tag === undefined ? {} : { tag })
  }

  manifest(manifest: object, tag?: string): Put {
    return this.registry.put({ schemaVersion: 2, ...manifest }, tag === undefined ? {} : { tag })
  }

  index(manifests: unknown, tag = '1'): Put {
    return this.registry.put(
      { schemaVersion: 2, mediaType: types.index, manifests },
      { tag, mediaType: types.index },
    )
  }

  /** Locks `registry.example/team/app:1`, or `name`. */
  async lock(
    more: {
      name?: string
      platforms?: string[]
      referrers?: boolean
      host?: string
      signatures?: SignaturePolicy[]
      cache?: LayoutStore
    } = {},
  ): Promise<LockedImage> {
    const folder = mkdtempSync(join(tmpdir(), 'airgap-image-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const host = more.host ?? 'registry.example'
    const sources = [{ from: host, to: [this.registry.upstream.origin] }]
    const { registry, http, progress } = testRegistry({ sources })
    const reference = parseReference(`${host}/${more.name ?? 'team/app:1'}`)
    const request = {
      at: 'stack.yaml:1:1',
      reference,
      from: reference,
      platforms: (more.platforms ?? ['linux/amd64']).map(parsePlatform),
      referrers: more.referrers ?? false,
      foreignLayers: 'refuse' as const,
      ...defined({ signatures: more.signatures }),
    }
    const locked = await imageKind.resolve(request, {
      http,
      registry,
      cache: more.cache ?? (await LayoutStore.open(folder)),
      folder,
      progress,
      now: () => new Date(0),
      signal: new AbortController().signal,
    })
    // what the lockfile keeps is what was resolved
    return imageKind.schema.parse(JSON.parse(JSON.stringify(locked)))
  }
}

export const platform = (os: string, architecture: string) => ({ platform: { os, architecture } })
