import { spawn, spawnSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parseReference } from '../../src/core/reference.ts'
import { imageKind } from '../../src/kinds/image/index.ts'
import { policiesFor, type SignaturePolicy } from '../../src/oci-signatures/policy.ts'
import { parseSignerKeys } from '../../src/oci-signatures/signer-keys.ts'
import { type Put, types, Upstream } from '../kinds/image/support.ts'

const cosignVersion =
  /GitVersion:\s+v(\S+)/.exec(spawnSync('cosign', ['version']).stdout?.toString() ?? '')?.[1] ?? ''
const amd64 = { os: 'linux', architecture: 'amd64' }
const keyPairs = {
  'ECDSA P-256': () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
  Ed25519: () => generateKeyPairSync('ed25519'),
  RSA: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
}
const pem = (key: KeyObject) => key.export({ format: 'pem', type: 'spki' }).toString()
const policyFor = (key: KeyObject, source = 'registry.example/team') =>
  ({
    source,
    signers: parseSignerKeys(pem(key), 'test.pub'),
  }) satisfies SignaturePolicy
const payloadOf = (
  digest: string,
  name = 'registry.example/team/app',
  type = 'cosign container image signature',
) =>
  Buffer.from(
    JSON.stringify({
      critical: { identity: { 'docker-reference': name }, image: { 'docker-manifest-digest': digest }, type },
      optional: null,
    }),
  )
const signatureBy = (key: KeyObject, payload: Buffer) =>
  sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', payload, key).toString('base64')

/** A manifest with one layer for each signature, as cosign 2 writes it. */
function attach(
  upstream: Upstream,
  {
    image,
    signatures,
    as,
  }: { image: Put; signatures: { payload: Buffer; signature: string }[]; as: 'tag' | 'referrer' },
): void {
  const layers = signatures.map(({ payload, signature }) => ({
    ...upstream.registry.putBlob(payload, 'application/vnd.dev.cosign.simplesigning.v1+json'),
    annotations: { 'dev.cosignproject.cosign/signature': signature },
  }))
  const config = upstream.registry.putBlob(Buffer.from('{"architecture":"","os":""}'), types.config)
  const artifactType = 'application/vnd.dev.cosign.artifact.sig.v1+json'
  const tag = image.digest.replace(':', '-')
  if (as === 'tag') upstream.manifest({ mediaType: types.manifest, config, layers }, `${tag}.sig`)
  else {
    const put = upstream.manifest({ mediaType: types.manifest, artifactType, config, layers, subject: image })
    upstream.index([{ ...put, artifactType }], tag)
  }
}

describe('a required signature of cosign', () => {
  for (const [name, pair] of Object.entries(keyPairs))
    for (const as of ['tag', 'referrer'] as const)
      it(`by an ${name} key is found as a ${as}, and the lock names the key`, async () => {
        const upstream = await Upstream.start()
        const { publicKey, privateKey } = pair()
        const other = keyPairs.Ed25519()
        const image = upstream.image(amd64, '1')
        const payload = payloadOf(image.digest)
        const signatures = [
          // one by somebody else does no harm
          { payload, signature: signatureBy(other.privateKey, payload) },
          { payload, signature: signatureBy(privateKey, payload) },
        ]
        attach(upstream, { image, signatures, as })
        const policy = policyFor(publicKey)
        const locked = await upstream.lock({ signatures: [policy] })
        expect(locked.signedBy).toEqual([policy.signers[0]!.fingerprint])
        expect(imageKind.describe(locked)[0]!.vouchedBy).toBe(`cosign key ${policy.signers[0]!.fingerprint}`)
        expect(await upstream.lock()).not.toHaveProperty('signedBy')
      })

  const { publicKey, privateKey } = keyPairs['ECDSA P-256']()
  const signed = (payload: Buffer) => ({ payload, signature: signatureBy(privateKey, payload) })
  const wrong: [string, (image: Put, other: Put) => { payload: Buffer; signature: string }, string][] = [
    ['for another image', (_, other) => signed(payloadOf(other.digest)), 'a signature is for "sha256:'],
    [
      'for another name',
      ({ digest }) => signed(payloadOf(digest, 'registry.example/team/other')),
      'for the name "registry.example/team/other"',
    ],
    [
      'of another type',
      ({ digest }) => signed(payloadOf(digest, undefined, 'x')),
      'not the signature of an image',
    ],
    [
      'by another key',
      ({ digest }) => {
        const payload = payloadOf(digest)
        return { payload, signature: signatureBy(keyPairs['ECDSA P-256']().privateKey, payload) }
      },
      'by another key',
    ],
    [
      'over another payload',
      ({ digest }, other) => ({
        payload: payloadOf(digest),
        signature: signatureBy(privateKey, payloadOf(other.digest)),
      }),
      'by another key',
    ],
    ['that is not JSON', () => signed(Buffer.from('{')), 'not the signature of an image'],
    ['that is too large', () => signed(Buffer.alloc(65 * 1024, ' ')), 'larger than 65536 bytes'],
    ['that is empty', ({ digest }) => ({ payload: payloadOf(digest), signature: '' }), ''],
  ]
  it.each(wrong)('%s stops the lock', async (_, signatureOf, reason) => {
    const upstream = await Upstream.start()
    const image = upstream.image(amd64, '1')
    attach(upstream, { image, signatures: [signatureOf(image, upstream.image(amd64))], as: 'tag' })
    const failure = await upstream.lock({ signatures: [policyFor(publicKey)] }).catch(error => error)
    expect(failure).toMatchObject({ code: 'SIGNATURE_INVALID', exitCode: 6 })
    expect(failure.likely ?? '').toContain(reason)
  })

  it('is missing: the lock stops, also where only another source of the image has one', async () => {
    const upstream = await Upstream.start()
    const image = upstream.image(amd64, '1')
    const policy = policyFor(publicKey)
    await expect(upstream.lock({ signatures: [policy] })).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
      message: expect.stringContaining('the image is not signed'),
    })
    attach(upstream, { image, signatures: [signed(payloadOf(image.digest))], as: 'tag' })
    const second = policyFor(keyPairs.Ed25519().publicKey, 'mirror.example')
    await expect(upstream.lock({ signatures: [policy, second] })).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
    })
  })

  it.skipIf(!cosignVersion.startsWith('2.'))(
    'that cosign made is accepted by both, and its absence refused by both (needs cosign 2)',
    async () => {
      const upstream = await Upstream.start((request, response) => {
        // cosign checks that this is a registry
        if (request.url !== '/v2/') return false
        response.writeHead(200).end('{}')
        return true
      })
      const host = upstream.registry.upstream.origin.replace('http://', '')
      const folder = mkdtempSync(join(tmpdir(), 'airgap-cosign-'))
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
      const cosign = (...args: string[]) =>
        new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve, reject) => {
          const child = spawn('cosign', args, {
            cwd: folder,
            env: { ...process.env, HOME: folder, COSIGN_PASSWORD: '' },
          })
          let stdout = ''
          let stderr = ''
          child.stdout.on('data', chunk => {
            stdout += chunk
          })
          child.stderr.on('data', chunk => {
            stderr += chunk
          })
          child.on('error', reject)
          child.on('close', status => resolve({ status, stdout, stderr }))
        })
      expect((await cosign('generate-key-pair')).status).toBe(0)
      const keys = parseSignerKeys(readFileSync(join(folder, 'cosign.pub'), 'utf8'), 'cosign.pub')
      const policies = [{ source: host, signers: keys }]
      const image = upstream.image(amd64, '1')
      const name = `${host}/team/app:1`
      const check = () =>
        cosign('verify', '--key', 'cosign.pub', '--insecure-ignore-tlog', '--allow-http-registry', name)
      expect((await check()).stderr).toContain('no signatures found')
      await expect(upstream.lock({ host, signatures: policies })).rejects.toMatchObject({
        code: 'SIGNATURE_INVALID',
      })
      const { stdout } = await cosign('generate', '--allow-http-registry', name)
      writeFileSync(join(folder, 'payload'), stdout)
      const blob = ['sign-blob', '--yes', '--key', 'cosign.key', '--tlog-upload=false', 'payload']
      const signature = (await cosign(...blob)).stdout.trim()
      attach(upstream, { image, signatures: [{ payload: Buffer.from(stdout), signature }], as: 'tag' })
      expect(await check()).toMatchObject({ status: 0 })
      expect((await upstream.lock({ host, signatures: policies })).signedBy).toEqual([keys[0]!.fingerprint])
    },
    60_000,
  )
})

describe('keys of publishers', () => {
  it.each([
    ['a secret key', () => keyPairs.Ed25519().privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()],
    ['an RSA key of 1024 bits', () => pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey)],
    [
      'an RSA key with the exponent 3',
      () => pem(generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).publicKey),
    ],
    ['a key for RSA-PSS', () => pem(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey)],
    ['a key of another curve', () => pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey)],
    ['a key for key exchange', () => pem(generateKeyPairSync('x25519').publicKey)],
    ['text around a key', () => `${pem(keyPairs.Ed25519().publicKey)}more`],
    ['an empty file', () => '\n'],
  ])('refuse %s', (_, text) => {
    expect(() => parseSignerKeys(text(), 'x.pub')).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }))
  })

  it('are those of the longest prefix, for both names of an image', () => {
    const policies = ['docker.io', 'docker.io/team', 'mirror.example'].map(source => ({
      source,
      signers: [],
    }))
    const sourcesOf = (reference: string, from = reference) =>
      policiesFor([parseReference(reference), parseReference(from)], policies).map(({ source }) => source)
    expect(sourcesOf('team/app:1')).toEqual(['docker.io/team'])
    expect(sourcesOf('teams/app:1')).toEqual(['docker.io'])
    expect(sourcesOf('team/app:1', 'MIRROR.example:443/x:1')).toEqual(['docker.io/team', 'mirror.example'])
    expect(sourcesOf('mirror.example.org/team/app:1')).toEqual([])
  })
})
