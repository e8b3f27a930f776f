import { digestOf } from '../../../src/core/digest.ts'
import { mediaTypes } from '../../../src/core/media-types.ts'
import type { Component } from '../../../src/kinds/component.ts'
import { componentsInside } from '../../../src/layers/components.ts'
import type { Lock } from '../../../src/lock/schema.ts'

const digest = digestOf('x')
const sha256 = digest.slice('sha256:'.length)
const deb = (name: string, source: number, more: object) => ({
  name,
  version: '1:1.6-2',
  architecture: 'amd64',
  source,
  component: 'main',
  filename: `pool/${name}.deb`,
  size: 1,
  sha256,
  ...more,
})
const rpm = (name: string, primary: string, more: object = {}) => ({
  name,
  epoch: '1',
  version: '5.14',
  release: '1.el9',
  architecture: 'x86_64',
  repository: 'baseos',
  location: `p/${name}.rpm`,
  size: 1,
  sha256,
  primary,
  filelists: '',
  ...more,
})
const wheel = (project: string, fields: string[], more: object = {}) => ({
  project,
  version: '1.0',
  filename: `${project}-1.0-py3-none-any.whl`,
  url: `https://x.example/${project}-1.0-py3-none-any.whl`,
  size: 1,
  sha256,
  targets: ['cp311-manylinux_2_28_x86_64'],
  metadata: [
    'Metadata-Version: 2.4',
    `Name: ${project}`,
    'Version: 1.0',
    ...fields,
    '',
    'License: in the text',
  ].join('\n'),
  ...more,
})
const source = (archive: string, release: Record<string, string>) => ({
  archive,
  suite: 'stable',
  components: ['main'],
  release,
})

/** A lock with an item of each kind that a bill of materials describes, with suppliers and licences of all forms. */
export const billLock: Lock = {
  lockVersion: 1,
  name: 'sample',
  version: '1.0.0',
  platforms: ['linux/amd64'],
  inputs: digest,
  collisions: {},
  runtime: [
    { path: 'offline-deploy/node', mode: 0o755, digest, size: 1, version: '24.1.0' },
    { path: 'offline-deploy/offline-deploy.mjs', mode: 0o644, digest, size: 1 },
  ],
  items: {
    image: [
      {
        name: 'nvcr.io/nvidia/app:1.0',
        from: 'nvcr.io/nvidia/app',
        digest,
        platforms: ['linux/amd64'],
        manifests: [{ mediaType: mediaTypes.ociManifest, digest, size: 2 }],
        blobs: [],
      },
    ],
    chart: [
      {
        name: 'hello-1.0.0',
        chart: 'hello',
        version: '1.0.0',
        origin: { type: 'http', url: 'https://charts.example/a/hello-1.0.0.tgz' },
        metadata: {
          maintainers: [{ name: 'Jane Doe', email: 'not an address' }],
          annotations: { 'artifacthub.io/license': 'Apache-2.0' },
        },
        layers: [{ mediaType: mediaTypes.helmChart, digest, size: 3 }],
      },
    ],
    deb: [
      {
        name: 'ubuntu-22.04',
        architectures: ['amd64'],
        sources: [
          source('http://archive.ubuntu.com/ubuntu', { Origin: 'Ubuntu' }),
          source('https://developer.download.nvidia.com/cuda', { Origin: 'NVIDIA' }),
        ],
        packages: [
          deb('driver', 1, {
            requested: true,
            stanza: ['Package: driver', 'Maintainer: NVIDIA CORPORATION <cuda@nvidia.com>'],
          }),
          deb('jq', 0, { because: 'driver', stanza: ['Maintainer: Ubuntu Developers <a@b.example>'] }),
          deb('libjq1', 0, { because: 'jq', stanza: [] }),
        ],
      },
    ],
    rpm: [
      {
        name: 'el9',
        architectures: ['x86_64'],
        streams: [],
        repositories: [
          { id: 'baseos', baseurl: 'https://x.example/', keys: ['k'], priority: 99, modules: [], groups: [] },
        ],
        packages: [
          rpm(
            'kernel',
            '<rpm:license>GPLv2 &amp; others</rpm:license><rpm:vendor>Rocky Enterprise Software Foundation</rpm:vendor>',
            {
              requested: true,
            },
          ),
          rpm('tool', '<rpm:vendor>A &lt;B&gt; Inc.</rpm:vendor>', { because: 'kernel' }),
          rpm('plain', '<rpm:vendor/>', { because: 'kernel' }),
        ],
      },
    ],
    wheel: [
      {
        name: 'tools',
        distributions: [
          wheel(
            'app',
            [
              'License-Expression: MIT OR Apache-2.0',
              'Author-email: "Jane Doe" <j@x.example>, B <b@x.example>',
            ],
            {
              requested: true,
            },
          ),
          wheel(
            'lib',
            [
              'License: UNKNOWN',
              'Classifier: License :: OSI Approved :: BSD License',
              'Author: UNKNOWN',
              'Maintainer: The Lib Team',
            ],
            {
              because: 'app',
            },
          ),
          wheel('old', ['License: MIT'], { because: 'lib' }),
        ],
      },
    ],
  },
}

/** As `componentsInside` returns it, of an image whose layers were read. */
export const insideApp: ReadonlyMap<string, Pick<Component, 'components' | 'properties'>> = componentsInside([
  {
    name: 'nvcr.io/nvidia/app:1.0',
    digest,
    platform: 'linux/amd64',
    os: { id: 'debian', version: '12' },
    packages: [
      { type: 'deb', name: 'bash', version: '5.2-1', architecture: 'amd64', path: 'var/lib/dpkg/status' },
      {
        type: 'deb',
        name: 'libc6',
        version: '1:2.36-9',
        source: { name: 'glibc', version: '2.36-9' },
        architecture: 'amd64',
        path: 'var/lib/dpkg/status',
      },
      { type: 'npm', name: '@scope/lib', version: '1.0.0', license: 'Some Licence', path: 'a/package.json' },
      { type: 'npm', name: '@scope/lib', version: '1.0.0', license: 'Some Licence', path: 'b/package.json' },
    ],
    notRead: [{ path: 'app.jar', reason: 'not a zip archive' }],
  },
])
