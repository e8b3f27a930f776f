import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { missingPrograms, run } from '../../../scripts/lib/run.ts'
import { serveFolder } from '../../../scripts/lib/upstreams/serve-folder.ts'
import type { Artifact } from '../../../src/content/artifact.ts'
import { treeArtifacts } from '../../../src/content/tree.ts'
import { canonicalJson } from '../../../src/core/canonical-json.ts'
import { digestOf, hexOf } from '../../../src/core/digest.ts'
import { annotationKeys, mediaTypes } from '../../../src/core/media-types.ts'
import { imageOf, noise } from '../../bundle/samples.ts'
import { airgap } from '../../e2e/lib/airgap.ts'
import { repository } from '../../kinds/git/support/repository.ts'
import { serveRepositories } from '../../kinds/git/support/server.ts'
import { wheelFile } from '../../kinds/wheel/support/wheel-file.ts'
import { makeRpms } from '../../site/support/rpm.ts'
import { blobOf, sampleReferrer, writeBundle } from '../../site/support/sample-site.ts'

export const tool = noise(300_000, 7)
export const rpmPrograms = ['rpmbuild', 'rpmsign', 'createrepo_c', 'gpg']

/** A bundle with an image that runtimes can unpack, a referrer of it, a chart, a file, a Debian package and a wheel. */
export async function writeContent(work: string): Promise<string> {
  const image = await image_(work)
  const chart = await chart_(work)
  const files = treeArtifacts({
    name: 'files',
    kind: 'file',
    files: [treeFile('get.example/tool.bin', tool)],
  })
  const bundle = join(work, 'content.tar')
  await writeBundle(bundle, [
    image,
    sampleReferrer('docker.io/library/sample', image),
    chart,
    ...files,
    ...(await debs(work)),
    ...wheels(),
  ])
  return bundle
}

function treeFile(path: string, bytes: Buffer) {
  const descriptor = { mediaType: mediaTypes.octets, digest: digestOf(bytes), size: bytes.length }
  return { path, mode: '100644' as const, descriptor, origin: { bytes } }
}

async function image_(work: string): Promise<Artifact> {
  const folder = join(work, 'layer')
  await mkdir(folder)
  await writeFile(join(folder, 'data.bin'), noise(200_000, 3))
  const options = ['--owner=0', '--group=0', '--mtime=@0', '--sort=name']
  await run(['tar', ...options, '-cf', join(work, 'layer.tar'), '-C', folder, 'data.bin'])
  const { root, manifests, blobs } = imageOf('docker.io/library/sample:1', [
    await readFile(join(work, 'layer.tar')),
  ])
  const inline = [...manifests, ...blobs].map(([descriptor, bytes]) => ({ descriptor, bytes }))
  return {
    root: { ...root, annotations: { ...root.annotations, [annotationKeys.kind]: 'image' } },
    inline,
    blobs: [],
  }
}

async function chart_(work: string): Promise<Artifact> {
  const metadata = { apiVersion: 'v2', name: 'demo', version: '1.0.0' }
  await mkdir(join(work, 'chart/demo/templates'), { recursive: true })
  await writeFile(join(work, 'chart/demo/Chart.yaml'), `${JSON.stringify(metadata)}\n`)
  await writeFile(
    join(work, 'chart/demo/templates/map.yaml'),
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: demo}\n',
  )
  await run(['tar', '-czf', join(work, 'demo-1.0.0.tgz'), '-C', join(work, 'chart'), 'demo'])
  const layer = blobOf(await readFile(join(work, 'demo-1.0.0.tgz')), mediaTypes.helmChart)
  const config = blobOf(canonicalJson(metadata), mediaTypes.helmConfig)
  const manifest = blobOf(
    canonicalJson({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: config.descriptor,
      layers: [layer.descriptor],
    }),
    mediaTypes.ociManifest,
  )
  const annotations = { [annotationKeys.refName]: 'charts/demo:1.0.0', [annotationKeys.kind]: 'chart' }
  return { root: { ...manifest.descriptor, annotations }, inline: [manifest, config, layer], blobs: [] }
}

async function debs(work: string): Promise<Artifact[]> {
  if (missingPrograms(['dpkg-deb']).length > 0) return []
  await mkdir(join(work, 'deb/DEBIAN'), { recursive: true })
  const fields = [
    'Package: hello',
    'Version: 1.0',
    'Architecture: all',
    'Maintainer: x <x@example.com>',
    'Description: x',
  ]
  await writeFile(join(work, 'deb/DEBIAN/control'), `${fields.join('\n')}\n`)
  await run(['dpkg-deb', '--root-owner-group', '-b', join(work, 'deb'), join(work, 'hello.deb')])
  const deb = await readFile(join(work, 'hello.deb'))
  const path = 'pool/main/h/hello_1.0_all.deb'
  const more = [`Filename: ${path}`, `Size: ${deb.length}`, `SHA256: ${hexOf(digestOf(deb))}`]
  const list = Buffer.from(`${[...fields, ...more].join('\n')}\n`)
  const files = [treeFile('dists/bookworm/main/binary-amd64/Packages', list), treeFile(path, deb)]
  return treeArtifacts({ name: 'debs/debian-12', kind: 'deb', files })
}

function wheels(): Artifact[] {
  const { filename, bytes, project } = wheelFile({ name: 'hello', version: '1.0' })
  const entry = { project, version: '1.0', filename, sha256: hexOf(digestOf(bytes)), size: bytes.length }
  const index = Buffer.from(`${canonicalJson({ files: [entry] })}\n`)
  const files = [treeFile(`${project}/${filename}`, bytes), treeFile('index.json', index)]
  return treeArtifacts({ name: 'pypi', kind: 'wheel', files })
}

/** A second bundle: a git repository, and an rpm where the programs that make one are here. */
export async function buildMore(work: string, defer: (close: () => unknown) => void): Promise<string> {
  const source = repository({ name: 'charts', root: work })
  source.commit({ 'values.yaml': 'replicas: 1\n' })
  source.git('tag', '-a', 'v1', '-m', 'one')
  source.push('--tags')
  const upstream = await serveRepositories(work, { finally: defer })
  const manifest = join(work, 'more.yaml')
  const lines = [
    'apiVersion: airgap/v1',
    'name: more',
    'version: 1.0.0',
    `sources: [{from: "https://git.example", to: ["${upstream.url}"]}]`,
    'git:',
    '  - {name: charts, url: "https://git.example/charts.git", ref: v1}',
    ...(missingPrograms(rpmPrograms).length > 0 ? [] : await rpmLines(work, defer)),
  ]
  await writeFile(manifest, `${lines.join('\n')}\n`)
  const out = join(work, 'more.tar')
  // any file will do for the runtime: nothing of this bundle runs
  const env = { AIRGAP_NODE_RUNTIME: manifest }
  const built = await airgap(['build', '-f', manifest, '--cache', join(work, 'cache'), '--out', out], { env })
  if (built.code !== 0) throw new Error(built.stderr)
  return out
}

async function rpmLines(work: string, defer: (close: () => unknown) => void): Promise<string[]> {
  const gpgHome = join(work, 'gpg')
  await mkdir(gpgHome, { mode: 0o700 })
  const gpg = (...args: string[]) =>
    run(['gpg', '--batch', '--pinentry-mode', 'loopback', '--passphrase', '', ...args], {
      env: { ...process.env, GNUPGHOME: gpgHome },
    })
  await gpg('--quick-gen-key', 'publisher@example.org', 'rsa2048', 'sign', 'never')
  await writeFile(join(work, 'publisher.asc'), await gpg('--armor', '--export', 'publisher@example.org'))
  const folder = join(work, 'yum')
  await mkdir(folder)
  await makeRpms(folder, { gpgHome, user: 'publisher', packages: [{ name: 'hello' }] })
  await gpg('--armor', '--detach-sign', join(folder, 'repodata/repomd.xml'))
  const served = await serveFolder(folder)
  defer(() => served.close())
  return [
    'rpms:',
    '  - name: el9',
    `    repositories: [{id: base, baseurl: "${served.url}", keys: [publisher.asc]}]`,
    '    packages: [hello]',
  ]
}
