import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/core/digest.ts'
import { applyInstall } from '../../../src/deploy/apply.ts'
import { type ChangedBundles, removeBundle } from '../../../src/deploy/bundles.ts'
import type { DeployContext } from '../../../src/deploy/context.ts'
import { noise } from '../../bundle/samples.ts'
import { testContext } from '../../install/support.ts'
import {
  sampleImage,
  sampleLock,
  sampleStack,
  sampleTree,
  writeBundle,
} from '../../site/support/sample-site.ts'
import { begin, finish, serve } from './serving-support.ts'
import { buildProgram, run, type TestSite, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

/** larger than all buffers between a server and a client that reads nothing */
const large = noise(16 << 20, 3)

/** A bundle whose one file differs from the same file of the sample stack, with an image of its own and another one under a known name. */
async function secondBundle(
  site: TestSite,
  { name = 'second', stack = 'sample' } = {},
): Promise<{ path: string; digest: string }> {
  const path = join(site.work, `${name}.tar`)
  const artifacts = [
    sampleImage(`registry.example/${name}:1`),
    sampleImage('nvcr.io/nvidia/cuda:12', `cuda of ${name}`),
    ...sampleTree('files', { 'get.example/tool.txt': `the tool of ${name}` }, 'file'),
    ...sampleTree(
      'debs/debian-12',
      {
        'dists/bookworm/main/binary-amd64/Packages':
          'Package: yq\nVersion: 4\nFilename: pool/main/y/yq_4_amd64.deb\n',
        'pool/main/y/yq_4_amd64.deb': 'a package',
      },
      'deb',
    ),
    ...sampleLock(),
  ]
  return { path, digest: await writeBundle(path, artifacts, '2.0.0', stack) }
}

async function firstBundle(site: TestSite): Promise<void> {
  await writeBundle(site.bundle, [
    ...sampleStack().filter(
      ({ root }) => root.annotations?.['org.opencontainers.image.ref.name'] !== 'files',
    ),
    ...sampleTree(
      'files',
      { 'get.example/tool.txt': 'a tool', 'get.example/large.bin': large.toString('latin1') },
      'file',
    ),
  ])
}

async function textOf(url: string): Promise<string> {
  const answer = await fetch(url)
  return answer.status === 200 ? await answer.text() : `status ${answer.status}`
}

async function resultOf(args: string[]): Promise<ChangedBundles> {
  const { code, stdout, stderr } = await run([...args, '-o', 'json'])
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`)
  return JSON.parse(stdout)
}

describe.each(['1', '2'])('bundles of a running site, in %s process(es)', processes => {
  it('are added and removed without cutting off a download; the last one wins each name', async () => {
    const site = await testSite()
    await firstBundle(site)
    const served = await serve(site, '--processes', processes)
    const tool = `${site.http}/files/get.example/tool.txt`
    const manifest = `http://${site.registry}/v2/nvidia/cuda/manifests/12`
    expect(await textOf(tool)).toBe('a tool')
    const before = await textOf(manifest)
    const largeUrl = `${site.http}/files/get.example/large.bin`
    const downloads = await Promise.all(Array.from({ length: 16 }, () => begin(largeUrl)))
    const second = await secondBundle(site)
    const at = ['--site', site.site]
    const preview = await resultOf(['bundles', 'add', second.path, ...at, '--dry-run'])
    expect(preview).toMatchObject({ written: false, servers: 'unchanged' })
    expect(await textOf(tool)).toBe('a tool')
    const added = await resultOf(['bundles', 'add', second.path, ...at])
    expect(added).toMatchObject({
      written: true,
      servers: 'reloaded',
      bundles: [{ path: site.bundle }, { path: second.path, name: 'sample', version: '2.0.0' }],
    })
    expect(added.shadowed).toEqual([
      { kind: 'image', name: 'nvcr.io/nvidia/cuda:12', servedFrom: second.path },
      { kind: 'file', name: '/files/get.example/tool.txt', servedFrom: second.path },
    ])
    expect(await textOf(tool)).toBe('the tool of second')
    expect(await textOf(manifest)).not.toBe(before)
    // by its digest, what is shadowed is there still
    expect(await textOf(manifest.replace(/12$/, digestOf(before)))).toBe(before)
    expect(await textOf(`${site.http}/debs/debian-12/dists/bookworm/main/binary-amd64/Packages`)).toMatch(
      /Package: jq[\s\S]*Package: yq/,
    )
    expect(await resultOf(['bundles', 'list', ...at])).toMatchObject({ shadowed: added.shadowed })
    expect(await run(['bundles', 'remove', second.digest, ...at])).toMatchObject({ code: 2 })
    const removed = await resultOf(['bundles', 'remove', second.digest, '--yes', ...at])
    expect(removed).toMatchObject({ servers: 'reloaded', bundles: [{ path: site.bundle }], shadowed: [] })
    expect(await textOf(tool)).toBe('a tool')
    expect(await Promise.all(downloads.map(finish))).toEqual(
      Array(16).fill(digestOf(Buffer.from(large.toString('latin1')))),
    )
    expect((await served.stop()).stderr).not.toContain('"aborted"')
  })

  it('stay as they are where one is damaged, not the expected one, or collides', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    const served = await serve(site, '--processes', processes)
    const second = await secondBundle(site)
    const at = ['--site', site.site]
    const wrong = ['--expect', `sha256:${'0'.repeat(64)}`]
    expect(await run(['bundles', 'add', second.path, ...wrong, ...at])).toMatchObject({ code: 6 })
    const collides = join(site.work, 'collides.tar')
    await writeBundle(collides, [sampleImage('other.example/nvidia/cuda:12'), ...sampleLock()])
    expect(await run(['bundles', 'add', collides, ...at])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('NAME_COLLISION'),
    })
    const bytes = await readFile(second.path)
    bytes.fill('x', 600, 700)
    await writeFile(second.path, bytes)
    expect((await run(['bundles', 'add', second.path, ...at])).code).not.toBe(0)
    expect(await resultOf(['bundles', 'list', ...at])).toMatchObject({ bundles: [{ path: site.bundle }] })
    expect(await textOf(`${site.http}/files/get.example/tool.txt`)).toBe('a tool')
    await served.stop()
  })
})

describe('bundles of a site', () => {
  it('are only configured where the servers do not run, and served by those that start then', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
    expect(await run(['stop', '--site', site.site])).toMatchObject({ code: 0 })
    const second = await secondBundle(site, { stack: 'tools' })
    const at = ['--site', site.site]
    expect(await resultOf(['bundles', 'add', second.path, ...at])).toMatchObject({ servers: 'not running' })
    expect(await run(['apply', '--yes', ...at, '--node-root', site.nodeRoot])).toMatchObject({ code: 0 })
    expect(await textOf(`${site.http}/files/get.example/tool.txt`)).toBe('the tool of second')
    expect(await run(['bundles', 'remove', 'tools', '--yes', ...at])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('tools 2.0.0 is installed from this bundle'),
    })
  })

  it('are added to the servers of apply, and apply then has nothing to restart', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
    const at = ['--site', site.site]
    const before = JSON.parse((await run(['status', ...at, '-o', 'json'])).stdout).servers.process
    const second = await secondBundle(site)
    expect(await resultOf(['bundles', 'add', second.path, ...at])).toMatchObject({ servers: 'reloaded' })
    expect(await run(['apply', '--yes', ...at, '--node-root', site.nodeRoot])).toMatchObject({ code: 0 })
    const after = JSON.parse((await run(['status', ...at, '-o', 'json'])).stdout).servers
    expect(after).toMatchObject({
      process: before,
      running: true,
      serves: [expect.any(String), second.digest],
    })
    expect(await run(['bundles', 'remove', 'unknown', '--yes', ...at])).toMatchObject({ code: 2 })
  })

  it('that apply changes are reloaded by the running servers', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
    const second = await secondBundle(site)
    const both = [...site.options, '--bundle', second.path]
    const applied = await run(['apply', '--yes', ...both])
    expect(applied).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('the running servers reloaded'),
    })
    expect(await textOf(`${site.http}/files/get.example/tool.txt`)).toBe('the tool of second')
  })

  it('that are added while another command waits for an answer are not lost', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    const tools = await secondBundle(site, { name: 'second', stack: 'tools' })
    const more = await secondBundle(site, { name: 'third', stack: 'more' })
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
    const at = ['--site', site.site]
    await resultOf(['bundles', 'add', tools.path, ...at])
    const context: DeployContext = { ...testContext(), environment: {}, askSecret: undefined, self: [] }
    const addMore = async () => void (await resultOf(['bundles', 'add', more.path, ...at]))
    const three = { bundles: [{ path: site.bundle }, { path: tools.path }, { path: more.path }] }
    const removal = { dryRun: false, confirm: addMore }
    await expect(
      removeBundle({ site: site.site, bundleName: 'tools' }, context, removal),
    ).rejects.toMatchObject({ code: 'PLAN_CHANGED' })
    expect(await resultOf(['bundles', 'list', ...at])).toMatchObject(three)
    await resultOf(['bundles', 'remove', 'more', '--yes', ...at])
    await expect(
      applyInstall({ site: site.site, bundle: [site.bundle] }, context, { approve: addMore }),
    ).rejects.toMatchObject({ code: 'PLAN_CHANGED' })
    expect(await resultOf(['bundles', 'list', ...at])).toMatchObject(three)
  })
})
