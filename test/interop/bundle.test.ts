import { execFileSync } from 'node:child_process'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { encodeHeader } from '../../src/bundle/tar-header.ts'
import { digestOf, hexOf } from '../../src/core/digest.ts'
import { hasTool } from '../bundle/has-tool.ts'
import {
  combine,
  imageOf,
  imageSample,
  layoutOf,
  noise,
  smallSample,
  tempFolder,
  treeSample,
  writeBundle,
} from '../bundle/samples.ts'

/** Stock programs read a bundle without this tool. */

async function bundle(sample = smallSample()): Promise<{ path: string; folder: string }> {
  const folder = await tempFolder()
  const path = join(folder, 'bundle.tar')
  await writeBundle(path, sample)
  return { path, folder }
}

function run(program: string, args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

describe.skipIf(!hasTool('tar'))('GNU tar (needs tar)', () => {
  it('lists the entries of the layout, without a warning', async () => {
    const { path } = await bundle()
    expect(run('tar', ['tf', path]).trim().split('\n')).toEqual(
      layoutOf(smallSample()).entries.map(entry => entry.path),
    )
    expect(run('sh', ['-c', 'tar tf "$0" 2>&1 >/dev/null', path])).toBe('')
  })

  it('extracts every blob, and a named file as one content under two names', async () => {
    const { path, folder } = await bundle()
    run('tar', ['xf', path, '-C', folder])
    for (const name of await readdir(join(folder, 'blobs/sha256'))) {
      expect(hexOf(digestOf(await readFile(join(folder, 'blobs/sha256', name))))).toBe(name)
    }
    const named = await stat(join(folder, 'offline-deploy/run'))
    expect(named.mode & 0o777).toBe(0o755)
    expect(named.nlink).toBe(2)
  })

  it('extracts the programs for the site by their folder name alone', async () => {
    const { path, folder } = await bundle()
    run('tar', ['xf', path, '-C', folder, 'offline-deploy'])
    expect(await readdir(join(folder, 'offline-deploy'))).toEqual(['run'])
  })

  it('fault 68: reads a size over 8 GiB', async () => {
    const folder = await tempFolder()
    const header = encodeHeader({ path: 'huge', size: 9 * 1024 ** 3, mode: 0o644, type: 'file' })
    const script = 'cat > "$0/h"; truncate -s 9663677952 "$0/h"; tar tvf "$0/h"'
    const listed = execFileSync('sh', ['-c', script, folder], { input: header, encoding: 'utf8' })
    expect(listed).toMatch(/0\/0 +9663676416 .* huge/)
  })
})

describe.skipIf(!hasTool('python3'))('tarfile of Python (needs python3)', () => {
  it('lists names, sizes and types', async () => {
    const { path } = await bundle()
    const script =
      'import sys,tarfile,json; print(json.dumps([[m.name,m.size,m.type.decode()] for m in tarfile.open(sys.argv[1],"r:")]))'
    const expected = layoutOf(smallSample()).entries.map(entry => [
      entry.path,
      entry.size,
      entry.type === 'link' ? '1' : '0',
    ])
    expect(JSON.parse(run('python3', ['-c', script, path]))).toEqual(expected)
  })
})

describe.skipIf(!hasTool('busybox'))('tar of busybox (needs busybox)', () => {
  it('extracts', async () => {
    const { path, folder } = await bundle()
    run('busybox', ['tar', 'xf', path, '-C', folder])
    expect((await readdir(join(folder, 'blobs/sha256'))).length).toBe(11)
  })
})

describe.skipIf(!hasTool('skopeo'))('skopeo (needs skopeo)', () => {
  const name = 'registry.example/app:1'
  const image = imageOf(name, [noise(40_000, 1), noise(300, 2)])
  const sample = combine(imageSample(image), treeSample('files', { a: noise(200, 3) }))

  it('copies an image out of the bundle as oci-archive, with the same digests', async () => {
    const { path, folder } = await bundle(sample)
    run('skopeo', [
      'copy',
      '--quiet',
      '--preserve-digests',
      '--insecure-policy',
      `oci-archive:${path}:${name}`,
      `oci:${folder}/out:x`,
    ])
    const index = JSON.parse(await readFile(join(folder, 'out/index.json'), 'utf8'))
    expect(index.manifests[0].digest).toBe(image.root.digest)
    for (const [descriptor, bytes] of image.blobs) {
      const copied = await readFile(join(folder, 'out/blobs/sha256', hexOf(descriptor.digest)))
      expect(copied.equals(bytes)).toBe(true)
    }
  })

  it.skipIf(!hasTool('tar'))('reads the layout that tar extracted (needs tar)', async () => {
    const { path, folder } = await bundle(sample)
    run('tar', ['xf', path, '-C', folder])
    const raw = run('skopeo', ['inspect', '--raw', `oci:${folder}:${name}`])
    expect(digestOf(raw)).toBe(image.root.digest)
  })

  it('copies the platform that the bundle has of a multi-architecture image', async () => {
    const { path, folder } = await bundle()
    const source = `oci-archive:${path}:docker.io/library/multi:2`
    run('skopeo', [
      '--override-arch',
      'amd64',
      'copy',
      '--quiet',
      '--preserve-digests',
      '--insecure-policy',
      source,
      `oci:${folder}/out:x`,
    ])
    const index = JSON.parse(await readFile(join(folder, 'out/index.json'), 'utf8'))
    expect(index.manifests).toHaveLength(1)
  })
})
