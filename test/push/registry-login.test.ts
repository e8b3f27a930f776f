import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { withLoginFor } from '../../src/push/registry-login.ts'

afterEach(() => void vi.unstubAllEnvs())

describe('the login for one repository', () => {
  it('is in a file without a name: nothing is left behind if the program is killed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'airgap-test-'))
    const registryConfig = join(folder, 'config.json')
    const login = (password: string) => ({ auth: Buffer.from(`me:${password}`).toString('base64') })
    await writeFile(
      registryConfig,
      JSON.stringify({ auths: { 'registry.example/team': login('team'), 'registry.example': login('all') } }),
    )
    const temporary = await mkdtemp(join(tmpdir(), 'airgap-test-'))
    vi.stubEnv('TMPDIR', temporary)
    const oras = { program: 'oras', plainHttp: true, signal: new AbortController().signal, registryConfig }
    await withLoginFor(oras, 'registry.example/team/app', async own => {
      expect(await readdir(temporary)).toEqual([])
      // another process, twice: each reads it from the start
      for (let i = 0; i < 2; i++)
        expect(JSON.parse(execFileSync('cat', [own.registryConfig ?? ''], { encoding: 'utf8' }))).toEqual({
          auths: { 'registry.example': login('team') },
        })
    })
    expect(await readdir(temporary)).toEqual([])
  })
})
