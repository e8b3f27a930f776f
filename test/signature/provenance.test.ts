import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { provenanceOf } from '../../src/kinds/provenance.ts'
import type { Lock } from '../../src/lock/schema.ts'
import { envelopeSigners, parseEnvelope, printEnvelope, signEnvelope } from '../../src/signature/dsse.ts'
import { newSecretKey, openSecretKey } from '../../src/signature/minisign-secret-key.ts'
import { checkProvenance, provenancePath, writeProvenance } from '../../src/signature/provenance-file.ts'
import { sample, writtenStatement } from './stock.ts'

async function newSigner() {
  const { text } = await newSecretKey(undefined)
  return await openSecretKey(text, { item: 'k', askPassword: async () => '' })
}

const { index } = sample()
const digest = (digit: string) => `sha256:${digit.repeat(64)}` as const
const lock: Lock = {
  lockVersion: 1,
  name: 'sample',
  version: '1.0.0',
  platforms: ['linux/amd64'],
  inputs: digest('1'),
  collisions: {},
  runtime: [{ path: 'offline-deploy/node', mode: 0o755, digest: digest('2'), size: 1 }],
  items: {},
}
const statement = provenanceOf(lock, {
  index,
  manifest: { name: 'stack.yaml', digest: digest('3') },
  builder: 'https://ci.example/7',
  versions: { airgap: '0.1.0', node: '24.0.0' },
  started: new Date('2026-11-27T03:00:00.5Z'),
  finished: new Date('2026-11-27T03:20:00Z'),
})

describe('the provenance of a build', () => {
  it('is an in-toto statement of SLSA about index.json: manifest, lock, runtime, builder', () => {
    expect(statement).toMatchObject({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'index.json', digest: { sha256: 'a'.repeat(64) } }],
      predicateType: 'https://slsa.dev/provenance/v1',
      predicate: {
        buildDefinition: {
          externalParameters: {
            name: 'sample',
            manifest: { name: 'stack.yaml', digest: { sha256: '3'.repeat(64) } },
          },
          resolvedDependencies: [
            { name: 'lock.json' },
            { name: 'offline-deploy/node', digest: { sha256: '2'.repeat(64) } },
          ],
        },
        runDetails: {
          builder: { id: 'https://ci.example/7' },
          metadata: { startedOn: '2026-11-27T03:00:00Z', finishedOn: '2026-11-27T03:20:00Z' },
        },
      },
    })
  })

  it('is signed by several keys, one after the other; each signs once', async () => {
    const { bundle } = writtenStatement()
    const [one, two] = [await newSigner(), await newSigner()]
    const keys = [one.key, two.key]
    await writeProvenance(bundle, { index, statement, signers: [one] })
    const payload = parseEnvelope(readFileSync(provenancePath(bundle)))!.payload
    for (const signer of [two, two]) await writeProvenance(bundle, { index, signers: [signer] })
    const envelope = parseEnvelope(readFileSync(provenancePath(bundle)))!
    expect(envelope.payload).toEqual(payload)
    expect(envelope.signatures.map(({ keyid }) => keyid)).toEqual(keys.map(({ fingerprint }) => fingerprint))
    expect(await checkProvenance(bundle, { index, keys })).toEqual(keys)
    expect(await checkProvenance(bundle, { index, keys: [(await newSigner()).key] })).toEqual([])
  })

  it('is refused if it was edited, is that of another bundle, or is something else', async () => {
    const { bundle } = writtenStatement()
    const signer = await newSigner()
    await writeProvenance(bundle, { index, statement, signers: [signer] })
    const path = provenancePath(bundle)
    const check = (about = index) => checkProvenance(bundle, { index: about, keys: [signer.key] })
    const invalid = { code: 'SIGNATURE_INVALID' }
    await expect(check(digest('f'))).rejects.toMatchObject(invalid)
    const envelope = parseEnvelope(readFileSync(path))!
    const payload = Buffer.from(envelope.payload.toString().replace('ci.example', 'evil.test'))
    for (const text of [
      printEnvelope({ ...envelope, payload }),
      printEnvelope({ ...envelope, payloadType: 'text/x' }),
      '{}',
      '',
    ]) {
      writeFileSync(path, text)
      await expect(check()).rejects.toMatchObject(invalid)
    }
    rmSync(path)
    expect(await check()).toBeUndefined()
  })

  it('is never anything but an envelope or refused, whatever the bytes', async () => {
    const signer = await newSigner()
    const small = { payloadType: 'application/vnd.in-toto+json', payload: Buffer.from('{}'), signatures: [] }
    const signed = await signEnvelope(small, signer)
    const bytes = Buffer.from(printEnvelope(signed))
    const edit = fc.record({
      at: fc.nat(bytes.length - 1),
      cut: fc.nat(3),
      put: fc.uint8Array({ maxLength: 3 }),
    })
    fc.assert(
      fc.property(edit, ({ at, cut, put }) => {
        const found = parseEnvelope(Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + cut)]))
        if (found === undefined) return
        const { payloadType, payload } = found
        if ((envelopeSigners(found, [signer.key])?.length ?? 0) > 0)
          expect({ payloadType, payload }).toEqual({
            payloadType: signed.payloadType,
            payload: signed.payload,
          })
      }),
      { numRuns: 500 },
    )
  })
})
