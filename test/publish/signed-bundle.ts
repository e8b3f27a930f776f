import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { expect } from 'vitest'
import { noise } from '../bundle/samples.ts'
import { airgap, type Ran, sha256File } from '../e2e/lib/airgap.ts'

/** Writes release.key, release.pub, other.key and other.pub. */
export async function makeKeys(work: string): Promise<void> {
  for (const name of ['release', 'other']) await good(['keygen', '--no-password', '--out', join(work, name)])
}

/**
 * Builds `WORK/stack-CONTENT.tar`, signed with the release key: small files, an empty one, and one that is larger than a part of an upload, the
 * same in all bundles.
 */
export async function signedBundle(work: string, content: string): Promise<string> {
  const folder = join(work, `content-${content}`)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'large'), noise(80 << 20, 1))
  await writeFile(join(folder, 'empty'), '')
  for (let i = 0; i < 20; i++) await writeFile(join(folder, `file-${i}`), `${content} ${i}`)
  const manifest = join(work, `stack-${content}.yaml`)
  const lines = ['apiVersion: airgap/v1', 'name: stack', 'version: 1.0.0', 'trees:']
  await writeFile(manifest, [...lines, `  - {name: files, from: content-${content}}`, ''].join('\n'))
  const out = join(work, `stack-${content}.tar`)
  const signed = ['--out', out, '--cache', join(work, 'cache'), '--sign-key', join(work, 'release.key')]
  // any file will do for the runtime: nothing of this bundle runs
  await good(['build', '-f', manifest, ...signed], { AIRGAP_NODE_RUNTIME: manifest })
  return out
}

/** Runs a command that must succeed; returns its result. */
export async function good(args: string[], env: Record<string, string> = {}): Promise<string> {
  const ran = await airgap(args, { env })
  expect(ran).toMatchObject({ code: 0 })
  return ran.stdout
}

export const push = (path: string, to: string, ...more: string[]): Promise<Ran> =>
  airgap(['push', '--as-bundle', path, to, '--plain-http', '-o', 'json', ...more])

export const pull = (from: string, out: string, ...more: string[]): Promise<Ran> =>
  airgap(['pull', from, '--plain-http', '--out', out, '-o', 'json', ...more])

/** Names and digests of a bundle and the files next to it. */
export async function filesOf(path: string): Promise<Record<string, string>> {
  const names = (await readdir(dirname(path))).filter(each => each.startsWith(basename(path))).sort()
  const rows = await Promise.all(
    names.map(async each => [each, await sha256File(join(dirname(path), each))] as const),
  )
  return Object.fromEntries(rows)
}
