import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { enums, readPrivateKey, revokeKey } from 'openpgp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rpmKind } from '../../../src/kinds/rpm/index.ts'
import { lackingForRpm, makeRpms, signRpms } from '../../site/support/rpm.ts'
import { publishYum, rpmOf } from '../../site/support/yum-publisher.ts'
import { Gpg } from '../deb/support/archive.ts'
import { tempFolder } from '../deb/support/programs.ts'
import { withContext } from '../deb/support/resolve.ts'
import { serveFolder } from '../deb/support/server.ts'

describe.skipIf(lackingForRpm.length > 0)(
  `the key of a package (needs ${lackingForRpm.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let folder: string
    let gpg: Gpg

    beforeAll(async () => {
      folder = resources.use(await tempFolder()).path
      gpg = resources.use(await Gpg.open(join(folder, 'gnupg')))
      await gpg.makeKey('publisher', { algorithm: 'rsa3072' })
      await gpg.exportTo(join(folder, 'publisher.asc'), 'publisher')
    }, 60_000)
    afterAll(() => resources.disposeAsync())

    /** A key of 2020, and a package that it signed in the middle of that year unless `at` says otherwise. */
    async function signed(
      name: string,
      options: { expires?: string; at?: string; digest?: string; extend?: true } = {},
    ): Promise<{ place: string; key: string }> {
      const place = join(folder, name)
      const { expires = 'never', at = '20200601T000000', digest = 'sha256' } = options
      await gpg.makeKey(name, { algorithm: 'rsa3072', at: '20200101T000000', expires })
      const key = await gpg.exportTo(join(folder, `${name}.asc`), name)
      if (options.extend) await gpg.run('--quick-set-expire', await gpg.fingerprint(name), 'never')
      await makeRpms(place, { gpgHome: gpg.home, packages: [{ name: 'app' }] })
      await signRpms([await rpmOf(place, 'app')], { gpgHome: gpg.home, user: name, at, digest })
      return { place, key }
    }

    async function revoke(name: string, key: string, flag: number, date: Date): Promise<void> {
      const armored = await gpg.run('--armor', '--export-secret-keys', `${name}@example.org`)
      const { publicKey } = await revokeKey({
        key: await readPrivateKey({ armoredKey: armored }),
        reasonForRevocation: { flag },
        date,
        format: 'armored',
      })
      await writeFile(key, publicKey)
    }

    async function lock(
      { place, key }: { place: string; key: string },
      list: { user: string; at?: string } = { user: 'publisher@example.org' },
    ) {
      const layout = { packages: { 'app.rpm': { from: await rpmOf(place, 'app') } } }
      await publishYum(join(place, 'r'), layout, { gpg, ...list })
      await using server = await serveFolder(join(place, 'r'))
      const keys = [join(folder, 'publisher.asc'), key]
      const request = {
        at: 'stack.yaml:5:5',
        name: 'el9',
        platform: 'platform:el9',
        repositories: [
          {
            id: 'r',
            baseurl: server.url,
            keys,
            keysAsWritten: keys,
            metadata: 'signed' as const,
            packages: 'signed' as const,
            priority: 99,
            excludepkgs: [],
            moduleHotfixes: false,
          },
        ],
        architectures: ['x86_64'],
        modules: [],
        packages: ['app'],
        kernelPackages: [],
        weak: false,
        base: { type: 'none' as const },
      }
      await mkdir(join(place, 'lock'))
      return await withContext({ folder: join(place, 'lock') }, context => rpmKind.resolve(request, context))
    }

    it('may have expired since', async () => {
      const one = await signed('expired', { expires: '2021-01-01' })
      expect((await lock(one)).packages[0]!.signedBy).toBe(await gpg.fingerprint('expired'))
    })

    it('must not have expired before', async () => {
      const one = await signed('late', { expires: '2021-01-01', at: '20220601T000000', extend: true })
      await expect(lock(one)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' })
    })

    it.each([
      ['retired', enums.reasonForRevocation.keyRetired],
      ['superseded', enums.reasonForRevocation.keySuperseded],
    ])('may have been %s since, and not before', async (name, flag) => {
      const one = await signed(name)
      await revoke(name, one.key, flag, new Date('2021-01-01'))
      expect((await lock(one)).packages).toHaveLength(1)
      const late = await signed(`${name}-late`, { at: '20210601T000000' })
      await revoke(`${name}-late`, late.key, flag, new Date('2021-01-01'))
      await expect(lock(late)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' })
    })

    it.each([
      ['compromised', enums.reasonForRevocation.keyCompromised],
      ['revoked', enums.reasonForRevocation.noReason],
    ])('counts for nothing once it was %s', async (name, flag) => {
      const one = await signed(name)
      await revoke(name, one.key, flag, new Date('2021-01-01'))
      await expect(lock(one)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' })
    })

    it('must not sign with SHA-1', async () => {
      await expect(lock(await signed('sha1', { digest: 'sha1' }))).rejects.toMatchObject({
        code: 'SIGNATURE_INVALID',
        message: expect.stringMatching(/sha1/i),
      })
    })

    it('is judged otherwise in a list of packages, as dnf does: it must be valid now', async () => {
      const one = await signed('list', { expires: '2021-01-01' })
      const list = { user: 'list@example.org', at: '20200601T000000' }
      await expect(lock(one, list)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' })
    })
  },
)
