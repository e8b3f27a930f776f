import { readdir } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sampleLock, sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, run, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

describe('offline-deploy plan', () => {
  it('shows files, commands and addresses, and changes nothing', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    for (const command of [['plan'], ['apply', '--dry-run'], ['configure', '--dry-run']]) {
      const ran = await run([...command, ...site.options])
      expect(ran).toMatchObject({ code: 0 })
      expect(ran.stdout).toContain('environments/prod/values.yaml')
      expect(ran.stdout).toContain('hosts.toml')
    }
    expect(await readdir(site.work)).toEqual(['sample.tar'])
  })

  it('takes flags before the environment, and the environment before what was saved', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
    const listens = async (args: string[], env: Record<string, string> = {}) => {
      const { stdout } = await run(['plan', '--site', site.site, '-o', 'json', ...args], { env })
      const { does } = JSON.parse(stdout).steps.find(({ id }: { id: string }) => id === 'serve')
      return /127\.0\.0\.1:\d+ and 127\.0\.0\.1:(\d+)/.exec(does.join('\n'))?.[1]
    }
    const saved = site.http.split(':').at(-1)
    expect(await listens([])).toBe(saved)
    const env = { OFFLINE_DEPLOY_HTTP_PORT: '18081' }
    expect(await listens([], env)).toBe('18081')
    expect(await listens(['--http-port', '18082'], env)).toBe('18082')
  })

  it('lists the existing environments', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    const ran = await run(['plan', ...site.options, '--env', 'staging'])
    expect(ran).toMatchObject({ code: 2, stderr: expect.stringMatching(/it has dev, prod/) })
  })

  it('works with a bundle that has no deployment tree, no images and no files', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleLock())
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
  })
})
