import { execFile } from 'node:child_process'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openBundle } from '../../src/bundle/reader.ts'
import { treeArtifacts } from '../../src/content/tree.ts'
import type { Descriptor } from '../../src/core/descriptor.ts'
import { annotationKeys } from '../../src/core/media-types.ts'
import { createHttpServer } from '../../src/serve/files.ts'
import { createRegistryServer } from '../../src/serve/registry.ts'
import type { VerifyMode } from '../../src/serve/served.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { describeBytes, imageOf, noise, tempFolder } from '../bundle/samples.ts'
import { overwrite } from '../serve/support/served-file.ts'
import { repositoryOf, sampleImages, start } from '../serve/support/servers.ts'
import { writeBundle } from '../site/support/sample-site.ts'

const execute = promisify(execFile)

/** Which client gets what; each content is larger than a piece. */
interface Sample {
  bundle: string
  layer: Descriptor
  image: ReturnType<typeof imageOf>
  files: Record<'big.bin' | 'app-1.0-py3-none-any.whl' | 'hello_1.0_all.deb' | 'Packages', Buffer>
}

/** A package that dpkg accepts, with noise in it. */
async function debOf(folder: string): Promise<Buffer> {
  const root = join(folder, 'hello')
  await mkdir(join(root, 'DEBIAN'), { recursive: true })
  await writeFile(
    join(root, 'DEBIAN/control'),
    'Package: hello\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n',
  )
  await writeFile(join(root, 'noise'), noise(1_500_000, 3))
  await execute('dpkg-deb', ['--root-owner-group', '-Znone', '-b', root, join(folder, 'hello.deb')])
  return await readFile(join(folder, 'hello.deb'))
}

async function sample(): Promise<Sample> {
  const folder = await tempFolder()
  const deb = await debOf(folder)
  const debHash = describeBytes(deb).digest.slice('sha256:'.length)
  const files = {
    'big.bin': noise(3_000_000, 1),
    'app-1.0-py3-none-any.whl': noise(1_400_000, 2),
    'hello_1.0_all.deb': deb,
    Packages: Buffer.from(
      `Package: hello\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\nFilename: ./hello_1.0_all.deb\nSize: ${deb.length}\nSHA256: ${debHash}\n`,
    ),
  }
  const image = imageOf('registry.example/app:1', [noise(2_500_000, 4)])
  const tree = Object.entries(files).map(([path, bytes]) => ({
    path,
    mode: '100644' as const,
    descriptor: describeBytes(bytes),
    origin: { bytes },
  }))
  const bundle = join(folder, 'b.tar')
  const inline = [...image.manifests, ...image.blobs].map(([descriptor, bytes]) => ({
    descriptor,
    bytes: Buffer.from(bytes),
  }))
  const root = { ...image.root, annotations: { ...image.root.annotations, [annotationKeys.kind]: 'image' } }
  await writeBundle(bundle, [
    { root, inline, blobs: [] },
    ...treeArtifacts({ name: 'files', kind: 'file', files: tree }),
  ])
  return { bundle, layer: image.blobs[1]![0], image, files }
}

/** Both servers over the file that is at the path now. */
async function serve({ bundle, image, files }: Sample, verify: VerifyMode) {
  const store = await openBundle(bundle)
  onTestFinished(() => store.close())
  const images = sampleImages()
  const manifest = image.manifests[0]![0]
  images.add(
    'app',
    repositoryOf({ tags: { 1: manifest }, blobs: image.blobs.map(([descriptor]) => descriptor) }),
  )
  const entries = new Map(
    Object.entries(files).map(([path, bytes]) => [
      path,
      { descriptor: describeBytes(bytes), mode: '100644' as const },
    ]),
  )
  const registry = await start(createRegistryServer(store, images, { verify }))
  const http = await start(createHttpServer(store, [{ prefix: '/files', entries }], { verify }))
  return { registry: `127.0.0.1:${registry.port}`, http: `${http.origin}/files` }
}

type Servers = Awaited<ReturnType<typeof serve>>

/** Runs in an empty folder; returns what the client has accepted. Throws where the client fails. */
type Client = (servers: Servers, from: { folder: string; sample: Sample }) => Promise<Buffer>

const curl = async (servers: Servers, folder: string, more: string[]): Promise<Buffer> => {
  await execute('curl', ['-fsS', ...more, '-o', join(folder, 'big.bin'), `${servers.http}/big.bin`])
  return await readFile(join(folder, 'big.bin'))
}

const clients: Record<string, { needs: string[]; content: (one: Sample) => Buffer; get: Client }> = {
  'curl, whole': {
    needs: ['curl', 'dpkg-deb'],
    content: ({ files }) => files['big.bin'],
    get: (servers, { folder }) => curl(servers, folder, []),
  },
  'curl, a range': {
    needs: ['curl', 'dpkg-deb'],
    content: ({ files }) => files['big.bin'].subarray(100_000, 2_900_000),
    get: (servers, { folder }) => curl(servers, folder, ['-r', '100000-2899999']),
  },
  skopeo: {
    needs: ['skopeo', 'dpkg-deb'],
    content: ({ image }) => Buffer.from(image.blobs[1]![1]),
    async get({ registry }, { folder, sample: { layer } }) {
      const to = `dir:${folder}`
      await execute('skopeo', ['copy', '--quiet', '--src-tls-verify=false', `docker://${registry}/app:1`, to])
      return await readFile(join(folder, layer.digest.slice('sha256:'.length)))
    },
  },
  'apt-get': {
    needs: ['apt-get', 'dpkg-deb'],
    content: ({ files }) => files['hello_1.0_all.deb'],
    async get({ http }, { folder }) {
      await writeFile(join(folder, 'sources.list'), `deb [trusted=yes] ${http}/ ./\n`)
      await mkdir(join(folder, 'lists/partial'), { recursive: true })
      await mkdir(join(folder, 'cache/archives/partial'), { recursive: true })
      await writeFile(join(folder, 'status'), '')
      const options = [
        `Dir::Etc::SourceList=${folder}/sources.list`,
        'Dir::Etc::SourceParts=/nonexistent',
        `Dir::State=${folder}`,
        `Dir::State::Lists=${folder}/lists`,
        `Dir::State::status=${folder}/status`,
        `Dir::Cache=${folder}/cache`,
        'APT::Sandbox::User=root',
        'Acquire::Retries=0',
      ].flatMap(option => ['-o', option])
      await execute('apt-get', ['-q', ...options, 'update'])
      await execute('apt-get', ['-q', ...options, 'download', 'hello'], { cwd: folder })
      return await readFile(join(folder, 'hello_1.0_all.deb'))
    },
  },
  pip: {
    needs: ['python3', 'dpkg-deb'],
    content: ({ files }) => files['app-1.0-py3-none-any.whl'],
    async get({ http }, { folder, sample: { files } }) {
      const { digest } = describeBytes(files['app-1.0-py3-none-any.whl'])
      const name = 'app-1.0-py3-none-any.whl'
      const requirement = `app @ ${http}/${name} --hash=${digest}\n`
      await writeFile(join(folder, 'requirements.txt'), requirement)
      const pip = ['-m', 'pip', 'download', '-q', '--no-deps', '--no-cache-dir', '--retries', '0']
      const error = await execute('python3', [
        ...pip,
        '--require-hashes',
        ...['-r', join(folder, 'requirements.txt'), '-d', folder],
      ]).catch((failure: { stderr: string }) => failure)
      // the file is noise: pip accepts its hash, and then finds no wheel in it
      if (/invalid|bad zip|not a zip|BadZip/i.test(error.stderr)) return files[name]
      if ('code' in error) throw error
      return await readFile(join(folder, name))
    },
  },
}

async function damage({ bundle, layer, files }: Sample): Promise<void> {
  const store = await openBundle(bundle)
  const targets = [
    layer,
    ...Object.values(files)
      .slice(0, 3)
      .map(bytes => describeBytes(bytes)),
  ]
  for (const { digest, size } of targets) {
    const { dataOffset } = store.entries().find(one => one.digest === digest)!
    const at = dataOffset + Math.floor(size / 2)
    const byte = (await readFile(bundle)).subarray(at, at + 1)
    await overwrite(bundle, at, Buffer.from([byte[0]! ^ 1]))
  }
  await store.close()
}

async function got(client: Client, servers: Servers, of: Sample): Promise<Buffer | 'failed'> {
  const folder = await tempFolder()
  try {
    return await client(servers, { folder, sample: of })
  } catch {
    return 'failed'
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

describe.each(['once', 'always'] as const)(
  'real clients of content that changes, with --verify %s',
  verify => {
    for (const [name, { needs, content, get }] of Object.entries(clients)) {
      it.skipIf(needs.some(tool => !hasTool(tool)))(
        `fault 95: ${name} accepts no wrong byte (needs ${needs.join(' and ')})`,
        { timeout: 120_000 },
        async () => {
          const one = await sample()
          await sleep(70)
          const servers = await serve(one, verify)
          const right = content(one)
          // never verified, then verified
          expect(await got(get, servers, one)).toEqual(right)
          expect(await got(get, servers, one)).toEqual(right)
          // another file at the path: the open one is served
          await rename(one.bundle, `${one.bundle}.moved`)
          await writeFile(one.bundle, 'another file')
          expect(await got(get, servers, one)).toEqual(right)
          await rename(`${one.bundle}.moved`, one.bundle)
          // changed in place, at the first request and when the damage is known
          await damage(one)
          expect(await got(get, servers, one)).toBe('failed')
          expect(await got(get, servers, one)).toBe('failed')
          // a bit that was flipped before the start
          const fresh = await serve(one, verify)
          expect(await got(get, fresh, one)).toBe('failed')
          // repaired
          await sleep(20)
          await damage(one)
          expect(await got(get, servers, one)).toEqual(right)
          expect(await got(get, fresh, one)).toEqual(right)
        },
      )
    }
  },
)
