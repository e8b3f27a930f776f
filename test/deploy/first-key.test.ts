import { readFile, rename, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { adviceLines } from '../../src/cli/shell/trust-text.ts'
import { trustAdvice } from '../../src/deploy/trust-view.ts'
import { signaturePath } from '../../src/signature/files.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { minisignTestKey, sign, strip } from './support/signed-bundle.ts'
import { refused, siteWith } from './support/trusting-site.ts'

describe.skipIf(!hasTool('ssh-keygen'))('a site without keys (needs ssh-keygen)', () => {
  const none = { trusted: 0 }
  const ask = (answer: boolean, asked: string[] = []) => ({
    by: 'kim',
    confirm: async ({ words }: { words: string }) => {
      asked.push(words)
      return answer
    },
  })

  it('opens signed and unsigned bundles, and says that nobody has confirmed the key', async () => {
    const { open, path, first } = await siteWith(none)
    await using signed = await open()
    expect(signed.record).toBeUndefined()
    expect(signed.bundles[0]?.trust).toMatchObject({
      by: 'nothing',
      signers: [],
      unconfirmed: [{ fingerprint: first.key.fingerprint }],
    })
    strip(path)
    await using unsigned = await open({ first: ask(true) })
    expect(unsigned.bundles[0]?.trust).toMatchObject({ by: 'nothing', unconfirmed: [] })
  })

  it('pins the key that a person confirms', async () => {
    const { open, first } = await siteWith(none)
    const asked: string[] = []
    await using opened = await open({ first: ask(true, asked) })
    expect(asked).toEqual([first.key.words])
    expect(opened.record).toMatchObject({ threshold: 1, keys: [{ by: 'kim', how: 'confirmed' }] })
    expect(opened.bundles[0]?.trust).toMatchObject({ by: 'signed', unconfirmed: [] })
    await expect(open({ first: ask(false) })).rejects.toMatchObject(refused('UNTRUSTED', 'was not confirmed'))
  })

  it('advises to require as many signatures as its first bundle has', async () => {
    const { open, path, first, second } = await siteWith(none)
    strip(path)
    second.sign(`${path}.sums`)
    await rename(`${path}.sums.sig`, signaturePath(`${path}.sums`, { format: 'ssh', id: second.key.id }))
    first.sign(`${path}.sums`)
    const spare = { required: 1, signatures: 2 }
    await using both = await open({ first: ask(true) })
    expect(trustAdvice(both)).toEqual({ unpinned: [], spare: { ...spare, keys: 2 } })
    expect(adviceLines(trustAdvice(both)).join()).toContain('`offline-deploy keys threshold 2` requires 2')
    await using one = await open({ trustKey: [first.publicFile] })
    expect(trustAdvice(one)).toEqual({ unpinned: [], spare: { ...spare, keys: 1 } })
    expect(adviceLines(trustAdvice(one)).join()).toContain('keys add FILE')
    await using named = await open({ trustKey: [first.publicFile, second.publicFile] })
    expect(trustAdvice(named).spare).toEqual({ ...spare, keys: 2 })
  })

  it('takes the key as a file, or by its fingerprint, without a terminal', async () => {
    const { open, path, first, second } = await siteWith(none)
    const { short, fingerprint } = first.key
    for (const named of [first.publicFile, short, short.replaceAll(' ', '').toLowerCase(), fingerprint]) {
      await using opened = await open({ trustKey: [named], first: { by: 'kim', confirm: undefined } })
      expect(opened.record?.keys.map(({ key }) => key.fingerprint)).toEqual([fingerprint])
    }
    for (const named of [second.publicFile, second.key.short])
      await expect(open({ trustKey: [named] })).rejects.toMatchObject({ code: 'UNTRUSTED', exitCode: 6 })
    strip(path)
    await expect(open({ trustKey: [first.publicFile] })).rejects.toMatchObject(
      refused('UNTRUSTED', 'not signed'),
    )
    await expect(open({ trustKey: ['no-such-file'] })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(open({ trustKey: [path] })).rejects.toMatchObject({ exitCode: 2 })
  })

  it('requires the key, or the digest, where a signed bundle is installed without a terminal', async () => {
    const { open, path, write, first } = await siteWith(none)
    const { index } = await write()
    sign(path, first)
    const run = { first: { by: 'kim', confirm: undefined } }
    await expect(open(run)).rejects.toMatchObject({
      code: 'USAGE',
      item: expect.stringContaining(first.key.words),
      next: expect.stringContaining('--trust-key FINGERPRINT'),
    })
    await using opened = await open({ ...run, expect: [index] })
    expect(opened.bundles[0]?.trust.by).toBe('expected')
    const advice = trustAdvice(opened)
    expect(advice).toMatchObject({ unpinned: [{ words: first.key.words }], spare: null })
    expect(adviceLines(advice)).toEqual([
      expect.stringContaining('no key is pinned: --expect vouched for this bundle only'),
      expect.stringContaining(first.key.words),
      expect.stringContaining('apply --trust-key FINGERPRINT'),
    ])
  })

  it.skipIf(!hasTool('minisign'))(
    'needs the key itself where the signature does not contain it (needs minisign)',
    async () => {
      const { open, path, siteFolder } = await siteWith(none)
      const key = minisignTestKey(siteFolder, 'm')
      sign(path, key)
      await expect(open({ first: ask(true) })).rejects.toMatchObject({
        code: 'USAGE',
        next: expect.stringContaining('--trust-key FILE'),
      })
      await expect(open({ trustKey: [key.key.short] })).rejects.toMatchObject({
        code: 'USAGE',
        next: expect.stringContaining('--trust-key FILE'),
      })
      await using opened = await open({ trustKey: [key.publicFile] })
      expect(opened.bundles[0]?.trust.by).toBe('signed')
    },
  )

  it('refuses wrong signatures all the same', async () => {
    const { open, path, write } = await siteWith(none)
    const signature = await readFile(`${path}.sums.sig`)
    await write({ image: 'quay.io/evil/b:1' })
    await writeFile(`${path}.sums.sig`, signature)
    await expect(open()).rejects.toMatchObject(refused('SIGNATURE_INVALID', 'the signature is wrong'))
  })
})
