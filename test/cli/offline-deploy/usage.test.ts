import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, run, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

describe('bad usage', () => {
  it.each([
    [['apply', '--nonsense'], /unknown option/],
    [['nonsense'], /unknown command/],
    [['apply', '--registry-port', '99999'], /port/],
    [['apply', '-o', 'xml'], /text, json, yaml/],
    [['verify', '--expect', 'sha256:1'], /digest/],
    [['verify'], /which bundle/],
    [['status', '--site', '/nonexistent/site'], /nothing was deployed/],
    [['apply', '--bundle', '/nonexistent.tar', '--address', '127.0.0.1'], /the bundle does not exist/],
  ])('%j', async (args, message) => {
    const ran = await run(args)
    expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(message) })
    expect(ran.stderr).toMatch(/^error [A-Z_]+: /)
  })

  it('is reported as JSON where JSON output is requested', async () => {
    for (const args of [
      ['apply', '--nonsense', '-o', 'json'],
      ['-ojson', 'nonsense'],
      ['verify', '--output=json'],
    ]) {
      const ran = await run(args)
      expect(JSON.parse(ran.stderr).error).toMatchObject({ code: 'USAGE', exit: 2 })
    }
  })

  it('refuses the same port twice, and port 0 for apply', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    expect(
      await run(['plan', ...site.options, '--registry-port', '5000', '--http-port', '5000']),
    ).toMatchObject({ code: 2 })
    expect(await run(['apply', '--yes', ...site.options, '--registry-port', '0'])).toMatchObject({ code: 2 })
    await rm(site.site, { recursive: true, force: true })
  })
})
