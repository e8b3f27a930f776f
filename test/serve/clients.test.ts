import { execFile, spawn } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LayoutStore } from '../../src/content/layout-store.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import type { Descriptor } from '../../src/core/descriptor.ts'
import { digestOf } from '../../src/core/digest.ts'
import { mediaTypes } from '../../src/core/media-types.ts'
import { createHttpServer } from '../../src/serve/files.ts'
import { createRegistryServer } from '../../src/serve/registry.ts'
import type { AccessEntry } from '../../src/serve/served.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { noise, tempFolder } from '../bundle/samples.ts'
import { put, putIndex, repositoryOf, sampleImages, start, treeOf } from './support/servers.ts'

const run = promisify(execFile)

/** Runs until the test ends, and is gone then. */
function daemon(program: string, args: string[]): void {
  const child = spawn(program, args, { stdio: 'ignore' })
  const exited = new Promise(resolve => child.once('exit', resolve))
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await exited
  })
}

/** A tar with one file, so that a client that unpacks layers is content. */
function layerTar(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write('0000644\0', 100)
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124)
  header.write('00000000000\0', 136)
  header.write('        ', 148)
  header.write('0', 156)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512)
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)])
}

/** An image for two platforms, served as `library/sample` and, under `ns=docker.io`, as the same name. */
async function serve() {
  const store = await LayoutStore.open(await tempFolder())
  const manifests: Descriptor[] = []
  const blobs: Descriptor[] = []
  for (const [i, architecture] of ['amd64', 'arm64'].entries()) {
    const tar = layerTar('data.bin', noise(3_000_000, i + 1))
    const layer = await put(store, gzipSync(tar), 'application/vnd.oci.image.layer.v1.tar+gzip')
    const rootfs = { type: 'layers', diff_ids: [digestOf(tar)] }
    const config = await put(
      store,
      Buffer.from(canonicalJson({ os: 'linux', architecture, config: {}, rootfs })),
      mediaTypes.ociConfig,
    )
    const manifest = Buffer.from(
      canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] }),
    )
    manifests.push({
      ...(await put(store, manifest, mediaTypes.ociManifest)),
      platform: { os: 'linux', architecture },
    })
    blobs.push(config, layer)
  }
  const index = await putIndex(store, manifests)
  const repository = repositoryOf({ tags: { '1': index }, manifests, blobs })
  const images = sampleImages()
  images.add('library/sample', repository)
  images.add('library/sample', repository, 'docker.io')
  const log: AccessEntry[] = []
  const running = await start(createRegistryServer(store, images, { log: entry => log.push(entry) }))
  return { running, index, log }
}

describe('real clients', () => {
  it.skipIf(!hasTool('skopeo'))(
    'skopeo lists, inspects and copies all platforms byte for byte (needs skopeo)',
    async () => {
      const { running, index } = await serve()
      const image = `docker://127.0.0.1:${running.port}/library/sample`
      const tags = await run('skopeo', ['list-tags', '--tls-verify=false', image])
      expect(JSON.parse(tags.stdout).Tags).toEqual(['1'])
      const raw = await run('skopeo', ['inspect', '--raw', '--tls-verify=false', `${image}:1`])
      expect(digestOf(raw.stdout)).toBe(index.digest)
      const target = join(await tempFolder(), 'copy')
      await run('skopeo', [
        'copy',
        '--quiet',
        '--all',
        '--preserve-digests',
        '--src-tls-verify=false',
        `${image}@${index.digest}`,
        `oci:${target}:1`,
      ])
      const copied = await run('skopeo', ['inspect', '--raw', `oci:${target}:1`])
      expect(digestOf(copied.stdout)).toBe(index.digest)
    },
  )

  it.skipIf(!hasTool('skopeo'))('skopeo gets a readable error when it pushes (needs skopeo)', async () => {
    const { running } = await serve()
    const base = `127.0.0.1:${running.port}/library`
    const pushed = run('skopeo', [
      'copy',
      '--quiet',
      '--src-tls-verify=false',
      '--dest-tls-verify=false',
      `docker://${base}/sample:1`,
      `docker://${base}/other:1`,
    ])
    await expect(pushed).rejects.toMatchObject({ stderr: expect.stringContaining('the server is read-only') })
  })

  it.skipIf(!hasTool('containerd') || !hasTool('ctr') || process.getuid?.() !== 0)(
    'containerd pulls docker.io/library/sample through its mirror (needs containerd, ctr and root)',
    { timeout: 30_000 },
    async () => {
      const { running, index, log } = await serve()
      const folder = await tempFolder()
      const socket = join(folder, 'c.sock')
      const config = join(folder, 'config.toml')
      await writeFile(
        config,
        `version = 2\nroot = "${folder}/root"\nstate = "${folder}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "${socket}"\n`,
      )
      const hosts = join(folder, 'certs.d', 'docker.io')
      await mkdir(hosts, { recursive: true })
      const mirror = `http://127.0.0.1:${running.port}`
      await writeFile(
        join(hosts, 'hosts.toml'),
        `server = "${mirror}"\n[host."${mirror}"]\ncapabilities = ["pull", "resolve"]\n`,
      )
      daemon('containerd', ['--config', config])
      const ctr = (...args: string[]) => run('ctr', ['--address', socket, ...args])
      for (let i = 0; ; i++) {
        const ready = await ctr('version').catch(() => undefined)
        if (ready !== undefined) break
        if (i === 100) throw new TypeError('containerd does not start')
        await sleep(100)
      }
      const hostsDir = join(folder, 'certs.d')
      // fetched, not unpacked: no snapshotter is needed for what is to be shown
      const reference = 'docker.io/library/sample:1'
      await ctr('content', 'fetch', '--hosts-dir', hostsDir, '--all-platforms', reference)
      const images = await ctr('images', 'ls')
      expect(images.stdout).toContain(index.digest)
      expect(log.some(entry => entry.url.includes('ns=docker.io') && entry.status === 200)).toBe(true)
      await expect(
        ctr('content', 'fetch', '--hosts-dir', hostsDir, 'docker.io/library/missing:1'),
      ).rejects.toMatchObject({ stderr: expect.stringContaining('not found') })
    },
  )

  it.skipIf(!hasTool('curl'))('curl continues a download where it was interrupted (needs curl)', async () => {
    const folder = await tempFolder()
    const store = await LayoutStore.open(folder)
    const bytes = noise(2_000_000, 3)
    const entries = await treeOf(store, { 'disk.img': bytes })
    const running = await start(createHttpServer(store, [{ prefix: '/files', entries }]))
    const target = join(folder, 'disk.img')
    await writeFile(target, bytes.subarray(0, 700_001))
    await run('curl', ['-sSf', '-C', '-', '-o', target, `${running.origin}/files/disk.img`])
    expect(digestOf(await readFile(target))).toBe(digestOf(bytes))
  })
})
