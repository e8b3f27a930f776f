import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadManifest } from '../../src/manifest/load.ts'
import { inputsDigest } from '../../src/resolve/inputs.ts'
import { stackOf } from '../assemble/support.ts'

const digestOf = async (text: string, files: Record<string, string> = {}) =>
  inputsDigest(await loadManifest((await stackOf(text, files)).manifest))

const deb = (keys: string) =>
  `debs:\n  - {name: d, archive: "http://x.example", suite: s, keys: [${keys}], packages: [jq, socat]}\n`
const whole = [
  'images:\n  - busybox:1\n  - {ref: nginx:1.27, from: quay.io/x/nginx}\n',
  'charts:\n  - {name: a, repo: "https://x.example", version: 1.0.0}\n  - {name: b, repo: "oci://x.example/c", version: 1.0.0}\n',
  'files:\n  - {url: "https://x.example/a"}\n  - {url: "https://x.example/b", executable: true}\n',
  deb('keys/a.asc, ../b.asc, /etc/c.asc'),
  'trees:\n  - {name: t, from: deploy, exclude: ["*.bak"]}\n',
]

describe('the digest of inputs', () => {
  it('does not depend on the folder, even if the keys are elsewhere', async () => {
    const one = await loadManifest((await stackOf(whole.join(''))).manifest)
    const deeper = await stackOf('', {
      'a/b/c/stack.yaml': `apiVersion: airgap/v1\nname: demo\nversion: 1.0.0\n${whole.join('')}`,
    })
    const two = await loadManifest(join(deeper.folder, 'a/b/c/stack.yaml'))
    expect(inputsDigest(two)).toBe(inputsDigest(one))
    expect(two.debs[0]?.sources[0]?.keys[2]).toBe('/etc/c.asc')
  })

  it('does not depend on order, comments, lists or mirrors', async () => {
    const listed =
      '# a comment\nimages: [{ref: nginx:1.27, from: quay.io/x/nginx}, {list: l.txt}]\nsources: [{from: docker.io, to: [m.example]}]\n'
    expect(await digestOf(listed, { 'l.txt': 'busybox:1\n' })).toBe(await digestOf(whole[0]!))
    const turned = whole[1]!.split('\n').filter(Boolean)
    expect(await digestOf(`${[turned[0], turned[2], turned[1]].join('\n')}\n`)).toBe(
      await digestOf(whole[1]!),
    )
    expect(await digestOf(whole.toReversed().join(''))).toBe(await digestOf(whole.join('')))
  })

  it('depends on everything that is requested', async () => {
    const texts = [
      '',
      'platforms: [linux/arm64]\n',
      'firstUse: refuse\n',
      'collisions: {nginx: docker.io}\n',
      'images: [busybox:1]\n',
      'images: [busybox:2]\n',
      'images: [{ref: busybox:1, from: quay.io/b}]\n',
      'images: [{ref: busybox:1, referrers: true}]\n',
      'images: [{ref: busybox:1, foreignLayers: fetch}]\n',
      'images: [{ref: busybox:1, platforms: [linux/arm64]}]\n',
      'charts: [{name: a, repo: "https://x.example", version: 1.0.0}]\n',
      `charts: [{name: a, repo: "https://x.example", version: 1.0.0, sha256: ${'a'.repeat(64)}}]\n`,
      'files: [{url: "https://x.example/a"}]\n',
      'files: [{url: "https://x.example/a", executable: true}]\n',
      'files: [{url: "https://x.example/a", path: b}]\n',
      deb('a.asc'),
      deb('b.asc'),
      deb('a.asc').replace('jq, ', ''),
      deb('a.asc').replace('suite: s', 'suite: s, recommends: true'),
      'trees: [{name: t, from: deploy}]\n',
      'trees: [{name: t, from: other}]\n',
      'trees: [{name: t, from: deploy, exclude: [x]}]\n',
    ]
    const digests = await Promise.all(texts.map(text => digestOf(text)))
    expect(new Set(digests).size).toBe(texts.length)
  })
})
