import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadManifest } from '../../src/manifest/load.ts'
import { withTestLayer } from '../../src/manifest/test-layer.ts'
import { inputsDigest } from '../../src/resolve/inputs.ts'
import { folderWith, head, load, refused } from './support.ts'

const secret = 'hunt3r2'
const keys = 'keys: [k.asc]'
/** Each place of a manifest that accepts the address of a server, here `URL`. */
const places: [string, string][] = [
  ['debs, one suite', `debs:\n  - {name: d, archive: "URL", suite: s, ${keys}, packages: [pkg]}\n`],
  [
    'debs, several',
    `debs:\n  - name: d\n    sources: [{archive: "http://x.example/d", suites: [s], ${keys}}, {archive: "URL", suites: [s, t], ${keys}}]\n    packages: [pkg]\n`,
  ],
  [
    'rpms',
    `rpms:\n  - name: el9\n    repositories: [{id: a, baseurl: "URL", ${keys}}]\n    packages: [pkg]\n`,
  ],
  [
    'wheels',
    'wheels:\n  - {name: w, indexes: ["https://pypi.org/simple/", "URL"], packages: [pkg], pythons: ["3.11"]}\n',
  ],
  ['charts', 'charts:\n  - {name: c, repo: "URL", version: 1.0.0}\n'],
  ['files', 'files:\n  - url: "URL/f"\n'],
  ['sources, to', 'sources:\n  - {from: docker.io, to: [docker.io, "URL"]}\n'],
  ['sources, from', 'sources:\n  - {from: "URL", to: [x.example]}\n'],
  [
    'a variant',
    `variants:\n  v:\n    description: more\n    rpms:\n      - name: el9\n        repositories: [{id: a, baseurl: "URL", ${keys}}]\n        packages: [pkg]\n`,
  ],
]
const addresses = [
  `https://me:${secret}@x.example/path`,
  `http://me:${secret}@x.example:8080/path`,
  `https://${secret}@x.example`,
  `https://me:${secret}%40@x.example/`,
]
const whole = (text: string) => loadManifestWith(text, ['v'])

async function loadManifestWith(text: string, variants: string[]) {
  const folder = await folderWith({ 'stack.yaml': head + text })
  return await loadManifest(join(folder, 'stack.yaml'), text.includes('variants:') ? { variants } : {})
}

describe('a password in an address', () => {
  it.each(places)('is refused in %s, with its line, and is not shown', async (name, text) => {
    for (const address of addresses) {
      const error = await refused(whole(text.replace('URL', address)), 'MANIFEST_INVALID')
      expect(error.item).toMatch(/stack\.yaml:\d+:\d+: .*x\.example/)
      expect(JSON.stringify([error, String(error.cause ?? '')])).not.toContain(secret)
      expect(error.message).toContain('contains a user name or a password')
      expect(error.next).toMatch(
        name.startsWith('sources')
          ? /docker login x\.example/
          : /machine x\.example login NAME password PASSWORD/,
      )
    }
    await whole(text.replace('URL', 'http://x.example/path'))
  })

  it.each(places)('is not shown if %s is not a URL', async (_, text) => {
    for (const address of [`https://me:${secret}/pass@x.example/a`, `https://me:${secret}@x ample/a`]) {
      const error = await whole(text.replace('URL', address)).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(JSON.stringify(error ?? '')).not.toContain(secret)
    }
  })

  it.each([
    `charts:\n  - {name: c, repo: "oci://me:${secret}@x.example/charts", version: 1.0.0}\n`,
    `sources:\n  - {from: docker.io, to: ["me:${secret}@x.example/dockerhub"]}\n`,
    `images:\n  - me:${secret}@x.example/a:1\n`,
    `images:\n  - https://me:${secret}@x.example/a:1\n`,
    `wheels:\n  - {name: w, packages: ["p @ https://me:${secret}@x.example/p.whl"], pythons: ["3.11"]}\n`,
  ])('of a registry or a requirement is not shown: %s', async text => {
    const error = await load(text).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (!text.startsWith('wheels')) expect(error).toBeInstanceOf(Error)
    expect(JSON.stringify(error ?? '')).not.toContain(secret)
  })

  it.each(['--index-url', '-i', '--extra-index-url', '--find-links'])(
    'in a requirements file: %s',
    async option => {
      const text = `wheels:\n  - {name: w, requirements: [r.txt], pythons: ["3.11"]}\n`
      const error = await refused(
        load(text, { 'r.txt': `${option} https://me:${secret}@x.example/simple\np\n` }),
        'MANIFEST_INVALID',
      )
      expect(error.item).toMatch(/r\.txt:1.*x\.example/)
      expect(JSON.stringify(error)).not.toContain(secret)
    },
  )

  it('is refused in overlays and test layers', async () => {
    const layer = `sources:\n  - {from: docker.io, to: ["http://me:${secret}@x.example"]}\n`
    const folder = await folderWith({
      'stack.yaml': head,
      'o.yaml': layer,
      't.yaml': `apiVersion: airgap/v1\ntestUpstream: true\n${layer}`,
    })
    const path = join(folder, 'stack.yaml')
    for (const attempt of [
      () => loadManifest(path, { overlays: [join(folder, 'o.yaml')] }),
      async () => withTestLayer(await loadManifest(path), join(folder, 't.yaml')),
    ]) {
      const error = await refused(attempt(), 'MANIFEST_INVALID')
      expect(error.item).toMatch(/[ot]\.yaml:\d+:\d+/)
      expect(JSON.stringify(error)).not.toContain(secret)
    }
  })
})

describe('a query', () => {
  it.each(places.slice(0, 4))('is refused in %s, where paths are appended', async (_, text) => {
    const error = await refused(
      load(text.replace('URL', `https://x.example/a?token=${secret}&version=1`)),
      'MANIFEST_INVALID',
    )
    expect(error.item).toContain('https://x.example/a?version=…')
    expect(JSON.stringify(error)).not.toContain(secret)
  })

  it.each(places.filter(([name]) => /^(?:debs|rpms|wheels|charts)/.test(name)))(
    'with a token is taken off in %s, and no part of the inputs',
    async (_, text) => {
      const written = (query: string) => load(text.replace('URL', `https://x.example/a${query}`))
      const [manifest, bare] = [await written(`?token=${secret}`), await written('')]
      expect(JSON.stringify(manifest)).not.toContain(secret)
      expect(inputsDigest(manifest)).toBe(inputsDigest(bare))
      expect(manifest.secretQueries.signed(new URL('https://x.example/a/b')).search).toBe(`?token=${secret}`)
    },
  )

  it.each(places.slice(4, 6))('is kept in %s', async (_, text) => {
    await load(text.replace('URL', 'https://x.example/a?version=1').replace('=1/f', '/f=1'))
  })
})
