import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { inputsDigest } from '../../src/resolve/inputs.ts'
import { startSigstore } from '../oci-signatures/support/sigstore.ts'
import { load, refused } from './support.ts'

const newKey = () =>
  generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    .publicKey.export({ format: 'pem', type: 'spki' })
    .toString()
const instance = startSigstore()
const files = {
  'a.pub': newKey(),
  'b.pub': newKey(),
  'root.json': JSON.stringify(instance.trustedRoot),
  'ca.pem': instance.root.pem,
}
const images = 'images: [registry.example/team/app:1, quay.io/x/y:1]\n'
const policy = (text: string) => load(`${images}signatures:\n${text}`, files)

describe('signatures of a manifest', () => {
  it('are required of the images of their source, and are part of the inputs', async () => {
    const without = await load(images)
    const one = await policy('  - {from: registry.example/team, cosign: [a.pub]}\n')
    const both = await policy('  - {from: registry.example/team, cosign: [a.pub, b.pub]}\n')
    const [app, other] = both.images
    expect(app?.signatures?.map(({ source, signers }) => [source, signers.length])).toEqual([
      ['registry.example/team', 2],
    ])
    expect(other).not.toHaveProperty('signatures')
    expect(new Set([without, one, both].map(inputsDigest)).size).toBe(3)
  })

  it.each([
    [
      '  - {from: registry.example/tean, cosign: [a.pub]}\n',
      'MANIFEST_INVALID',
      'no image and no chart of a registry is from',
    ],
    [
      '  - {from: quay.io, cosign: [a.pub]}\n  - {from: QUAY.io, cosign: [b.pub]}\n',
      'MANIFEST_INVALID',
      'two entries',
    ],
    ['  - {from: quay.io, cosign: [gone.pub]}\n', 'FILE_NOT_FOUND', 'does not exist'],
    ['  - {from: quay.io, cosign: [stack.yaml]}\n', 'KEY_INVALID', 'not a public key in PEM form'],
    ['  - {from: quay.io, cosign: []}\n', 'MANIFEST_INVALID', 'must not be empty'],
    ['  - {from: "quay.io/x/y:1", cosign: [a.pub]}\n', 'MANIFEST_INVALID', 'without a tag'],
    ['  - {from: team/app, cosign: [a.pub]}\n', 'MANIFEST_INVALID', 'must be a registry host'],
  ] as const)('are refused: %s', async (text, code, message) => {
    expect((await refused(policy(text), code)).message).toContain(message)
  })

  it.each([
    [
      'keyless: {trustedRoot: a.pub, identities: [{identity: a@b.example, issuer: x}]}',
      'KEY_INVALID',
      'is not a trusted root',
    ],
    [
      'keyless: {trustedRoot: gone, identities: [{identity: a@b.example, issuer: x}]}',
      'FILE_NOT_FOUND',
      'does not exist',
    ],
    [
      'keyless: {trustedRoot: root.json, identities: [{identity: "https://github.com/**", issuer: x}]}',
      'MANIFEST_INVALID',
      'matches strangers',
    ],
    [
      'keyless: {trustedRoot: root.json, identities: [{identity: "https://*.example/a/b", issuer: x}]}',
      'MANIFEST_INVALID',
      'matches strangers',
    ],
    [
      'keyless: {trustedRoot: root.json, identities: [{identity: "*", issuer: x}]}',
      'MANIFEST_INVALID',
      'matches strangers',
    ],
    [
      'keyless: {trustedRoot: root.json, identities: [{identity: "a@*.example", issuer: x}]}',
      'MANIFEST_INVALID',
      'matches strangers',
    ],
    ['keyless: {trustedRoot: root.json, identities: []}', 'MANIFEST_INVALID', 'must not be empty'],
    [
      'notation: {certificates: [a.pub], trustedIdentities: ["*"]}',
      'KEY_INVALID',
      'not a list of certificates',
    ],
    [
      'notation: {certificates: [ca.pem], trustedIdentities: [example]}',
      'MANIFEST_INVALID',
      'not a trusted identity',
    ],
    ['', 'MANIFEST_INVALID', 'must name the signers'],
  ] as const)('of other signers are refused: %s', async (text, code, message) => {
    const signers = text === '' ? '' : `, ${text}`
    expect((await refused(policy(`  - {from: quay.io${signers}}\n`), code)).message).toContain(message)
  })

  it('are required of charts of a registry, too, and each signer is part of the inputs', async () => {
    const charts = 'charts: [{name: web, repo: "oci://quay.io/x", version: 1.0.0}]\nimages: []\n'
    const identity = (tag: string) =>
      `keyless: {trustedRoot: root.json, identities: [{identity: "https://github.com/a/b@${tag}", issuer: x}]}`
    const notation = (organization: string) =>
      `notation: {certificates: [ca.pem], trustedIdentities: ["x509.subject: C=US, ST=WA, O=${organization}"]}`
    const texts = ['', identity('v1'), identity('*'), notation('a'), notation('b'), 'cosign: [a.pub]']
    const manifests = await Promise.all(
      texts.map(text =>
        load(text === '' ? charts : `${charts}signatures: [{from: quay.io/x/web, ${text}}]\n`, files),
      ),
    )
    expect(manifests.map(({ charts: [chart] }) => chart?.signatures?.[0]?.signers[0]?.type)).toEqual([
      undefined,
      'keyless',
      'keyless',
      'notation',
      'notation',
      'key',
    ])
    expect(new Set(manifests.map(inputsDigest)).size).toBe(texts.length)
  })

  it('may be for images of a variant that is not chosen', async () => {
    const variants = 'variants: {more: {description: x, images: [registry.example/more:1]}}\n'
    const manifest = await load(`${variants}signatures: [{from: registry.example, cosign: [a.pub]}]\n`, files)
    expect(manifest.images).toEqual([])
  })
})
