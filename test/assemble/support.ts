import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { assembleLock } from '../../src/assemble/assemble-lock.ts'
import { type FetchOptions, fetchSlots } from '../../src/assemble/fetch.ts'
import { type Layout, planLayout } from '../../src/bundle/layout.ts'
import { BundleWriter } from '../../src/bundle/writer.ts'
import type { Lock } from '../../src/lock/schema.ts'
import { loadManifest } from '../../src/manifest/load.ts'
import { resolveStack } from '../../src/resolve/resolve-stack.ts'
import { lockRuntime, type RuntimePaths } from '../../src/resolve/runtime.ts'
import { type TestContext, temporaryFolder, testContext } from '../kinds/support/context.ts'

const head = 'apiVersion: airgap/v1\nname: demo\nversion: 1.0.0\n'

/** A manifest with the files in its folder, clients, and a tool of one file. */
export interface Stack {
  folder: string
  manifest: string
  context: TestContext
  runtime: RuntimePaths
}

export async function stackOf(text: string, files: Record<string, string | Buffer> = {}): Promise<Stack> {
  const folder = await temporaryFolder()
  const manifest = join(folder, 'stack.yaml')
  for (const [path, content] of Object.entries({
    'stack.yaml': head + text,
    'tool.bin': 'the tool',
    ...files,
  })) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
  }
  return {
    folder,
    manifest,
    context: await testContext(),
    runtime: { 'offline-deploy': join(folder, 'tool.bin') },
  }
}

export async function lockOf(
  { manifest, context, runtime }: Stack,
  options: { concurrency?: number; signal?: AbortSignal } = {},
): Promise<Lock> {
  const { concurrency = 4, signal = context.signal } = options
  return await resolveStack(await loadManifest(manifest), {
    context: { ...context, signal },
    runtime: await lockRuntime(runtime),
    concurrency,
  })
}

export function layoutOf(lock: Lock): Layout {
  return planLayout(assembleLock(lock), { name: lock.name, version: lock.version })
}

/** Builds the bundle of a lock, as `airgap build` does. */
export async function buildFrom(
  stack: Stack,
  lock: Lock,
  options: Partial<FetchOptions> & { out?: string } = {},
): Promise<string> {
  const { out = join(stack.folder, 'out.tar'), ...more } = options
  const { http, registry, cache, progress, signal } = stack.context
  const writer = await BundleWriter.open(out, layoutOf(lock))
  try {
    await fetchSlots(writer, {
      ...{ http, registry, cache, progress, signal },
      ...{ reuse: [], folder: stack.folder, runtime: stack.runtime, concurrency: 4, keepGoing: false },
      ...more,
    })
    return (await writer.seal()).path
  } finally {
    await writer.close()
  }
}

/** A promise that the test resolves. */
export function gate(): { open: () => void; opened: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>()
  onTestFinished(() => resolve())
  return { open: resolve, opened: promise }
}
