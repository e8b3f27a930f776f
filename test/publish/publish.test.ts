import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missingPrograms, run } from '../../scripts/lib/run.ts'
import { airgap, sha256File } from '../e2e/lib/airgap.ts'
import { lacking, type RegistryName, registries, type TestRegistry } from './registries.ts'
import { filesOf, good, pull, push, signedBundle } from './signed-bundle.ts'

/** `airgap push --as-bundle` and `airgap pull` by the built program, with real registries. */
const resources = new AsyncDisposableStack()
let work: string
let bundle: string

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'airgap-publish-'))
  resources.defer(() => rm(work, { recursive: true, force: true }))
  for (const name of ['release', 'other']) await good(['keygen', '--no-password', '--out', join(work, name)])
  bundle = await signedBundle(work, 'one')
}, 120_000)

afterAll(() => resources.disposeAsync())

async function start(
  name: RegistryName,
  options?: { login: { user: string; password: string } },
): Promise<TestRegistry> {
  const folder = await mkdtemp(join(work, `${name}-`))
  const registry = await registries[name](folder, options ?? {})
  resources.defer(() => registry.close())
  return registry
}

async function newFolder(): Promise<string> {
  return await mkdtemp(join(work, 'pulled-'))
}

describe.each(Object.keys(registries) as RegistryName[])('a bundle through %s', name => {
  const missing = lacking(name)

  describe.skipIf(missing.length > 0)(`(needs ${missing.join(', ') || 'nothing more'})`, () => {
    let registry: TestRegistry
    let reference: string
    beforeAll(async () => {
      registry = await start(name)
      reference = `${registry.host}/site/stack:1.0.0`
      expect(await push(bundle, reference)).toMatchObject({ code: 0 })
    })

    it('is the same bundle afterwards, with signatures and provenance', async () => {
      const out = join(await newFolder(), 'stack-one.tar')
      const ran = await pull(reference, out, '--public-key', join(work, 'release.pub'))
      expect(ran).toMatchObject({ code: 0 })
      expect(await filesOf(out)).toEqual(await filesOf(bundle))
      expect(JSON.parse(ran.stdout)).toMatchObject({ pulled: true, signed: { signers: [{}] } })
      expect(await airgap(['verify', out, '--public-key', join(work, 'release.pub')])).toMatchObject({
        code: 0,
      })
    })

    it('is uploaded once: a second push finds everything', async () => {
      const again = JSON.parse((await push(bundle, reference)).stdout)
      expect(again).toMatchObject({ uploaded: { blobs: 0, bytes: 0 } })
    })

    it('shares content with another version', async () => {
      const other = await signedBundle(work, 'two')
      const pushed = JSON.parse((await push(other, `${registry.host}/site/stack:1.1.0`)).stdout)
      expect(pushed.uploaded.bytes).toBeLessThan(1 << 20)
      const out = join(await newFolder(), 'stack.tar')
      const ran = await pull(`${registry.host}/site/stack:1.1.0`, out, '--reuse', bundle)
      expect(ran).toMatchObject({ code: 0 })
      expect(await sha256File(out)).toBe(await sha256File(other))
    })

    it('is not pulled with the key of somebody else', async () => {
      const out = join(await newFolder(), 'stack.tar')
      const ran = await pull(reference, out, '--public-key', join(work, 'other.pub'))
      expect(ran).toMatchObject({ code: 6 })
      expect(ran.stderr).toContain('UNTRUSTED')
      expect(await readdir(join(out, '..'))).toEqual([])
    })

    it('has the signatures of everybody who signed and pushed it', async () => {
      const copy = join(await newFolder(), 'stack-one.tar')
      expect(await pull(reference, copy)).toMatchObject({ code: 0 })
      await good(['sign', copy, '--sign-key', join(work, 'other.key')])
      expect(await push(copy, reference)).toMatchObject({ code: 0 })
      const out = join(await newFolder(), 'stack-one.tar')
      const keys = ['release.pub', 'other.pub'].flatMap(key => ['--public-key', join(work, key)])
      expect(await pull(reference, out, ...keys, '--threshold', '2')).toMatchObject({ code: 0 })
      expect(await filesOf(out)).toEqual(await filesOf(copy))
    })

    it.skipIf(missingPrograms(['oras']).length > 0)(
      'survives a mirror by oras cp -r (needs oras)',
      async () => {
        const mirror = await start(name)
        await run([
          'oras',
          'cp',
          '-r',
          '--from-plain-http',
          '--to-plain-http',
          reference,
          `${mirror.host}/m/stack:1.0.0`,
        ])
        const out = join(await newFolder(), 'stack-one.tar')
        const ran = await pull(`${mirror.host}/m/stack:1.0.0`, out, '--public-key', join(work, 'release.pub'))
        expect(ran).toMatchObject({ code: 0 })
        expect(await sha256File(out)).toBe(await sha256File(bundle))
      },
    )

    it.skipIf(missingPrograms(['skopeo']).length > 0)(
      'survives a mirror by skopeo copy --all (needs skopeo)',
      async () => {
        const mirror = await start(name)
        const options = ['--src-tls-verify=false', '--dest-tls-verify=false', '--all', '-q']
        await run([
          'skopeo',
          'copy',
          ...options,
          `docker://${reference}`,
          `docker://${mirror.host}/m/stack:1.0.0`,
        ])
        const out = join(await newFolder(), 'stack.tar')
        const digest = JSON.parse(await good(['verify', bundle, '-o', 'json'])).indexDigest
        expect(await pull(`${mirror.host}/m/stack:1.0.0`, out, '--expect', digest)).toMatchObject({ code: 0 })
        expect(await sha256File(out)).toBe(await sha256File(bundle))
      },
    )
  })
})
