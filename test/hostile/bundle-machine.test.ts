import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openBundle } from '../../src/bundle/reader.ts'
import { verifyBundle } from '../../src/bundle/verify.ts'
import { BundleWriter } from '../../src/bundle/writer.ts'
import { digestOf } from '../../src/core/digest.ts'
import { AirgapError } from '../../src/core/errors.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { localSample } from '../bundle/local-sample.ts'
import { layoutOf, noise, smallSample, tempFolder, treeSample, writeBundle } from '../bundle/samples.ts'

const child = resolve(import.meta.dirname, 'build-child.ts')
const MiB = 1 << 20

function build(
  args: string[],
  options: { env?: NodeJS.ProcessEnv; wrap?: string[] } = {},
): { status: number | null; out: string } {
  const [program, ...rest] = [...(options.wrap ?? []), process.execPath, child, ...args] as [
    string,
    ...string[],
  ]
  const { status, stdout, stderr } = spawnSync(program, rest, {
    encoding: 'utf8',
    env: options.env ?? process.env,
  })
  return { status, out: stdout + stderr }
}

/** True where this user can mount a tmpfs (root, outside most containers). */
const canMount = (() => {
  const folder = mkdtempSync(join(tmpdir(), 'airgap-mount-'))
  const { status } = spawnSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', folder])
  if (status === 0) execFileSync('/bin/umount', [folder])
  rmSync(folder, { recursive: true })
  return status === 0
})()

async function smallDisk(size: string): Promise<string> {
  const folder = join(await tempFolder(), 'disk')
  await mkdir(folder)
  execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', folder])
  onTestFinished(() => void execFileSync('/bin/umount', [folder]))
  return folder
}

/** PATH without one program. */
function pathWithout(program: string): string {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.filter(folder => !existsSync(join(folder, program))).join(delimiter)
}

describe('the machine', () => {
  it('fault 77: killed at random moments, a build resumes and ends with the same bytes', async () => {
    const folder = await tempFolder()
    const whole = join(folder, 'whole.tar')
    const args = ['3000', '2']
    expect(build([whole, ...args]).status).toBe(0)
    const path = join(folder, 'killed.tar')
    let kills = 0
    for (let i = 0; i < 8; i++) {
      const running = spawn(process.execPath, [child, path, ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const ended = once(running, 'exit')
      await Promise.race([once(running.stdout, 'data'), ended])
      await Promise.race([setTimeout(Math.random() * 60), ended])
      running.kill('SIGKILL')
      const [code] = await ended
      if (code === 0) break
      kills++
      expect(existsSync(path)).toBe(false)
    }
    expect(kills).toBeGreaterThan(3)
    const last = build([path, ...args])
    expect(last).toMatchObject({ status: 0 })
    expect(digestOf(await readFile(path))).toBe(digestOf(await readFile(whole)))
    expect((await readdir(folder)).sort()).toEqual(['killed.tar', 'whole.tar'])
  })

  it.skipIf(!canMount)(
    'fault 76: a disk that fills up at each tenth of a build, which resumes when there is room (needs mount)',
    async () => {
      const files = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`f${i}`, noise(300_000, i + 1)]))
      const sample = treeSample('files', files)
      const layout = layoutOf(sample)
      const folder = await smallDisk('8m')
      const path = join(folder, 'a.tar')
      const ballast = join(folder, 'ballast')
      // without fallocate the file is sparse, as on file systems that cannot reserve space: the disk may fill up meanwhile
      const before = process.env.PATH
      process.env.PATH = pathWithout('fallocate')
      onTestFinished(() => void (process.env.PATH = before))
      for (let tenth = 1; tenth <= 10; tenth++) {
        const writer = await BundleWriter.open(path, layout)
        const { bavail, bsize } = await statfs(folder)
        await writeFile(ballast, Buffer.alloc(Math.max(0, bavail * bsize - 300_000)))
        try {
          for (const slot of writer.pending()) {
            const bytes = sample.contents.get(slot.descriptor.digest)!
            await slot.write(bytes.subarray(slot.received))
            await slot.finish()
          }
        } catch (error) {
          expect(error).toBeInstanceOf(AirgapError)
          expect(error).toMatchObject({ code: 'NO_SPACE', exitCode: 7 })
        } finally {
          await writer.close()
          await rm(ballast)
        }
        expect(existsSync(path)).toBe(false)
      }
      await writeBundle(path, sample)
      await expect(verifyBundle(path)).resolves.toMatchObject({ size: layout.size })
    },
  )

  it.skipIf(!canMount)(
    'a disk that fills up while threads copy leaves slots empty, which are filled when there is room (needs mount)',
    async () => {
      const folder = await smallDisk('24m')
      const files = join(await tempFolder(), 'files')
      const { sample, paths } = await localSample(files, { write: true })
      const path = join(folder, 'a.tar')
      const ballast = join(folder, 'ballast')
      const before = process.env.PATH
      process.env.PATH = pathWithout('fallocate')
      onTestFinished(() => void (process.env.PATH = before))
      const writer = await BundleWriter.open(path, layoutOf(sample))
      onTestFinished(() => writer.close())
      const { bavail, bsize } = await statfs(folder)
      await writeFile(ballast, Buffer.alloc(bavail * bsize - 3 * MiB))
      const copies = writer.pending().map(slot => {
        const file = join(files, paths.get(slot.descriptor.digest)!)
        return { slot, from: { path: file, size: slot.descriptor.size } }
      })
      // the journal is on the same disk
      const copying = writer.copy(copies, { signal: undefined, copied() {} })
      await copying.catch(error => expect(error).toMatchObject({ code: 'NO_SPACE' }))
      expect(writer.pending().length).toBeGreaterThan(0)
      const [slot] = writer.pending()
      const writing = async () => {
        await slot!.write(sample.contents.get(slot!.descriptor.digest)!)
        await slot!.finish()
      }
      await expect(writing()).rejects.toMatchObject({ code: 'NO_SPACE' })
      await rm(ballast)
      await slot!.restart()
      await writing()
      for (const left of writer.pending()) {
        await left.write(sample.contents.get(left.descriptor.digest)!)
        await left.finish()
      }
      await writer.seal()
      await expect(verifyBundle(path)).resolves.toMatchObject({ artifacts: 1 })
    },
  )

  it.skipIf(!canMount)(
    'fault 76: a disk that is too small is reported before anything is written (needs mount)',
    async () => {
      const folder = await smallDisk('1m')
      const sample = treeSample('files', { a: noise(2 * MiB, 1) })
      await expect(BundleWriter.open(join(folder, 'a.tar'), layoutOf(sample))).rejects.toMatchObject({
        code: 'NO_SPACE',
        exitCode: 7,
      })
      expect(await readdir(folder)).toEqual([])
    },
  )

  it.skipIf(!canMount)('fault 74: a read-only medium is read, and never written (needs mount)', async () => {
    const folder = await smallDisk('8m')
    const path = join(folder, 'a.tar')
    await writeBundle(path, smallSample())
    execFileSync('/bin/mount', ['-o', 'remount,ro', folder])
    await expect(verifyBundle(path)).resolves.toMatchObject({ artifacts: 4 })
    await (await openBundle(path)).close()
    await expect(BundleWriter.open(path, layoutOf(smallSample()))).rejects.toMatchObject({
      code: 'PERMISSION',
    })
  })

  it('fault 78: of two builds at once, the second stops with exit code 10, and continues when the first is gone', async () => {
    const path = join(await tempFolder(), 'a.tar')
    const first = spawn(process.execPath, [child, path, '500', '600000'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void first.kill('SIGKILL'))
    await once(first.stdout, 'data')
    expect(build([path, '500'])).toMatchObject({ status: 10, out: 'BUSY\n' })
    first.kill('SIGKILL')
    await once(first, 'exit')
    expect(build([path, '500'])).toMatchObject({ status: 0 })
  })

  it.skipIf(!hasTool('strace'))(
    'fault 79: the content is synced before the rename, the folder after it (needs strace)',
    async () => {
      const folder = await tempFolder()
      const log = join(folder, 'calls')
      const wrap = [
        'strace',
        '-f',
        '-y',
        '-o',
        log,
        '-e',
        'trace=fsync,fdatasync,rename,renameat,renameat2,unlink',
      ]
      expect(build([join(folder, 'a.tar')], { wrap }).status).toBe(0)
      const calls = (await readFile(log, 'utf8')).split('\n').filter(line => !line.includes('resumed'))
      const at = (pattern: RegExp) => calls.findIndex(line => pattern.test(line))
      const order = [
        at(/fsync\(\d+<.*a\.tar\.partial>/),
        at(/rename.*a\.tar\.partial".*a\.tar"/),
        at(new RegExp(`fsync\\(\\d+<${folder}>`)),
        at(/unlink.*partial\.journal"/),
      ]
      expect(
        order.every(index => index >= 0),
        calls.join('\n'),
      ).toBe(true)
      expect(order).toEqual([...order].sort((a, b) => a - b))
    },
  )

  it('fault 81: umask 077, no HOME, LANG=C, an empty PATH and a Korean path', async () => {
    const folder = join(await tempFolder(), '한국어 폴더')
    await mkdir(folder)
    const path = join(folder, '묶음 "1".tar')
    const script = `umask 077; exec '${process.execPath}' '${child}' "$0"`
    const { status, stderr } = spawnSync('/bin/sh', ['-c', script, path], {
      env: { LANG: 'C', PATH: '' },
      encoding: 'utf8',
    })
    expect([status, stderr]).toEqual([0, ''])
    await expect(verifyBundle(path)).resolves.toMatchObject({ artifacts: 1 })
  })

  it.skipIf(!hasTool('prlimit'))('fault 82: 64 file descriptors are enough (needs prlimit)', async () => {
    const path = join(await tempFolder(), 'a.tar')
    expect(build([path], { wrap: ['prlimit', '--nofile=64'] })).toMatchObject({ status: 0 })
  })

  it('fault 83: a build stays below 200 MB, whatever its size', async () => {
    const path = join(await tempFolder(), 'a.tar')
    const kib = 12 * 1024
    const { status, out } = build([path, String(kib)])
    expect(status, out).toBe(0)
    // the child itself holds 48 MiB of content, and what it took to make it
    const { maxRssKib } = JSON.parse(out.trim().split('\n').at(-1)!)
    expect(maxRssKib - 4 * kib).toBeLessThan(200 * 1024)
  })
})
