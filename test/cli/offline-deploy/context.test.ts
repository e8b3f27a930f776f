import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { setUp } from '../../../src/cli/offline-deploy/context.ts'

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-context-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const given = { bundle: ['/nowhere/b.tar'], address: '127.0.0.1', nodeRoot: 'none' }

describe('setUp', () => {
  it.each(['site', 'nodeRoot'] as const)('an empty %s is not the current folder', async option => {
    const site = join(await temporaryFolder(), 'site')
    await expect(setUp({ ...given, site, [option]: '' })).rejects.toMatchObject({
      code: 'USAGE',
      next: expect.any(String),
    })
  })

  it.each([0, -1, 65_536, 1.5])('a saved port of %d is told as a damaged configuration', async httpPort => {
    const site = await temporaryFolder()
    await mkdir(site, { recursive: true })
    const config = { bundles: ['/b.tar'], address: '127.0.0.1', registryPort: 35_000, listen: '0.0.0.0' }
    await writeFile(
      join(site, 'config.json'),
      JSON.stringify({ ...config, httpPort, environment: 'prod', nodeRoot: null }),
    )
    await expect(setUp({ ...given, site })).rejects.toMatchObject({ code: 'JOURNAL_INVALID' })
    expect(await readdir(site)).toEqual(['config.json'])
  })
})
