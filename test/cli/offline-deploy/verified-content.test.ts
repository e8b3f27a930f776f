import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openBundle } from '../../../src/bundle/reader.ts'
import { lockHolder } from '../../../src/core/process-lock.ts'
import { overwrite } from '../../serve/support/served-file.ts'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, run, type TestSite, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

async function deployed(): Promise<TestSite> {
  const site = await testSite()
  await writeBundle(site.bundle, sampleStack())
  expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
  return site
}

const servers = async (site: TestSite) => (await lockHolder(join(site.site, 'serve.lock')))?.pid

describe('verified content of a site', () => {
  it('restarts the servers with another --verify, and keeps it', async () => {
    const site = await deployed()
    const verifies = async () => {
      const words = (await readFile(`/proc/${await servers(site)}/cmdline`, 'utf8')).split('\0')
      return words[words.indexOf('--verify') + 1]
    }
    expect(await verifies()).toBe('once')
    expect(await run(['apply', '--yes', ...site.options, '--verify', 'always'])).toMatchObject({ code: 0 })
    expect(await verifies()).toBe('always')
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
    expect(await verifies()).toBe('always')
    expect(await run(['apply', '--yes', ...site.options, '--verify', 'never'])).toMatchObject({ code: 2 })
  })

  it('status shows damage to the content with what to do, and fails with --exit-code', async () => {
    const site = await deployed()
    const { content } = JSON.parse((await run(['status', '--site', site.site, '-o', 'json'])).stdout)
      .bundles[0]
    // what apply has verified, the servers know
    expect(content).toEqual({ verified: content.blobs, blobs: content.blobs, scrubbed: null, damaged: [] })
    const manifest = await fetch(`http://${site.registry}/v2/nvcr.io/nvidia/cuda/manifests/12`)
    const { layers } = (await manifest.json()) as { layers: { digest: string }[] }
    const bundle = await openBundle(site.bundle)
    const entry = bundle.entries().find(({ digest }) => digest === layers[0]!.digest)!
    await bundle.close()
    await overwrite(site.bundle, entry.dataOffset, Buffer.from([0xff, 0, 0xff, 0]))
    // the servers notice the change, and read everything again
    let damaged: { digest: string }[] = []
    for (let i = 0; i < 40 && damaged.length === 0; i++) {
      await sleep(500)
      const status = await run(['status', '--site', site.site, '-o', 'json'])
      damaged = JSON.parse(status.stdout).bundles[0].content.damaged
    }
    expect(damaged).toMatchObject([{ digest: entry.digest }])
    const text = await run(['status', '--site', site.site])
    expect(text.stdout).toMatch(/content: \d+ of \d+ blobs verified/)
    expect(text.stdout).toContain(`damaged: ${damaged[0]!.digest}, found on`)
    expect(text.stdout).toContain('copy the bundle again')
    expect(await run(['status', '--site', site.site, '--exit-code'])).toMatchObject({
      code: 6,
      stderr: expect.stringContaining('the servers have found 1 damaged blob'),
    })
  })
})
