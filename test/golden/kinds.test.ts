import { describe, expect, it } from 'vitest'
import { assembleLock } from '../../src/assemble/assemble-lock.ts'
import { planLayout } from '../../src/bundle/layout.ts'
import { digestOf, hexOf } from '../../src/core/digest.ts'
import { mediaTypes } from '../../src/core/media-types.ts'
import type { Lock } from '../../src/lock/schema.ts'
import { loadManifest } from '../../src/manifest/load.ts'
import { inputsDigest } from '../../src/resolve/inputs.ts'
import { stackOf } from '../assemble/support.ts'

const [digest, other] = [digestOf('content'), digestOf('other content')]
const blob = (mediaType: string, of = digest) => ({ mediaType, digest: of, size: 7 })

/** One item of each kind, as lockfiles have had them since version 1. */
const lock: Lock = {
  lockVersion: 1,
  name: 'demo',
  version: '1.0.0',
  platforms: ['linux/amd64'],
  inputs: digest,
  collisions: {},
  runtime: [{ path: 'offline-deploy', mode: 0o755, digest: other, size: 13 }],
  items: {
    image: [
      {
        name: 'docker.io/library/x:1',
        from: 'docker.io/library/x',
        digest,
        platforms: ['linux/amd64'],
        manifests: [blob(mediaTypes.ociManifest)],
        blobs: [{ ...blob(mediaTypes.octets, other), size: 13, urls: ['https://x.example/layer'] }],
      },
    ],
    chart: [
      {
        name: 'nfs-1.0.0+x',
        chart: 'nfs',
        version: '1.0.0+x',
        origin: { type: 'http', url: 'https://x.example/nfs-1.0.0.tgz' },
        metadata: { name: 'nfs', version: '1.0.0+x' },
        layers: [blob(mediaTypes.helmChart)],
      },
    ],
    file: [
      { name: 'x.example/a', url: 'https://x.example/a', digest, size: 7, executable: true, firstUse: true },
    ],
    deb: [
      {
        name: 'debian-12',
        architectures: ['amd64'],
        sources: [
          {
            archive: 'http://x.example/debian',
            suite: 'bookworm',
            components: ['main'],
            release: { Origin: 'Debian', Codename: 'bookworm' },
          },
        ],
        packages: [
          {
            name: 'jq',
            version: '1.6-2',
            architecture: 'amd64',
            source: 0,
            component: 'main',
            filename: 'pool/j/jq_1.6-2_amd64.deb',
            size: 7,
            sha256: hexOf(digest),
            requested: true,
            stanza: ['Package: jq', 'Version: 1.6-2', 'Architecture: amd64'],
          },
        ],
      },
    ],
    rpm: [
      {
        name: 'el9',
        architectures: ['x86_64'],
        streams: [],
        repositories: [
          {
            id: 'baseos',
            baseurl: 'https://x.example/el9',
            keys: ['a key'],
            priority: 99,
            modules: ['---\ndocument: modulemd'],
            groups: ['<group><id>core</id></group>'],
          },
        ],
        packages: [
          {
            name: 'jq',
            epoch: '0',
            version: '1.6',
            release: '2.el9',
            architecture: 'x86_64',
            repository: 'baseos',
            location: 'Packages/jq-1.6-2.el9.x86_64.rpm',
            size: 7,
            sha256: hexOf(digest),
            signedBy: 'ABCD',
            primary: '<package type="rpm"><name>jq</name></package>',
            filelists: '<package name="jq"></package>',
          },
        ],
      },
    ],
    wheel: [
      {
        name: 'tools',
        distributions: [
          {
            project: 'six',
            version: '1.16.0',
            filename: 'six-1.16.0-py2.py3-none-any.whl',
            url: 'https://x.example/six-1.16.0-py2.py3-none-any.whl',
            size: 7,
            sha256: hexOf(digest),
            targets: ['cp311-manylinux_2_28_x86_64'],
            metadata: 'Name: six\nVersion: 1.16.0\n',
          },
        ],
      },
    ],
    tree: [
      {
        name: 'deployment',
        from: 'deploy',
        files: [
          { path: 'a', mode: '100755', digest, size: 7 },
          { path: 'b', target: 'a' },
        ],
      },
    ],
  },
}

const manifest = [
  'firstUse: refuse',
  'images: [busybox:1, {ref: nginx:1.27, from: quay.io/x/nginx, referrers: true}]',
  'charts: [{name: a, repo: "https://x.example", version: 1.0.0}]',
  `files: [{url: "https://x.example/a", executable: true, sha256: ${'a'.repeat(64)}}]`,
  'debs:',
  '  - {name: d, archive: "http://x.example", suite: s, keys: [k.asc], packages: [jq], base: minimal}',
  'rpms:',
  '  - name: el9',
  '    packages: [jq]',
  '    repositories: [{id: r, baseurl: "https://x.example/", keys: [k.asc], client: {certificate: c, key: k}}]',
  'wheels: [{name: w, packages: [six], pythons: ["3.11"]}]',
  'trees: [{name: t, from: deploy, exclude: ["*.bak"]}]',
  '',
].join('\n')

describe('lockfiles of version 1', () => {
  it('give the same bundle, byte for byte', () => {
    const { indexDigest, layoutDigest } = planLayout(assembleLock(lock), { name: 'demo', version: '1.0.0' })
    expect({ indexDigest, layoutDigest }).toMatchInlineSnapshot(`
      {
        "indexDigest": "sha256:de65139c63f2510609fcd837ddbc6f7b8b39d50caa9f84661635cb8ba65eeb2f",
        "layoutDigest": "sha256:92b0c07f2299d534b6ba6b888eba06ba2b722f4d35f0e8e70407bdeb1a494206",
      }
    `)
  })

  it('with a git repository, too', () => {
    const pack = { id: 'a'.repeat(40), objects: 3, digest, size: 7, index: { digest: other, size: 13 } }
    const commit = 'c'.repeat(40)
    const common = { commit, history: 'shallow', cut: true, packs: [pack] }
    const git = [
      { name: 'a', url: 'https://x.example/a.git', ref: 'refs/heads/main', ...common },
      { name: 'b', url: 'git@x.example:b.git', ref: 'refs/tags/v1', tag: 'b'.repeat(40), ...common },
    ]
    const { indexDigest, layoutDigest } = planLayout(assembleLock({ ...lock, items: { git } }), {
      name: 'demo',
      version: '1.0.0',
    })
    expect({ indexDigest, layoutDigest }).toMatchInlineSnapshot(`
      {
        "indexDigest": "sha256:edb2a532ce7ff0d590452486cb735a0dbd8c84fa8b1888bcc851d7091c1db81c",
        "layoutDigest": "sha256:42ff6570b424ad40c1256d9bbed87371d80f5089f0ca488fe4542627eb346e15",
      }
    `)
  })

  it('stay up to date: the digest of what a manifest requests does not change', async () => {
    const load = async (text: string) => inputsDigest(await loadManifest((await stackOf(text)).manifest))
    expect([await load(''), await load(manifest)]).toMatchInlineSnapshot(`
      [
        "sha256:ae199bca33d844d606474ac88fc05369c892c7a0de3cff46016a1c05e21ba06f",
        "sha256:a78515344af7fb65a5f08d86e848099ee21fd8b8545690e501eaed581d1e902d",
      ]
    `)
  })
})
