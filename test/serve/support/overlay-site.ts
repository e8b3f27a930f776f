import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { PrunePolicy } from '../../../src/overlay/prune.ts'
import { noise, tempFolder } from '../../bundle/samples.ts'
import { type OverlayServer, overlayServer } from './overlay.ts'
import { imageOver, pushBlob, pushManifest } from './pushes.ts'
import { type Running, start } from './servers.ts'

export const config = Buffer.from('{"os":"linux"}')
export const day = 24 * 60 * 60_000

/** A registry that takes pushes, and its owner, with a clock of its own. */
export interface Site extends OverlayServer {
  folder: string
  running: Running
  /** passes time */
  clock: { now: number }
  /** hex digests of the files */
  blobs(): Promise<string[]>
  tags(name: string): Promise<string[]>
  prune(
    policy: PrunePolicy,
    more?: { dryRun?: boolean; before?: number },
  ): ReturnType<OverlayServer['owner']['removeImages']>
}

export async function site(options: { quota?: number } = {}): Promise<Site> {
  const folder = await tempFolder()
  const clock = { now: Date.UTC(2026, 0, 1) }
  const opened = await overlayServer(folder, { now: () => clock.now, ...options })
  const running = await start(opened.server)
  return {
    ...opened,
    folder,
    running,
    clock,
    blobs: async () => (await readdir(join(folder, 'blobs/sha256'))).sort(),
    tags: async name => ((await running.get(`/v2/${name}/tags/list`)).json() as { tags: string[] }).tags,
    prune: (policy, { dryRun = false, before = clock.now - day } = {}) =>
      opened.owner.removeImages({ chosen: { policy }, isHeld: () => false, before, dryRun }),
  }
}

export async function pushImage(
  { running }: Pick<Site, 'running'>,
  name: string,
  tag: string,
  seed: number,
): Promise<Buffer> {
  const layer = noise(50_000, seed)
  await pushBlob(running, name, config)
  await pushBlob(running, name, layer)
  const manifest = imageOver(config, [layer])
  expect((await pushManifest(running, `/v2/${name}/manifests/${tag}`, manifest)).status).toBe(201)
  return manifest
}
