import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { AirgapError, type ErrorCode } from '../../src/core/errors.ts'
import { loadManifest } from '../../src/manifest/load.ts'
import type { StackManifest } from '../../src/manifest/stack.ts'

export const head = 'apiVersion: airgap/v1\nname: demo\nversion: 1.0.0\n'

/** Creates a folder with these files, and removes it when the test ends. */
export async function folderWith(files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-manifest-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  return folder
}

/** Loads `head` + text as stack.yaml, with the other files beside it. */
export async function load(
  text: string,
  others: Record<string, string | Uint8Array> = {},
): Promise<StackManifest> {
  const folder = await folderWith({ 'stack.yaml': head + text, ...others })
  return await loadManifest(join(folder, 'stack.yaml'))
}

/** Returns the AirgapError of a rejected promise; it must have an item and advice. */
export async function refused(promise: Promise<unknown>, code: ErrorCode): Promise<AirgapError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof AirgapError)) throw error ?? new Error('it did not fail')
  expect(error.code, error.message).toBe(code)
  expect(error.item, 'item').toBeTruthy()
  expect(error.next, 'next').toBeTruthy()
  return error
}
