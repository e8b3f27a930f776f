import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openBundle } from '../../../src/bundle/reader.ts'
import { defined } from '../../../src/core/defined.ts'
import { digestOf, hexOf } from '../../../src/core/digest.ts'
import { formatLock } from '../../../src/lock/lock.ts'
import type { PublicKey } from '../../../src/signature/public-key.ts'
import { printStatement, type Statement } from '../../../src/signature/statement.ts'
import { combine, imageOf, imageSample, treeSample, writeBundle } from '../../bundle/samples.ts'
import { keyIn, minisign, minisignKey, sshKey, sshSign } from '../../signature/stock.ts'

/** A key of a stock tool, and how it signs a file. */
export interface TestKey {
  publicFile: string
  key: PublicKey
  sign(path: string): void
}

export function sshTestKey(folder: string, name: string): TestKey {
  const { secret, publicFile } = sshKey(folder, { name })
  return { publicFile, key: keyIn(publicFile), sign: path => sshSign(path, { secret }) }
}

export function minisignTestKey(folder: string, name: string): TestKey {
  const { secret, key } = minisignKey(folder, name)
  return { publicFile: join(folder, `${name}.pub`), key, sign: path => minisign(path, { secret }) }
}

export const programs: Readonly<Record<string, string>> = {
  node: 'not really node',
  'offline-deploy': '#!/bin/sh\necho started\n',
}

export interface BundleOptions {
  version?: string
  built?: string
  expires?: string
  /** name of the one image */
  image?: string
  /** files of offline-deploy/ */
  files?: Readonly<Record<string, string>>
  /** of its lock; absent: it has none */
  platforms?: string[]
}

/** Writes a bundle with programs at its front, and the statement that a signer would sign. */
export async function writeStatedBundle(
  path: string,
  {
    version = '1.0.0',
    built = '2026-11-01T00:00:00Z',
    expires,
    image = 'quay.io/a/b:1',
    files = programs,
    platforms,
  }: BundleOptions = {},
): Promise<Statement> {
  rmSync(path, { force: true })
  const named = Object.keys(files).map(name => `offline-deploy/${name}`)
  const contents = Object.fromEntries(
    Object.entries(files).map(([name, text]) => [`offline-deploy/${name}`, Buffer.from(text)]),
  )
  const sample = combine(
    imageSample(imageOf(image, [Buffer.from(`layer of ${image}`)])),
    treeSample('offline-deploy', contents, { named, kind: 'runtime' }),
    ...(platforms === undefined ? [] : [lockSample({ version, platforms })]),
  )
  await writeBundle(path, sample, { name: 'stack', version })
  const store = await openBundle(path)
  await store.close()
  const sums = Object.entries(files).map(([name, text]) => ({
    path: `offline-deploy/${name}`,
    sha256: hexOf(digestOf(text)),
  }))
  const statement: Statement = defined({
    product: 'astrago-airgap' as const,
    name: store.info.name,
    version: store.info.version,
    index: store.indexDigest,
    built,
    expires,
    files: [{ path: 'index.json', sha256: hexOf(store.indexDigest) }, ...sums],
  })
  writeFileSync(`${path}.sums`, printStatement(statement))
  return statement
}

function lockSample({ version, platforms }: { version: string; platforms: string[] }) {
  const fields = { lockVersion: 1, collisions: {}, runtime: [], items: {}, inputs: digestOf('x') } as const
  const text = formatLock({ ...fields, name: 'stack', version, platforms, runtime: [] })
  return treeSample('lock', { 'lock.json': Buffer.from(text) }, { kind: 'bundle' })
}

/** Removes the signatures of a bundle, with every name that they may have. */
export function strip(path: string): void {
  for (const suffix of ['sig', 'minisig', 'sigstore.json']) rmSync(`${path}.sums.${suffix}`, { force: true })
}

/** Signs the statement next to a bundle as stock tools do, with one key of each format. */
export function sign(path: string, ...keys: TestKey[]): void {
  strip(path)
  for (const { sign: signFile } of keys) signFile(`${path}.sums`)
}
