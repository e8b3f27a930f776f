import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { writeBundleRecord } from '../../src/deploy/bundle-record.ts'
import { refuseOtherVersions } from '../../src/deploy/version-change.ts'

const bundle = (version: string, name = 'astrago') => ({
  path: '/media/usb/astrago.tar',
  identity: { name, version, digest: `sha256:${'0'.repeat(64)}` as const },
})

/** Whether a site with 2.0.0 takes a bundle; the advice of the error where it does not. */
async function advice(
  version: string,
  options: { machines: boolean; upgrade?: boolean; allowOlder?: boolean; name?: string; installed?: string },
): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-version-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const record = join(folder, 'installed.json')
  await writeBundleRecord(record, [bundle(options.installed ?? '2.0.0').identity])
  const { name, installed: _, ...rest } = options
  return await refuseOtherVersions([bundle(version, name)], {
    record,
    upgrade: false,
    allowOlder: false,
    ...rest,
  }).then(
    () => undefined,
    error => {
      expect(error).toMatchObject({ code: 'INCOMPATIBLE', item: '/media/usb/astrago.tar' })
      return error.next
    },
  )
}

describe('refuseOtherVersions', () => {
  it('takes the same version, another name and a site with nothing installed', async () => {
    expect(await advice('2.0.0', { machines: true })).toBeUndefined()
    expect(await advice('1.0.0', { machines: true, name: 'other' })).toBeUndefined()
    await refuseOtherVersions([bundle('1.0.0')], {
      record: '/nonexistent/installed.json',
      machines: true,
      upgrade: false,
      allowOlder: false,
    })
  })

  it('an older one: refused, and taken with --allow-older where a backup comes first or is not needed', async () => {
    expect(await advice('1.9.0', { machines: false })).toContain('offline-deploy apply')
    expect(await advice('1.9.0', { machines: true })).toContain('offline-deploy upgrade')
    expect(await advice('1.9.0', { machines: true, upgrade: true })).toContain('--allow-older')
    expect(await advice('1.9.0', { machines: true, allowOlder: true })).toContain('offline-deploy upgrade')
    expect(await advice('1.9.0', { machines: true, upgrade: true, allowOlder: true })).toBeUndefined()
    expect(await advice('1.9.0', { machines: false, allowOlder: true })).toBeUndefined()
  })

  it('a newer one: an upgrade where machines are installed, an apply where only the servers are', async () => {
    expect(await advice('2.1.0', { machines: true })).toContain('offline-deploy upgrade --bundle')
    expect(await advice('2.1.0', { machines: true, upgrade: true })).toBeUndefined()
    expect(await advice('2.1.0', { machines: false })).toBeUndefined()
  })

  it.each([
    ['1.2.0-1', '1.2.0-2'],
    ['1.2.0-rc.1', '1.2.0'],
    ['1.2.0-rc.2', '1.2.0-rc.10'],
    ['2026.11.1', '2026.11.1.1'],
    ['2026.11.1.1', '2026.11.1.2'],
    ['20261101000000001', '20261101000000002'],
    ['1.2.20261101000000001', '1.2.20261101000000010'],
    ['2026.09.01', '2026.10.01'],
    ['r9', 'r10'],
    ['1.0~rc1', '1.0'],
    ['1.2_1', '1.2_2'],
  ])('%s is older than %s', async (older, newer) => {
    const machines = { machines: true }
    expect(await advice(older, { ...machines, installed: newer, upgrade: true })).toContain('--allow-older')
    expect(await advice(older, { machines: false, installed: newer })).toContain('--allow-older')
    expect(await advice(newer, { ...machines, installed: older })).toContain('offline-deploy upgrade')
    expect(await advice(newer, { ...machines, installed: older, upgrade: true })).toBeUndefined()
  })

  it.each([
    ['1.2.0+a', '1.2.0+b'],
    ['2026.09.1.0', '2026.9.1.0'],
    ['v1.2.0', '1.2.0'],
  ])('%s is another build than %s: an upgrade, in both directions', async (one, other) => {
    for (const [version, installed] of [
      [one, other],
      [other, one],
    ] as const) {
      expect(await advice(version, { machines: true, installed })).toContain('offline-deploy upgrade')
      expect(await advice(version, { machines: true, installed, upgrade: true })).toBeUndefined()
      expect(await advice(version, { machines: false, installed })).toBeUndefined()
    }
  })
})
