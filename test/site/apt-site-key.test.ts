import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openSiteKey } from '../../src/site/site-key.ts'
import { missing, must, run, tempFolder } from '../kinds/deb/support/programs.ts'
import { errorOf } from '../kinds/deb/support/resolve.ts'

const now = () => new Date()
const noGpg = missing('gpg').length > 0

describe('site key', () => {
  it('is generated once, private, and kept', async () => {
    await using temp = await tempFolder()
    const folder = join(temp.path, 'state/new')
    const first = await openSiteKey({ folder, now })
    const second = await openSiteKey({ folder, now })
    expect(second.fingerprint).toBe(first.fingerprint)
    expect(first.fingerprint).toMatch(/^[0-9A-F]{40}$/)
    expect((await stat(join(folder, 'site-key.asc'))).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['site-key.asc'])
    expect(first.publicKeyArmored).toContain('BEGIN PGP PUBLIC KEY BLOCK')
    expect(first.publicKeyArmored).not.toContain('PRIVATE')
  })

  it('is one key for servers that start at once', async () => {
    await using temp = await tempFolder()
    const keys = await Promise.all(Array.from({ length: 8 }, () => openSiteKey({ folder: temp.path, now })))
    expect(new Set(keys.map(key => key.fingerprint)).size).toBe(1)
    expect(await readdir(temp.path)).toEqual(['site-key.asc'])
  })

  it('is private under any umask', async () => {
    await using temp = await tempFolder()
    const module = join(import.meta.dirname, '../../src/site/site-key.ts')
    const script = `process.umask(0); const { openSiteKey } = await import(${JSON.stringify(module)});
      await openSiteKey({ folder: ${JSON.stringify(temp.path)}, now: () => new Date() })`
    await must(process.execPath, ['--input-type=module', '-e', script])
    expect((await stat(join(temp.path, 'site-key.asc'))).mode & 0o777).toBe(0o600)
  })

  it('is never replaced when damaged', async () => {
    await using temp = await tempFolder()
    const path = join(temp.path, 'site-key.asc')
    await openSiteKey({ folder: temp.path, now })
    const cut = (await readFile(path, 'utf8')).slice(0, 200)
    await writeFile(path, cut)
    const error = await errorOf(openSiteKey({ folder: temp.path, now }))
    expect(error.code).toBe('KEY_INVALID')
    expect(error.item).toBe(path)
    expect(error.next).toContain('restore it')
    expect(await readFile(path, 'utf8')).toBe(cut)
  })

  it('is refused if others could read it', async () => {
    await using temp = await tempFolder()
    await openSiteKey({ folder: temp.path, now })
    await chmod(join(temp.path, 'site-key.asc'), 0o640)
    const error = await errorOf(openSiteKey({ folder: temp.path, now }))
    expect(error.code).toBe('PERMISSION')
    expect(error.next).toContain('chmod 600')
  })

  it('reports where it cannot be written', async () => {
    await using temp = await tempFolder()
    await writeFile(join(temp.path, 'file'), '')
    const error = await errorOf(openSiteKey({ folder: join(temp.path, 'file/state'), now }))
    expect(error.code).toBe('FILE_NOT_FOUND')
    expect(error.item).toContain('site-key.asc')
  })

  it.skipIf(noGpg)('is an RSA key that gpg 2.2 can use, without expiry (needs gpg)', async () => {
    await using temp = await tempFolder()
    const key = await openSiteKey({ folder: join(temp.path, 'state'), now })
    const shown = await must('gpg', ['--homedir', temp.path, '--with-colons', '--show-keys'], {
      input: key.publicKeyArmored,
    })
    const fields = /^pub:.*$/m.exec(shown)![0].split(':')
    // algorithm 1 (RSA); field 7 is the expiry
    expect([fields[3], fields[6]]).toEqual(['1', ''])
    expect(shown).toContain(key.fingerprint)
  })

  it.skipIf(noGpg)(
    'signs text with dashes, trailing blanks and Korean as gpg reads it (needs gpg)',
    async () => {
      await using temp = await tempFolder()
      const key = await openSiteKey({ folder: join(temp.path, 'state'), now })
      await writeFile(join(temp.path, 'key.gpg'), key.publicKeyBinary)
      const text = 'Suite: 가\n- dash\n-----BEGIN\nblank\n'
      await writeFile(join(temp.path, 'text'), text)
      await writeFile(join(temp.path, 'clear'), await key.clearSign(text))
      await writeFile(join(temp.path, 'detached'), await key.detachSign(text))
      const gpgv = (...args: string[]) =>
        run('gpgv', ['--keyring', join(temp.path, 'key.gpg'), ...args], { cwd: temp.path })
      expect((await gpgv('clear')).status).toBe(0)
      expect((await gpgv('detached', 'text')).status).toBe(0)
    },
  )
})
