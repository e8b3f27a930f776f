import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { refuseForeignFolder } from '../../src/core/private-folder.ts'

const isRoot = process.getuid?.() === 0
const mallory = 65_534

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'airgap-private-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A folder `site` with a file, in a folder `parent`. */
function sample(): { parent: string; site: string; file: string } {
  const parent = join(temporary(), 'parent')
  const site = join(parent, 'site')
  mkdirSync(site, { recursive: true, mode: 0o755 })
  const file = join(site, 'config.json')
  writeFileSync(file, '{}', { mode: 0o644 })
  return { parent, site, file }
}

const check = (path: string, env: NodeJS.ProcessEnv = {}) =>
  refuseForeignFolder({ path, what: 'the state folder', elsewhere: '--site FOLDER' }, env)
const refused = (item: string, message: RegExp) =>
  expect.objectContaining({ code: 'PERMISSION', item, message: expect.stringMatching(message) })

describe('a folder of our own', () => {
  it('is accepted, also where it does not exist yet, and through a link of our own', async () => {
    const { parent, site } = sample()
    await check(site)
    await check(join(parent, 'later', 'site'))
    symlinkSync('site', join(parent, 'link'))
    await check(join(parent, 'link'))
    await check(`${parent}/x/../site/`)
  })

  it.each([
    ['the folder itself', 'site', 0o777, /the state folder can be written by every user \(mode 0777\)/],
    ['the folder itself, sticky', 'site', 0o1777, /can be written by every user \(mode 1777\)/],
    ['a file in it', 'file', 0o666, /a file in it can be written by every user/],
    ['its parent', 'parent', 0o777, /a folder above it can be written by every user/],
  ] as const)('is refused where others may write to %s', async (_, which, mode, message) => {
    const found = sample()
    chmodSync(found[which], mode)
    await expect(check(found.site)).rejects.toEqual(refused(found[which], message))
  })

  it('is accepted below a parent with the sticky bit, as /tmp has', async () => {
    const { parent, site } = sample()
    chmodSync(parent, 0o1777)
    await check(site)
    await check(join(parent, 'later'))
  })

  it('refuses links in a circle', async () => {
    const { parent } = sample()
    symlinkSync('b', join(parent, 'a'))
    symlinkSync('a', join(parent, 'b'))
    await expect(check(join(parent, 'a'))).rejects.toThrow(/too many symbolic links/)
  })
})

describe.skipIf(!isRoot)('a folder of another user (needs root)', () => {
  it.each([
    ['the folder itself', 'site', /the state folder belongs to another user \(65534\)/],
    ['a file in it', 'file', /a file in it belongs to another user/],
    ['its parent', 'parent', /a folder above it belongs to another user/],
  ] as const)('is refused where %s belongs to another user', async (_, which, message) => {
    const found = sample()
    chownSync(found[which], mallory, mallory)
    await expect(check(found.site)).rejects.toEqual(refused(found[which], message))
    // even where the bits keep others out
    chmodSync(found[which], 0o700)
    await expect(check(found.site)).rejects.toEqual(refused(found[which], message))
  })

  it('is refused below a sticky parent of another user, who may still replace it', async () => {
    const { parent, site } = sample()
    chmodSync(parent, 0o1777)
    chownSync(parent, mallory, mallory)
    await expect(check(site)).rejects.toEqual(refused(parent, /belongs to another user/))
  })

  it('is refused behind a link of another user, which can lead elsewhere tomorrow', async () => {
    const { parent, site } = sample()
    chmodSync(parent, 0o1777)
    const link = join(parent, 'link')
    symlinkSync('site', link)
    lchownSync(link, mallory, mallory)
    await expect(check(link)).rejects.toEqual(refused(link, /belongs to another user/))
    await check(site)
  })

  it('is refused where a file in it is a link into a folder of another user', async () => {
    const { site } = sample()
    const other = temporary()
    writeFileSync(join(other, 'site.yaml'), '')
    chownSync(other, mallory, mallory)
    symlinkSync(join(other, 'site.yaml'), join(site, 'site.yaml'))
    await expect(check(site)).rejects.toEqual(refused(other, /belongs to another user/))
  })

  it('is accepted where that user ran sudo, or is named as trusted', async () => {
    const { parent, site } = sample()
    chownSync(parent, 1234, 1234)
    await expect(check(site)).rejects.toThrow(/AIRGAP_TRUSTED_USERS|belongs to another user/)
    await check(site, { SUDO_UID: '1234' })
    await check(site, { AIRGAP_TRUSTED_USERS: '1000, 1234' })
    await expect(check(site, { SUDO_UID: '1235' })).rejects.toThrow()
  })

  it('accepts writing by a group without other members, and refuses access lists', async () => {
    const { parent, site } = sample()
    chmodSync(parent, 0o775)
    await check(site)
    // of many users, and one that this host does not know
    for (const gid of [65_534, 54_321]) {
      chownSync(parent, 0, gid)
      await expect(check(site), String(gid)).rejects.toEqual(refused(parent, /can be written by the group/))
    }
    chownSync(parent, 0, 0)
    const list = spawnSync('setfacl', ['-m', 'u:65534:rwx', parent])
    if (list.status === 0) await expect(check(site)).rejects.toEqual(refused(parent, /can be written by/))
  })

  it('is refused on a medium without permissions that was mounted for everyone', async () => {
    const { parent, site } = sample()
    const medium = join(parent, 'medium')
    mkdirSync(medium)
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'mode=777', 'none', medium])
    if (mounted.status !== 0) return
    onTestFinished(() => void spawnSync('umount', [medium]))
    await check(site)
    await expect(check(join(medium, 'site'))).rejects.toThrow(
      expect.objectContaining({
        likely: expect.stringContaining('vfat, exfat, NTFS'),
        next: expect.stringContaining('-o umask=022'),
      }),
    )
  })
})
