import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type DockerRegistry,
  hasDockerRegistry,
  startDockerRegistry,
} from '../../scripts/lib/upstreams/docker-registry.ts'
import { makeRandomImage } from '../../scripts/lib/upstreams/random-image.ts'
import { airgap, sha256File, startAirgap } from './lib/airgap.ts'
import { startCountingProxy } from './lib/counting-proxy.ts'

const MiB = 1 << 20

describe.skipIf(!hasDockerRegistry)('building from a docker-registry (needs docker-registry, skopeo)', () => {
  let work: string
  let registry: DockerRegistry
  let manifest: string

  const common = () => ['-f', manifest, '--cache', join(work, 'cache')]
  const remap = (host: string) => ['--remap', `docker.io=http://${host}`]

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'airgap-e2e-build-'))
    registry = await startDockerRegistry(join(work, 'registry'))
    await makeRandomImage(join(work, 'image'), { layers: 10, layerSize: 12 * MiB })
    registry.push(`${join(work, 'image')}:1`, 'library/load:1')
    await mkdir(join(work, 'stack'))
    manifest = join(work, 'stack', 'load.yaml')
    await writeFile(
      manifest,
      'apiVersion: airgap/v1\nname: load\nversion: 1.0.0\nimages:\n  - docker.io/library/load:1\n',
    )
    const locked = await airgap(['lock', ...common(), ...remap(registry.host)])
    expect(locked).toMatchObject({ code: 0 })
  })

  afterAll(async () => {
    await registry?.close()
    await rm(work, { recursive: true, force: true })
  })

  it('builds the same bytes on two paths, with -j 1 and -j 16', async () => {
    await mkdir(join(work, 'elsewhere'))
    const [one, two] = [join(work, 'one.tar'), join(work, 'elsewhere', 'two.tar')]
    expect(
      await airgap(['build', ...common(), ...remap(registry.host), '--frozen', '-j', '1', '--out', one]),
    ).toMatchObject({ code: 0 })
    expect(
      await airgap(['build', ...common(), ...remap(registry.host), '--frozen', '-j', '16', '--out', two]),
    ).toMatchObject({ code: 0 })
    expect(await sha256File(two)).toBe(await sha256File(one))
    expect(await airgap(['verify', one])).toMatchObject({ code: 0 })
    await rm(two)
  })

  it('fault 77: killed ten times at random moments, it ends with the same bytes and fetches less than 1.2 times the content', async () => {
    const out = join(work, 'killed.tar')
    // slow enough for ten kills within the build, each after a random part of it
    const proxy = await startCountingProxy(registry.host, 40 * MiB)
    try {
      // two at once: each kill loses what is in flight, and this bundle is small
      const build = ['build', ...common(), ...remap(proxy.host), '--frozen', '-j', '2', '--out', out]
      let kills = 0
      while (kills < 10) {
        const { child, ended } = startAirgap(build)
        const due = setTimeout(() => child.kill('SIGKILL'), 450 + Math.random() * 250)
        const ran = await ended
        clearTimeout(due)
        expect(existsSync(out)).toBe(ran.code === 0)
        if (ran.code === 0) break
        expect(ran.signal).toBe('SIGKILL')
        kills++
      }
      expect(kills).toBeGreaterThanOrEqual(5)
      if (!existsSync(out)) expect(await airgap(build)).toMatchObject({ code: 0 })
      expect(await sha256File(out)).toBe(await sha256File(join(work, 'one.tar')))
      expect(proxy.received()).toBeLessThan(1.2 * (await stat(out)).size)
    } finally {
      await proxy.close()
    }
  })

  it('fault 78: a second build on the same output stops with exit 10', async () => {
    const out = join(work, 'busy.tar')
    const proxy = await startCountingProxy(registry.host, 20 * MiB)
    const build = ['build', ...common(), ...remap(proxy.host), '--frozen', '--out', out]
    const first = startAirgap(build)
    try {
      while (!existsSync(`${out}.partial`)) await new Promise(go => setTimeout(go, 20))
      const second = await airgap(build)
      expect(second.code).toBe(10)
      expect(second.stderr).toContain('BUSY')
    } finally {
      first.child.kill('SIGTERM')
      expect(await first.ended).toMatchObject({ code: 143 })
      await proxy.close()
    }
    expect(existsSync(out)).toBe(false)
  })

  it('takes everything from an earlier bundle, without any upstream', async () => {
    const out = join(work, 'again.tar')
    const reuse = ['--reuse', join(work, 'one.tar')]
    expect(
      await airgap(['build', ...common(), ...remap('127.0.0.1:1'), ...reuse, '--frozen', '--out', out]),
    ).toMatchObject({ code: 0 })
    expect(await sha256File(out)).toBe(await sha256File(join(work, 'one.tar')))
  })

  it('reuses the bundle that it replaces: complete, changed and damaged', async () => {
    const out = join(work, 'in-place.tar')
    await copyFile(join(work, 'one.tar'), out)
    const offline = ['build', ...common(), ...remap('127.0.0.1:1'), '--frozen', '--out', out]
    const again = await airgap(offline)
    expect(again.code).toBe(0)
    expect(again.stdout).toContain('in-place.tar: already built; every byte is verified\n')
    // a byte of the last blob
    const handle = await open(out, 'r+')
    const { size } = await handle.stat()
    await handle.write(Buffer.from([0xff, 0x00, 0xff]), 0, 3, size - 64 * 1024)
    await handle.close()
    expect((await airgap(offline)).code).toBe(5)
    expect(
      await airgap(['build', ...common(), ...remap(registry.host), '--frozen', '--out', out]),
    ).toMatchObject({ code: 0 })
    expect(await sha256File(out)).toBe(await sha256File(join(work, 'one.tar')))
  })

  it('fault 21: fetches the locked content of a tag that has moved since, or reports it as gone', async () => {
    await makeRandomImage(join(work, 'moved'), { layers: 1, layerSize: MiB })
    registry.push(`${join(work, 'moved')}:1`, 'library/load:1')
    const out = join(work, 'moved.tar')
    expect(
      await airgap(['build', ...common(), ...remap(registry.host), '--frozen', '--out', out]),
    ).toMatchObject({ code: 0 })
    expect(await sha256File(out)).toBe(await sha256File(join(work, 'one.tar')))
    const check = await airgap(['lock', ...common(), ...remap(registry.host), '--check'])
    expect(check.code).toBe(4)
    expect(check.stdout).toMatch(/~ \S+\/library\/load {2}1\n/)
  })
})
