import { digestOf, hexOf } from '../../../src/core/digest.ts'
import { mediaTypes } from '../../../src/core/media-types.ts'
import type { Lock } from '../../../src/lock/schema.ts'

/** Versions of the four items that a test changes; the rest stays. */
export interface SampleVersions {
  curl: string
  nginx: string
  harbor: string
  jinja2: string
}

export const sampleVersions: SampleVersions = {
  curl: '7.81.0-1ubuntu1.15',
  nginx: '1.25.3',
  harbor: '1.14.0',
  jinja2: '3.1.2',
}

/** A lock with one package of three dependencies, two images, a chart, a wheel with a dependency, and a file. */
export function sampleLock(versions: Partial<SampleVersions> = {}): Lock {
  const { curl, nginx, harbor, jinja2 } = { ...sampleVersions, ...versions }
  return {
    lockVersion: 1,
    name: 'stack',
    version: '1.0.0',
    platforms: ['linux/amd64'],
    inputs: digestOf('inputs'),
    collisions: {},
    runtime: [{ path: 'offline-deploy', mode: 0o755, digest: digestOf('program'), size: 700 }],
    items: {
      image: [image('docker.io/library/busybox', '1.36'), image('docker.io/library/nginx', nginx)],
      chart: [
        {
          name: `harbor-${harbor}`,
          chart: 'harbor',
          version: harbor,
          origin: { type: 'http', url: `https://charts.example/harbor-${harbor}.tgz` },
          metadata: { name: 'harbor', version: harbor },
          layers: [
            {
              mediaType: mediaTypes.helmChart,
              digest: digestOf(`harbor ${harbor}`),
              size: 50_000 + harbor.length,
            },
          ],
        },
      ],
      file: [
        {
          name: 'dl.k8s.io/v1.28.6/kubectl',
          url: 'https://dl.k8s.io/v1.28.6/kubectl',
          digest: digestOf('kubectl'),
          size: 49_000_000,
          executable: true,
        },
      ],
      deb: [
        {
          name: 'ubuntu-22.04',
          architectures: ['amd64'],
          sources: [
            {
              archive: 'http://archive.ubuntu.com/ubuntu',
              suite: 'jammy-updates',
              components: ['main'],
              release: { Origin: 'Ubuntu' },
              signedBy: 'F6ECB3762474EDA9D21B7022871920D1991BC93C',
            },
          ],
          packages: [
            deb('curl', curl),
            deb('libcurl4', curl, 'curl'),
            deb('libnghttp2-14', '1.43.0-1build3', 'libcurl4'),
            deb('libpsl5', '0.21.0-1.2build2', 'libcurl4'),
          ],
        },
      ],
      wheel: [
        {
          name: 'tools',
          distributions: [wheel('jinja2', jinja2), wheel('markupsafe', '2.1.5', 'jinja2')],
        },
      ],
    },
  }
}

function image(repository: string, tag: string) {
  const part = (what: string, mediaType: string, size: number) => ({
    mediaType,
    digest: digestOf(`${what} of ${repository}:${tag}`),
    size,
  })
  const manifest = part('manifest', mediaTypes.ociManifest, 1000)
  return {
    name: `${repository}:${tag}`,
    from: repository,
    digest: manifest.digest,
    platforms: ['linux/amd64'],
    manifests: [manifest],
    blobs: [part('layer', mediaTypes.octets, 70_000_000 + 4096 * Number(tag.split('.').at(-1)))],
  }
}

function deb(name: string, version: string, because?: string) {
  return {
    name,
    version,
    architecture: 'amd64',
    source: 0,
    component: 'main',
    filename: `pool/main/${name[0]}/${name}/${name}_${version}_amd64.deb`,
    size: 190_000,
    sha256: hexOf(digestOf(`${name} ${version}`)),
    ...(because === undefined ? { requested: true as const } : { because }),
    stanza: [`Package: ${name}`, `Version: ${version}`, 'Architecture: amd64'],
  }
}

function wheel(project: string, version: string, because?: string) {
  const filename = `${project}-${version}-py3-none-any.whl`
  return {
    project,
    version,
    filename,
    url: `https://files.example/${filename}`,
    size: 133_000 + version.length,
    sha256: hexOf(digestOf(filename)),
    ...(because === undefined ? { requested: true as const } : { because }),
    targets: ['cp311-manylinux_2_28_x86_64'],
    metadata: `Name: ${project}\nVersion: ${version}\n`,
  }
}
