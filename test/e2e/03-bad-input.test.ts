import { spawnSync } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, open, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type DockerRegistry,
  hasDockerRegistry,
  startDockerRegistry,
} from '../../scripts/lib/upstreams/docker-registry.ts'
import { makeRandomImage } from '../../scripts/lib/upstreams/random-image.ts'
import { airgap, type Ran } from './lib/airgap.ts'

const MiB = 1 << 20

/** Every message has the code, the item and what to do next; there is no stack trace, and nothing on stdout. */
function expectError(ran: Ran, wanted: { exit: number; code: string; says: (string | RegExp)[] }): void {
  expect(ran.stderr).toContain(`error ${wanted.code}`)
  for (const text of wanted.says) expect(ran.stderr).toMatch(text)
  expect(ran.stderr).toMatch(/next:/)
  expect(ran.stderr).not.toMatch(/\n\s+at /)
  expect(ran.stdout).toBe('')
  expect(ran.code).toBe(wanted.exit)
}

async function flipByte(path: string, offset: number): Promise<void> {
  const handle = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await handle.read(byte, 0, 1, offset)
    byte[0]! ^= 1
    await handle.write(byte, 0, 1, offset)
  } finally {
    await handle.close()
  }
}

describe('bad manifests', () => {
  let work: string
  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'airgap-e2e-bad-'))
  })
  afterAll(() => rm(work, { recursive: true, force: true }))

  const lockOf = async (text: string) => {
    const file = join(work, 'stack.yaml')
    await writeFile(file, text)
    return await airgap(['lock', '-f', file, '--cache', join(work, 'cache')])
  }

  it('an unknown key: file, line, column and a suggestion', async () => {
    const ran = await lockOf(
      'apiVersion: airgap/v1\nname: a\nversion: 1.0.0\nimges:\n  - docker.io/library/x:1\n',
    )
    expectError(ran, { exit: 2, code: 'MANIFEST_INVALID', says: [/stack\.yaml:4:1/, /imges/, /images/] })
  })

  it('all mistakes, reported at once', async () => {
    const ran = await lockOf(
      'apiVersion: airgap/v1\nname: A!\nversion: 1.0.0\nplatforms: [x]\nimages:\n  - nope\n',
    )
    expectError(ran, { exit: 2, code: 'MANIFEST_INVALID', says: [/stack\.yaml:2:7/, /stack\.yaml:4:13/] })
  })

  it('a missing manifest', async () => {
    const ran = await airgap(['lock', '-f', join(work, 'none.yaml')])
    expectError(ran, { exit: 2, code: 'FILE_NOT_FOUND', says: [/none\.yaml/] })
  })

  it('a missing list: where the manifest names it', async () => {
    const ran = await lockOf('apiVersion: airgap/v1\nname: a\nversion: 1.0.0\nimages:\n  - list: none.txt\n')
    expectError(ran, { exit: 2, code: 'FILE_NOT_FOUND', says: [/none\.txt/, /stack\.yaml:5/] })
  })

  it('a line of a list that is not a reference', async () => {
    await writeFile(join(work, 'list.txt'), '# ours\ndocker.io/library/a:1\nquay.io/Bad Name:1\n')
    const ran = await lockOf('apiVersion: airgap/v1\nname: a\nversion: 1.0.0\nimages:\n  - list: list.txt\n')
    expectError(ran, {
      exit: 2,
      code: 'REFERENCE_INVALID|MANIFEST_INVALID'.split('|')[
        ran.stderr.includes('REFERENCE_INVALID') ? 0 : 1
      ]!,
      says: [/list\.txt:3:1/],
    })
  })

  it('two upstreams that collide once stripped', async () => {
    const ran = await lockOf(
      'apiVersion: airgap/v1\nname: a\nversion: 1.0.0\nimages:\n  - quay.io/a/b:1\n  - ghcr.io/a/b:1\n',
    )
    expectError(ran, { exit: 2, code: 'NAME_COLLISION', says: [/quay\.io\/a\/b/, /ghcr\.io\/a\/b/] })
  })

  it('an unknown option and an unknown command', async () => {
    expect((await airgap(['lock', '--nonsense'])).code).toBe(2)
    expect((await airgap(['nonsense'])).code).toBe(2)
  })
})

describe.skipIf(!hasDockerRegistry)('bad upstreams and bundles (needs docker-registry, skopeo)', () => {
  let work: string
  let registry: DockerRegistry
  let manifest: string
  let bundle: string
  const common = () => [
    '-f',
    manifest,
    '--cache',
    join(work, 'cache'),
    '--remap',
    `docker.io=http://${registry.host}`,
  ]

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'airgap-e2e-bad-upstream-'))
    registry = await startDockerRegistry(join(work, 'registry'))
    await makeRandomImage(join(work, 'image'), { layers: 2, layerSize: 2 * MiB })
    registry.push(`${join(work, 'image')}:1`, 'library/load:1')
    manifest = join(work, 'load.yaml')
    await writeFile(
      manifest,
      'apiVersion: airgap/v1\nname: load\nversion: 1.0.0\nimages:\n  - docker.io/library/load:1\n',
    )
    bundle = join(work, 'load.tar')
    expect(await airgap(['build', ...common(), '--out', bundle])).toMatchObject({ code: 0 })
  })
  afterAll(async () => {
    await registry?.close()
    await rm(work, { recursive: true, force: true })
  })

  const nothingUnder = async (out: string) => expect(await readdir(work)).not.toContain(out)

  /** The largest blobs in the registry's storage: the layers. */
  async function storedLayer(): Promise<string> {
    const found = spawnSync('find', [join(work, 'registry'), '-name', 'data', '-size', '+1M'], {
      encoding: 'utf8',
    })
    return found.stdout.split('\n')[0]!
  }

  it('a tag that does not exist', async () => {
    const file = join(work, 'tag.yaml')
    await writeFile(
      file,
      'apiVersion: airgap/v1\nname: a\nversion: 1.0.0\nimages:\n  - docker.io/library/load:2\n',
    )
    const ran = await airgap([
      'lock',
      '-f',
      file,
      '--cache',
      join(work, 'cache'),
      '--remap',
      `docker.io=http://${registry.host}`,
    ])
    expectError(ran, { exit: 4, code: 'NOT_FOUND_UPSTREAM', says: [/library\/load:2/] })
  })

  it('an unreachable registry', async () => {
    const ran = await airgap([
      'lock',
      '-f',
      manifest,
      '--cache',
      join(work, 'cache'),
      '--remap',
      'docker.io=http://127.0.0.1:1',
    ])
    expectError(ran, { exit: 5, code: 'NETWORK', says: [/127\.0\.0\.1:1/] })
  })

  it('fault 20: a platform that is not published', async () => {
    const ran = await airgap(['lock', ...common(), '--platform', 'linux/s390x'])
    expectError(ran, { exit: 4, code: 'PLATFORM_MISSING', says: [/s390x/, /linux\/amd64/] })
  })

  it('fault 6: wrong bytes from upstream stop everything with exit code 6', async () => {
    const layer = await storedLayer()
    await flipByte(layer, 1000)
    try {
      const ran = await airgap([
        'build',
        ...common(),
        '--frozen',
        '--keep-going',
        '--out',
        join(work, 'wrong.tar'),
      ])
      expectError(ran, {
        exit: 6,
        code: 'DIGEST_MISMATCH',
        says: [/sha256:\w+ of docker\.io\/library\/load/],
      })
      await nothingUnder('wrong.tar')
    } finally {
      await flipByte(layer, 1000)
    }
    expect(await airgap(['build', ...common(), '--frozen', '--out', join(work, 'wrong.tar')])).toMatchObject({
      code: 0,
    })
  })

  it('fault 4: a truncated body', async () => {
    const layer = await storedLayer()
    await copyFile(layer, join(work, 'kept'))
    await truncate(layer, MiB)
    try {
      const ran = await airgap(['build', ...common(), '--frozen', '--out', join(work, 'short.tar')])
      expect([5, 6]).toContain(ran.code)
      expect(ran.stderr).toMatch(/next:/)
      await nothingUnder('short.tar')
    } finally {
      await copyFile(join(work, 'kept'), layer)
    }
  })

  it('a lock that is out of date, with --frozen', async () => {
    const file = join(work, 'frozen.yaml')
    await writeFile(
      file,
      'apiVersion: airgap/v1\nname: load\nversion: 1.0.1\nimages:\n  - docker.io/library/load:1\n',
    )
    const ran = await airgap([
      'build',
      ...common(),
      '-f',
      file,
      '--lock',
      join(work, 'load.lock.json'),
      '--frozen',
      '--out',
      join(work, 'x.tar'),
    ])
    expectError(ran, { exit: 4, code: 'LOCK_OUT_OF_DATE', says: [/airgap lock/] })
  })

  it('a bundle cut short', async () => {
    const cut = join(work, 'cut.tar')
    await copyFile(bundle, cut)
    await truncate(cut, 3 * MiB)
    expectError(await airgap(['verify', cut]), { exit: 6, code: 'BUNDLE_CORRUPT', says: [/cut\.tar/] })
    await rm(cut)
  })

  it('a bundle with one flipped byte', async () => {
    const flipped = join(work, 'flipped.tar')
    await copyFile(bundle, flipped)
    const { size } = await stat(flipped)
    await flipByte(flipped, size - 1 * MiB)
    expectError(await airgap(['verify', flipped]), {
      exit: 6,
      code: 'BUNDLE_CORRUPT',
      says: [/flipped\.tar|sha256/],
    })
    await rm(flipped)
  })

  it('a bundle with another digest than expected', async () => {
    const ran = await airgap(['verify', bundle, '--expect', `sha256:${'0'.repeat(64)}`])
    expect(ran.code).toBe(6)
  })

  it('a file that is not a bundle', async () => {
    expectError(await airgap(['verify', manifest]), {
      exit: 7,
      code: 'BUNDLE_UNREADABLE',
      says: [/load\.yaml/],
    })
  })

  it.skipIf(process.getuid?.() !== 0)(
    'fault 76: a full disk, then room (needs root for a tmpfs)',
    async () => {
      const small = join(work, 'small')
      await mkdir(small)
      const mount = (size: string, extra = '') =>
        spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}${extra}`, 'tmpfs', small])
      expect(mount('3m').status).toBe(0)
      try {
        const out = join(small, 'full.tar')
        expectError(await airgap(['build', ...common(), '--frozen', '--out', out]), {
          exit: 7,
          code: 'NO_SPACE',
          says: [/full\.tar|small/],
        })
        expect(await readdir(small)).not.toContain('full.tar')
        expect(mount('400m', ',remount').status).toBe(0)
        expect(await airgap(['build', ...common(), '--frozen', '--out', out])).toMatchObject({ code: 0 })
      } finally {
        spawnSync('umount', [small])
      }
    },
  )

  it('fault 85: a port in use', async () => {
    const server = createServer()
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    const { port } = server.address() as { port: number }
    try {
      const ran = await airgap([
        'serve',
        bundle,
        '--listen',
        '127.0.0.1',
        '--registry-port',
        String(port),
        '--http-port',
        '0',
      ])
      expectError(ran, { exit: 7, code: 'PORT_IN_USE', says: [new RegExp(String(port))] })
    } finally {
      server.close()
    }
  })
})
