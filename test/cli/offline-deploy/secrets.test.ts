import { chmod, cp, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { buildProgram, run, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

const tree = resolve(import.meta.dirname, '../../../bundle/astrago')

describe('offline-deploy secrets', () => {
  it('writes a file that only its owner may read, shows none of it, and keeps it', async () => {
    const { work } = await testSite()
    const copy = join(work, 'tree')
    await cp(tree, copy, { recursive: true })
    const file = join(copy, 'environments/prod/secrets.yaml')
    const umask = process.umask(0)
    try {
      const env = { OFFLINE_DEPLOY_SECRET_GRAFANA_ADMINPASSWORD: 'given-by-a-variable' }
      const first = await run(['secrets', copy], { env })
      expect(first).toMatchObject({ code: 0 })
      expect((await stat(file)).mode & 0o777).toBe(0o600)
      const values = parse(await readFile(file, 'utf8'))
      expect(values.grafana.adminPassword).toBe('given-by-a-variable')
      const all = [values.harbor.secretKey, values.keycloak.adminPassword, values.grafana.adminPassword]
      for (const secret of all) expect(first.stdout + first.stderr).not.toContain(secret)
      expect((await run(['secrets', copy])).stdout).toContain('unchanged')
      expect(parse(await readFile(file, 'utf8'))).toEqual(values)
    } finally {
      process.umask(umask)
    }
  })

  it('refuses a file that others may read, published defaults (fault 104), and to ask without a terminal', async () => {
    const { work } = await testSite()
    const copy = join(work, 'tree')
    await cp(tree, copy, { recursive: true })
    const env = { OFFLINE_DEPLOY_SECRET_KEYCLOAK_ADMINPASSWORD: 'xiirocks' }
    expect(await run(['secrets', copy], { env })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('keycloak.adminPassword (given): a published default'),
    })
    expect(await run(['secrets', copy, '--ask'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('there is no terminal'),
    })
    expect(await run(['secrets', copy, '--env', '../prod'])).toMatchObject({ code: 2 })
    await run(['secrets', copy])
    await chmod(join(copy, 'environments/prod/secrets.yaml'), 0o640)
    expect(await run(['secrets', copy])).toMatchObject({
      code: 7,
      stderr: expect.stringContaining('chmod 600'),
    })
  })
})
