import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/core/digest.ts'
import { chartKind } from '../../../src/kinds/chart/index.ts'
import { parseSignerKeys } from '../../../src/oci-signatures/signer-keys.ts'
import { newKeyPair } from '../../oci-signatures/support/certificates.ts'
import { bundleType, keyBundle, statement } from '../../oci-signatures/support/sigstore.ts'
import { hasDockerRegistry } from '../../remote/support/docker-registry.ts'
import { expectKindContract, refused, temporaryFolder, testContext } from '../support/context.ts'
import { hasHelm, helm, helmManifest, put, putBlob, putManifest, registry } from './helm.ts'
import { chartTgz } from './support.ts'

describe.skipIf(!hasHelm || !hasDockerRegistry)('charts of a registry (needs helm, docker-registry)', () => {
  it('of older media types and inside an index are carried; a constraint is the newest tag', async () => {
    const [home, host] = [await temporaryFolder(), await registry()]
    const context = await testContext({ sources: [{ from: host, to: [`http://${host}`] }] })
    const [version, older] = ['1.2.3', '1.2.2']
    for (const one of [older, version]) {
      const archive = chartTgz({ version: one })
      const layer = { mediaType: 'application/tar+gzip', ...(await putBlob(host, archive)) }
      await putManifest(host, { tag: one, manifest: await helmManifest(host, { version: one, layer }) })
    }
    const request = { at: 'stack.yaml:5:5', name: 'web', repo: `oci://${host}/up`, version: '^1.2' }
    const locked = await chartKind.resolve(request, context)
    expect([locked.name, locked.layers[0]?.mediaType]).toEqual(['web-1.2.3', 'application/tar+gzip'])
    const [artifact] = await expectKindContract(chartKind, locked)
    await put(artifact!, { host, repository: 'charts/web', tag: '1.2.3', context })
    helm(home, ['pull', `oci://${host}/charts/web`, '--version', '1.2.3', '--plain-http'])
    expect(await readFile(join(home, 'web-1.2.3.tgz'))).toEqual(chartTgz({ version }))
    const index = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: locked.origin.type === 'oci' ? [locked.origin.manifest] : [],
    }
    await putManifest(host, { tag: '2.0.0', manifest: index })
    const inside = chartKind.resolve({ ...request, version: '2.0.0' }, context)
    expect((await refused(inside, 'UPSTREAM_INVALID')).message).toContain('it holds web 1.2.3')
    await putManifest(host, { tag: '1.2.3', manifest: index })
    expect(await chartKind.resolve({ ...request, version: '1.2.3' }, context)).toEqual(locked)
    // the signature of what the tag leads to: here, the index
    const { privateKey, publicKey } = newKeyPair()
    const signers = parseSignerKeys(publicKey.export({ format: 'pem', type: 'spki' }).toString(), 'x')
    const signed = { ...request, version: '1.2.3', signatures: [{ source: host, signers }] }
    expect((await refused(chartKind.resolve(signed, context), 'SIGNATURE_INVALID')).message).toContain(
      'the chart is not signed',
    )
    const root = digestOf(Buffer.from(JSON.stringify(index)))
    const bundle = Buffer.from(JSON.stringify(keyBundle(statement(root), privateKey)))
    const referrer = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      artifactType: bundleType,
      config: { mediaType: 'application/vnd.oci.empty.v1+json', ...(await putBlob(host, Buffer.from('{}'))) },
      layers: [{ mediaType: bundleType, ...(await putBlob(host, bundle)) }],
    }
    await putManifest(host, { tag: 'signature', manifest: referrer })
    const bytes = Buffer.from(JSON.stringify(referrer))
    const listed = { mediaType: referrer.mediaType, digest: digestOf(bytes), size: bytes.length }
    await putManifest(host, { tag: root.replace(':', '-'), manifest: { ...index, manifests: [listed] } })
    const [key] = signers
    const withSignature = await chartKind.resolve(signed, context)
    expect(withSignature).toEqual({ ...locked, signedBy: [key!.fingerprint] })
    expect(chartKind.describe(withSignature)[0]!.vouchedBy).toBe(`cosign key ${key!.fingerprint}`)
    const none = await refused(
      chartKind.resolve({ ...request, version: '>3' }, context),
      'NOT_FOUND_UPSTREAM',
    )
    expect(none.likely).toBe('available: 2.0.0, 1.2.3, 1.2.2')
  })

  it('are carried from an index whose other entries cannot be read; the lock names those', async () => {
    const host = await registry()
    const context = await testContext({ sources: [{ from: host, to: [`http://${host}`] }] })
    const layer = {
      mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
      ...(await putBlob(host, chartTgz({ version: '1.2.3' }))),
    }
    await putManifest(host, { tag: '1.2.3', manifest: await helmManifest(host, { version: '1.2.3', layer }) })
    const request = { at: 'stack.yaml:5:5', name: 'web', repo: `oci://${host}/up`, version: '1.2.3' }
    const { origin } = await chartKind.resolve(request, context)
    const own = origin.type === 'oci' ? [origin.manifest] : []
    const gone = { mediaType: own[0]!.mediaType, digest: `sha256:${'0'.repeat(64)}`, size: 10 }
    const index = (manifests: unknown[]) =>
      JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests })
    const entries = [gone, { mediaType: gone.mediaType, digest: `md5:${'0'.repeat(32)}`, size: 10 }]
    const serve = (manifests: unknown[]) => {
      const bytes = Buffer.from(index(manifests))
      const descriptor = {
        mediaType: 'application/vnd.oci.image.index.v1+json',
        digest: digestOf(bytes),
        size: bytes.length,
      }
      const manifest: typeof context.registry.manifest = reference =>
        reference.digest === undefined
          ? Promise.resolve({ bytes, descriptor })
          : context.registry.manifest(reference)
      return { ...context, registry: Object.assign(Object.create(context.registry), { manifest }) }
    }
    const locked = await chartKind.resolve(request, serve([...entries, ...own]))
    expect(locked.leftOut).toEqual([
      { name: `md5:${'0'.repeat(32)}`, reason: 'its digest is not a sha256 digest' },
      { name: gone.digest, reason: 'the registry does not have it' },
    ])
    expect((await refused(chartKind.resolve(request, serve(entries)), 'UNSUPPORTED')).likely).toContain(
      'md5:',
    )
  })

  it('may have 64 MiB, and more is exit 4', async () => {
    const host = await registry()
    const context = await testContext({ sources: [{ from: host, to: [`http://${host}`] }] })
    const request = { at: 'stack.yaml:5:5', name: 'web', repo: `oci://${host}/up`, version: '1.2.3' }
    const layer = { mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip' }
    const large = chartTgz({ entries: [{ path: 'web/large', text: randomBytes(20 << 20) }] })
    const manifest = await helmManifest(host, {
      version: '1.2.3',
      layer: { ...layer, ...(await putBlob(host, large)) },
    })
    await putManifest(host, { tag: '1.2.3', manifest })
    const locked = await chartKind.resolve(request, context)
    expect(locked.layers[0]?.size).toBe(large.length)
    const larger = await putBlob(host, Buffer.alloc((64 << 20) + 1))
    await putManifest(host, { tag: '1.2.3', manifest: { ...manifest, layers: [{ ...layer, ...larger }] } })
    expect((await refused(chartKind.resolve(request, context), 'UNSUPPORTED')).exitCode).toBe(4)
  })
})
