import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { addToBundleRecord } from '../../../src/deploy/bundle-record.ts'
import { openBundles } from '../../../src/deploy/open-bundles.ts'
import { recordAccepted } from '../../../src/deploy/record-trust.ts'
import type { BundleExpectation } from '../../../src/deploy/site-trust.ts'
import { pathsOf } from '../../../src/site/state.ts'
import { withKey, withThreshold } from '../../../src/site/trust-changes.ts'
import { writeTrust } from '../../../src/site/trust-record.ts'
import { type BundleOptions, sign, sshTestKey, type TestKey, writeStatedBundle } from './signed-bundle.ts'

export const now = new Date('2026-11-27T00:00:00Z')
export const change = { now, by: 'kim' }

export interface Site {
  siteFolder: string
  path: string
  /** of OpenSSH: its signatures contain the key */
  first: TestKey
  second: TestKey
  open(options?: Partial<BundleExpectation>): ReturnType<typeof openBundles>
  write(options?: BundleOptions): ReturnType<typeof writeStatedBundle>
}

/** A folder with a signed bundle, and a site that trusts `trusted` of the two keys, or has none. */
export async function siteWith({ trusted = 1, threshold = 1 } = {}): Promise<Site> {
  const siteFolder = await mkdtemp(join(tmpdir(), 'airgap-trust-'))
  onTestFinished(() => rm(siteFolder, { recursive: true, force: true }))
  const path = join(siteFolder, 'stack.tar')
  const [first, second] = [sshTestKey(siteFolder, 'first'), sshTestKey(siteFolder, 'second')]
  const keys = [first, second].slice(0, trusted)
  let record: Parameters<typeof withKey>[0]
  for (const { key } of keys) record = withKey(record, key, change)
  if (record !== undefined) await writeTrust(pathsOf(siteFolder).trust, withThreshold(record, threshold))
  const write = (options: BundleOptions = {}) => writeStatedBundle(path, options)
  const open: Site['open'] = options =>
    openBundles([path], { siteFolder, expect: [], unknown: 'opened', now, ...options })
  await write()
  sign(path, first)
  return { siteFolder, path, first, second, open, write }
}

/** Opens and installs, as apply does. */
export async function install(
  { siteFolder, open }: Site,
  options: Partial<BundleExpectation> = {},
): Promise<void> {
  await using opened = await open(options)
  const { trust, bundles } = pathsOf(siteFolder)
  await recordAccepted(trust, opened, change)
  await addToBundleRecord(
    bundles,
    opened.bundles.map(({ identity }) => identity),
  )
}

export const refused = (code: string, message: string | RegExp) => ({
  code,
  exitCode: 6,
  message: expect.stringMatching(message),
  next: expect.any(String),
})
