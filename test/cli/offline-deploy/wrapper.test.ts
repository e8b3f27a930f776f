import { spawnSync } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram } from './support.ts'

const wrapper = resolve(import.meta.dirname, '../../../bundle/offline-deploy')
const isRoot = process.getuid?.() === 0

/** What the wrapper may be started with: Debian's shell, and busybox, whose shell is the only one on small systems. */
const shells = ['/bin/sh', '/bin/bash', '/bin/busybox'].filter(
  path => spawnSync(path, ['--help']).error === undefined,
)

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

/** A folder as `tar xf bundle.tar offline-deploy` leaves it. `node` is a link to the real one: a copy would be 120 MB. */
async function unpacked(
  options: { name?: string; node?: string } = {},
): Promise<{ work: string; folder: string; start: string }> {
  const work = await mkdtemp(join(tmpdir(), 'airgap-wrapper-'))
  onTestFinished(() => rm(work, { recursive: true, force: true }))
  const folder = join(work, options.name ?? 'usb', 'offline-deploy')
  await mkdir(folder, { recursive: true })
  await copyFile(wrapper, join(folder, 'offline-deploy'))
  await copyFile(program.path, join(folder, 'offline-deploy.mjs'))
  if (options.node === undefined) await symlink(process.execPath, join(folder, 'node'))
  else await writeFile(join(folder, 'node'), options.node, { mode: 0o755 })
  return { work, folder, start: join(folder, 'offline-deploy') }
}

/** `env -i`: no PATH, no HOME, nothing. */
const run = (command: string[], options: { cwd?: string; env?: Record<string, string> } = {}) => {
  const [file = '', ...args] = command
  const ran = spawnSync(file, args, {
    encoding: 'utf8',
    env: options.env ?? {},
    cwd: options.cwd ?? '/',
    timeout: 30_000,
  })
  return { code: ran.status, stdout: ran.stdout, stderr: ran.stderr }
}

describe('the wrapper', () => {
  it.each(['usb', 'a b', '설치 자료', "it's", '$(id)', '-dash', 'new\nline', 'tab\t'])(
    'starts from a folder named %j with an empty environment',
    async name => {
      const { start } = await unpacked({ name })
      expect(run([start, 'version'])).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^offline-deploy \d/),
      })
    },
  )

  it('starts from any folder, by a relative path, through a shell, with CDPATH set', async () => {
    const { folder } = await unpacked()
    expect(run(['./offline-deploy', 'version'], { cwd: folder })).toMatchObject({ code: 0 })
    expect(
      run(['offline-deploy/offline-deploy', 'version'], {
        cwd: join(folder, '..'),
        env: { CDPATH: '/usr:/tmp' },
      }),
    ).toMatchObject({ code: 0, stderr: '' })
    for (const shell of shells) {
      const command = shell.endsWith('busybox') ? [shell, 'sh'] : [shell]
      expect(run([...command, 'offline-deploy', 'version'], { cwd: folder })).toMatchObject({ code: 0 })
    }
  })

  it('passes arguments on as they are', async () => {
    const { start } = await unpacked()
    const ran = run([start, 'verify', 'a b*$(id)\n"', '--output', 'json'])
    expect(JSON.parse(ran.stderr).error.item).toContain('a b*$(id)\n"')
    expect(ran.code).toBe(2)
  })

  it('finds the only bundle next to it, and lists several', async () => {
    const { folder, start } = await unpacked({ name: '설치 자료' })
    expect(run([start, 'verify'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no bundle next to this program'),
    })
    await writeBundle(join(folder, '..', 'stack-1.tar'), sampleStack())
    expect(run([start, 'verify'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('설치 자료/stack-1.tar: good'),
    })
    await writeBundle(join(folder, '..', 'stack-2.tar'), sampleStack())
    expect(run([start, 'verify'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/stack-1\.tar, stack-2\.tar/),
    })
    const env = { OFFLINE_DEPLOY_BUNDLE: join(folder, '..', 'stack-2.tar') }
    expect(run([start, 'verify'], { env })).toMatchObject({ code: 0 })
  })

  it('is not misled by NODE_OPTIONS of the machine', async () => {
    const { start } = await unpacked()
    expect(run([start, 'version'], { env: { NODE_OPTIONS: '--require /nonexistent.js' } })).toMatchObject({
      code: 0,
    })
  })

  it('says so when it was started through a link', async () => {
    const { work, start } = await unpacked()
    await symlink(start, join(work, 'link'))
    expect(run([join(work, 'link'), 'version'])).toMatchObject({
      code: 7,
      stderr: expect.stringMatching(/symbolic link[\s\S]*next:/),
    })
  })

  it.each(['node', 'offline-deploy.mjs'])('says which part is missing: %s', async part => {
    const { folder, start } = await unpacked()
    await rm(join(folder, part))
    expect(run([start, 'version'])).toMatchObject({
      code: 7,
      stderr: expect.stringMatching(new RegExp(`${part}[\\s\\S]*tar xf`)),
    })
  })

  it('says what to do where programs may not be run', async () => {
    const { folder, start } = await unpacked({ node: 'x' })
    await chmod(join(folder, 'node'), 0o644)
    expect(run(['/bin/sh', start, 'version'])).toMatchObject({
      code: 7,
      stderr: expect.stringMatching(/PERMISSION[\s\S]*copy the offline-deploy folder/),
    })
  })

  it.skipIf(!isRoot)('fault 74: a noexec, read-only medium (needs root for a tmpfs)', async () => {
    const { work, folder } = await unpacked()
    const medium = join(work, 'medium')
    await mkdir(medium)
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'noexec,size=200m', 'tmpfs', medium]).status).toBe(0)
    try {
      for (const name of ['offline-deploy', 'offline-deploy.mjs', 'node'])
        await copyFile(join(folder, name), join(medium, name))
      spawnSync('mount', ['-o', 'remount,ro,noexec', medium])
      expect(run(['/bin/sh', join(medium, 'offline-deploy'), 'version'])).toMatchObject({
        code: 7,
        stderr: expect.stringContaining('noexec'),
      })
      spawnSync('mount', ['-o', 'remount,ro,exec', medium])
      expect(run([join(medium, 'offline-deploy'), 'version'])).toMatchObject({ code: 0 })
    } finally {
      spawnSync('umount', [medium])
    }
  })

  it('a runtime for another architecture is exit 7, and leaves nothing behind', async () => {
    // an ELF header for aarch64 (e_machine 0xb7): execve fails with ENOEXEC
    const header = Buffer.alloc(64)
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(header)
    header.writeUInt16LE(3, 16)
    header.writeUInt16LE(0xb7, 18)
    const { folder, start } = await unpacked({ node: header.toString('latin1') })
    await writeFile(join(folder, 'node'), header, { mode: 0o755 })
    expect(run([start, 'version'])).toMatchObject({
      code: 7,
      stderr: expect.stringMatching(/WRONG_PLATFORM[\s\S]*architecture/),
    })
    expect((await readdir(folder)).sort()).toEqual(['node', 'offline-deploy', 'offline-deploy.mjs'])
  })

  it('a Linux that is too old is exit 7, and says which are new enough', async () => {
    const said = "node: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.28' not found (required by node)"
    const { start } = await unpacked({
      node: `#!/bin/sh\nprintf '%s\\n' "${said.replaceAll('`', '\\`')}" >&2\nexit 1\n`,
    })
    expect(run([start, 'version'])).toMatchObject({
      code: 7,
      stderr: expect.stringMatching(/too old[\s\S]*RHEL 8/),
    })
  })
})
