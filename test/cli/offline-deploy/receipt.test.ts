import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openBundle } from '../../../src/bundle/reader.ts'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, run, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

describe('offline-deploy receipt', () => {
  it('names the bundles and their blobs, the same every time, and nothing of this machine', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
    const out = join(site.work, 'receipt.json')
    const ran = await run(['receipt', '--site', site.site, '--out', out])
    const text = await readFile(out, 'utf8')
    const bundle = await openBundle(site.bundle)
    const blobs = new Set(
      bundle.entries().flatMap(({ type, digest }) => (type === 'file' && digest ? [digest] : [])),
    )
    await bundle.close()
    expect(JSON.parse(text)).toEqual({
      receiptVersion: 1,
      bundles: [{ ...bundle.info, digest: bundle.indexDigest }].map(({ name, version, digest }) => ({
        name,
        version,
        digest,
      })),
      blobs: [...blobs].sort(),
    })
    expect(ran.stdout).toContain(`holds   ${blobs.size} blobs`)
    const again = await run(['receipt', '--bundle', site.bundle, '--bundle', site.bundle, '-o', 'json'])
    expect(JSON.parse(again.stdout).blobs).toEqual([...blobs].sort())
    await run(['receipt', '--bundle', site.bundle, '--out', `${out}.2`])
    expect(await readFile(`${out}.2`, 'utf8')).toBe(text)
    expect(text).not.toContain(site.work)
    expect(await run(['receipt', '--bundle', site.bundle, '--out', '/nowhere/x'])).toMatchObject({ code: 2 })
  })
})
