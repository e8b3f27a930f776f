import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { inputsDigest } from '../../src/resolve/inputs.ts'
import { load, refused } from './support.ts'

const newKey = () =>
  generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    .publicKey.export({ format: 'pem', type: 'spki' })
    .toString()
const files = { 'a.pub': newKey(), 'b.pub': newKey() }
const images = 'images: [registry.example/team/app:1, quay.io/x/y:1]\n'
const policy = (text: string) => load(`${images}signatures:\n${text}`, files)

describe('signatures of a manifest', () => {
  it('are required of the images of their source, and are part of the inputs', async () => {
    const without = await load(images)
    const one = await policy('  - {from: registry.example/team, cosign: [a.pub]}\n')
    const both = await policy('  - {from: registry.example/team, cosign: [a.pub, b.pub]}\n')
    const [app, other] = both.images
    expect(app?.signers?.map(({ source, keys }) => [source, keys.length])).toEqual([
      ['registry.example/team', 2],
    ])
    expect(other).not.toHaveProperty('signers')
    expect(new Set([without, one, both].map(inputsDigest)).size).toBe(3)
  })

  it.each([
    ['  - {from: registry.example/tean, cosign: [a.pub]}\n', 'MANIFEST_INVALID', 'no image is from'],
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

  it('may be for images of a variant that is not chosen', async () => {
    const variants = 'variants: {more: {description: x, images: [registry.example/more:1]}}\n'
    const manifest = await load(`${variants}signatures: [{from: registry.example, cosign: [a.pub]}]\n`, files)
    expect(manifest.images).toEqual([])
  })
})
