import { appendFile, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { readBundleRecord } from '../../src/deploy/bundle-record.ts'
import { pinConfirmedKeys } from '../../src/deploy/record-trust.ts'
import { newestKnown } from '../../src/deploy/site-trust.ts'
import { pathsOf } from '../../src/site/state.ts'
import { withKey } from '../../src/site/trust-changes.ts'
import { readTrust, writeTrust } from '../../src/site/trust-record.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { minisignTestKey, programs, sign, strip, writeStatedBundle } from './support/signed-bundle.ts'
import { change, install, refused, siteWith } from './support/trusting-site.ts'

describe.skipIf(!hasTool('ssh-keygen'))('a site with keys (needs ssh-keygen)', () => {
  it('opens a bundle that one of them signed, and says which', async () => {
    const { open, first } = await siteWith()
    await using opened = await open()
    expect(opened.bundles[0]).toMatchObject({
      trust: { by: 'signed', signers: [{ name: first.key.id }], statement: { version: '1.0.0' } },
      identity: { signedBy: [first.key.fingerprint] },
    })
  })

  it.skipIf(!hasTool('minisign'))('opens one that was signed with minisign (needs minisign)', async () => {
    const { open, path, siteFolder } = await siteWith()
    const key = minisignTestKey(siteFolder, 'm')
    const { trust } = pathsOf(siteFolder)
    await writeTrust(trust, withKey((await readTrust(trust))!, key.key, change))
    sign(path, key)
    await using opened = await open()
    expect(opened.bundles[0]?.trust).toMatchObject({ by: 'signed', signers: [{ name: key.key.id }] })
  })

  it('refuses one without a signature: the statement alone, nothing at all', async () => {
    const { open, path } = await siteWith()
    strip(path)
    await expect(open()).rejects.toMatchObject(refused('UNTRUSTED', 'the bundle is not signed'))
    await rm(`${path}.sums`)
    await expect(open()).rejects.toMatchObject(refused('UNTRUSTED', 'the bundle is not signed'))
    // its digest was named: the key of the site counts all the same
    const { index } = await writeStatedBundle(path)
    await expect(open({ expect: [index] })).rejects.toMatchObject(refused('UNTRUSTED', 'not signed'))
  })

  it('refuses one that another key signed, and names the key', async () => {
    const { open, path, second } = await siteWith()
    sign(path, second)
    await expect(open()).rejects.toMatchObject({
      ...refused('UNTRUSTED', 'a key that this site does not trust'),
      likely: expect.stringContaining(second.key.short),
    })
  })

  it('refuses one with fewer signatures than its threshold', async () => {
    const { open, path, first, second } = await siteWith({ trusted: 2, threshold: 2 })
    await expect(open()).rejects.toMatchObject({
      ...refused('UNTRUSTED', '1 of the 2 signatures'),
      next: expect.stringContaining(second.key.id),
    })
    first.sign(`${path}.sums`)
    await rename(`${path}.sums.sig`, `${path}.sums.${first.key.id}.sig`)
    second.sign(`${path}.sums`)
    await using opened = await open()
    expect(opened.bundles[0]?.trust.signers).toHaveLength(2)
  })

  it('counts a key once that signed in two files', async () => {
    const { open, path, first } = await siteWith({ trusted: 2, threshold: 2 })
    await writeFile(`${path}.sums.${first.key.id}.sig`, await readFile(`${path}.sums.sig`))
    await expect(open()).rejects.toMatchObject(refused('UNTRUSTED', '1 of the 2 signatures'))
  })

  it('refuses an index that was altered after signing, and sums and bundle that were swapped together', async () => {
    const { open, path, write } = await siteWith()
    const [sums, signature] = [await readFile(`${path}.sums`), await readFile(`${path}.sums.sig`)]
    // rebuilt with other content, under the signed statement
    await write({ image: 'quay.io/evil/b:1' })
    await writeFile(`${path}.sums`, sums)
    await expect(open()).rejects.toMatchObject(
      refused('SIGNATURE_INVALID', /has digest .*; sha256:.* was signed/),
    )
    // and with a statement to match: the signature is of the other one
    await write({ image: 'quay.io/evil/b:1' })
    await writeFile(`${path}.sums.sig`, signature)
    await expect(open()).rejects.toMatchObject(refused('SIGNATURE_INVALID', 'the signature is wrong'))
  })

  it('refuses the statement of another bundle', async () => {
    const { open, path, write, first } = await siteWith()
    await write({ version: '2.0.0' })
    sign(path, first)
    const sums = await readFile(`${path}.sums`)
    await write({ version: '1.0.0' })
    await writeFile(`${path}.sums`, sums)
    await expect(open()).rejects.toMatchObject(
      refused('SIGNATURE_INVALID', 'the signature is of another bundle: stack 2.0.0, not stack 1.0.0'),
    )
  })

  it('refuses programs that the signed statement does not list, or lists with another content', async () => {
    const { open, path, write, first } = await siteWith()
    const statement = await write({ files: programs })
    for (const files of [
      statement.files.slice(0, -1),
      statement.files.map(file =>
        file.path === 'offline-deploy/node' ? { ...file, sha256: '0'.repeat(64) } : file,
      ),
      [...statement.files, { path: 'offline-deploy/zz', sha256: '0'.repeat(64) }],
    ]) {
      const { printStatement } = await import('../../src/signature/statement.ts')
      await writeFile(`${path}.sums`, printStatement({ ...statement, files }))
      sign(path, first)
      await expect(open()).rejects.toMatchObject(refused('SIGNATURE_INVALID', 'a program in the bundle'))
    }
  })

  it('refuses a damaged statement, and a damaged signature', async () => {
    const { open, path, first } = await siteWith()
    await appendFile(`${path}.sums`, '\n')
    await expect(open()).rejects.toMatchObject(refused('SIGNATURE_INVALID', 'the signature is wrong'))
    sign(path, first)
    await expect(open()).rejects.toMatchObject(refused('SIGNATURE_INVALID', 'list of checksums'))
    await writeStatedBundle(path)
    await writeFile(`${path}.sums.sig`, 'x')
    await expect(open()).rejects.toMatchObject(refused('SIGNATURE_INVALID', 'not a signature'))
  })

  it('refuses an expired bundle, and one whose expiry the clock cannot tell', async () => {
    const { open, path, write, first } = await siteWith()
    await write({ expires: '2026-11-20T00:00:00Z' })
    sign(path, first)
    await expect(open()).rejects.toMatchObject(refused('EXPIRED', 'expired on 2026-11-20'))
    await expect(open({ now: new Date(0) })).rejects.toMatchObject({ code: 'CLOCK_WRONG', exitCode: 7 })
    await using opened = await open({ now: new Date('2026-11-19T00:00:00Z') })
    expect(opened.bundles).toHaveLength(1)
  })

  it('refuses an older version than it has had, unless the operator goes back deliberately', async () => {
    const site = await siteWith()
    const { open, path, write, first } = site
    await write({ version: '2.0.0' })
    sign(path, first)
    await install(site)
    const { index } = await write({ version: '1.9.0' })
    sign(path, first)
    await expect(open()).rejects.toMatchObject({
      ...refused('ROLLBACK', '1.9.0, not 2.0.0'),
      next: expect.stringContaining('--expect DIGEST'),
    })
    // the digest is on the medium, too
    await expect(open({ expect: [index] })).rejects.toMatchObject({ code: 'ROLLBACK' })
    await expect(open({ allowOlder: true })).rejects.toMatchObject({ code: 'ROLLBACK' })
    await install(site, { expect: [index], allowOlder: true })
    // it is what the site has now
    await using opened = await open()
    expect(opened.bundles[0]?.identity.version).toBe('1.9.0')
  })

  it('accepts the bundle of another architecture that was built before, once its signature is good', async () => {
    const site = await siteWith()
    const { open, path, write, first, second } = site
    const [amd64, arm64] = ['linux/amd64', 'linux/arm64'].map(platform => ({ platforms: [platform] }))
    await write({ ...amd64, built: '2026-11-10T00:00:00Z' })
    sign(path, first)
    await install(site)
    const old = await write({ ...amd64, built: '2026-11-09T00:00:00Z', image: 'quay.io/a/old:1' })
    sign(path, first)
    await expect(open({ expect: [old.index] })).rejects.toMatchObject(
      refused('ROLLBACK', 'an earlier build of 1.0.0'),
    )
    const { index } = await write({ ...arm64, built: '2026-11-09T00:00:00Z', image: 'quay.io/a/arm:1' })
    sign(path, second)
    await expect(open({ expect: [index] })).rejects.toMatchObject({ code: 'UNTRUSTED' })
    sign(path, first)
    await install(site, { expect: [index] })
    await using opened = await open()
    expect(opened.bundles[0]?.trust.by).toBe('known')
    expect((await readTrust(pathsOf(site.siteFolder).trust))?.accepted.map(one => one.platforms)).toEqual([
      ['linux/amd64'],
      ['linux/arm64'],
    ])
  })

  it('keeps using the older bundle that it went back to, which it had installed before', async () => {
    const site = await siteWith()
    const { open, path, write, first } = site
    const { index } = await write({ version: '1.0.0' })
    sign(path, first)
    await install(site)
    await write({ version: '2.0.0' })
    sign(path, first)
    await install(site)
    await write({ version: '1.0.0' })
    strip(path)
    await expect(open()).rejects.toMatchObject({ code: 'ROLLBACK' })
    await install(site, { expect: [index], allowOlder: true })
    // as the servers, `apply` and `verify` open it afterwards
    await using opened = await open()
    expect(opened.bundles[0]).toMatchObject({ identity: { version: '1.0.0' }, trust: { by: 'known' } })
  })

  it('keeps using the older bundle from before it had a key that it went back to', async () => {
    const site = await siteWith({ trusted: 0 })
    const { path, write, open, siteFolder, first } = site
    const { index } = await write({ version: '1.0.0' })
    strip(path)
    await install(site)
    await write({ version: '2.0.0' })
    strip(path)
    await install(site)
    const { trust, bundles } = pathsOf(siteFolder)
    const before = newestKnown(await readBundleRecord(bundles))
    await writeTrust(trust, withKey(undefined, first.key, { ...change, before }))
    await write({ version: '1.0.0' })
    await expect(open()).rejects.toMatchObject({ code: 'ROLLBACK' })
    await install(site, { expect: [index], allowOlder: true })
    await using opened = await open()
    expect(opened.bundles[0]?.identity.version).toBe('1.0.0')
  })

  it('keeps using what it installed: without its signatures, expired, after its key was removed', async () => {
    const site = await siteWith({ trusted: 2 })
    const { open, path, siteFolder, first } = site
    await install(site)
    strip(path)
    const { withoutKey } = await import('../../src/site/trust-changes.ts')
    const { trust } = pathsOf(siteFolder)
    await writeTrust(trust, withoutKey((await readTrust(trust))!, first.key.id, change))
    for (const unknown of ['opened', 'refused'] as const) {
      await using opened = await open({ unknown, now: new Date('2036-01-01T00:00:00Z') })
      expect(opened.bundles[0]?.trust.by).toBe('known')
    }
  })

  it('refuses every bundle where its record of keys was edited or deleted', async () => {
    const site = await siteWith()
    const { open, siteFolder } = site
    await install(site)
    const { trust } = pathsOf(siteFolder)
    const text = await readFile(trust, 'utf8')
    await writeFile(trust, text.replace('"confirmed"', '"rotation"'), { mode: 0o600 })
    for (const unknown of ['opened', 'refused'] as const)
      await expect(open({ unknown })).rejects.toMatchObject(refused('TRUST_INVALID', 'edited or is damaged'))
    await rm(trust)
    await expect(open()).rejects.toMatchObject(refused('TRUST_INVALID', 'trusted keys is missing'))
  })

  it('installs nothing unsigned where another run pinned its first key in the meantime', async () => {
    const { open, path, siteFolder, first } = await siteWith({ trusted: 0 })
    const { trust } = pathsOf(siteFolder)
    strip(path)
    await using opened = await open()
    expect(opened.bundles[0]?.trust.by).toBe('nothing')
    await pinConfirmedKeys(trust, opened)
    await writeTrust(trust, withKey(undefined, first.key, change))
    await expect(pinConfirmedKeys(trust, opened)).rejects.toMatchObject({ code: 'PLAN_CHANGED' })
  })

  it('refuses a --trust-key that it does not have, and ignores one that it has', async () => {
    const { open, first, second } = await siteWith()
    await expect(open({ trustKey: [second.publicFile] })).rejects.toMatchObject({
      code: 'USAGE',
      next: expect.stringContaining('keys add'),
    })
    await using opened = await open({ trustKey: [first.key.short, first.publicFile] })
    expect(opened.bundles).toHaveLength(1)
  })
})
