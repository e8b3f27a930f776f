import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { mountOf, unreliableLocks } from '../../src/core/lock-file-system.ts'
import { acquireProcessLock, lockHolder } from '../../src/core/process-lock.ts'

async function lockPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-lock-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'x.lock')
}

/** A process that tries to take the lock, prints the result, and holds it until it is killed. */
function contender(path: string, within: readonly string[] = [], first = ''): ChildProcess {
  const module = resolve(import.meta.dirname, '../../src/core/process-lock.ts')
  const code = `${first}
    import { acquireProcessLock } from ${JSON.stringify(module)}
    await acquireProcessLock(${JSON.stringify(path)}, 'x').then(() => console.log('held'), error => { console.log(error.code); process.exit() })
    setInterval(() => {}, 1000)`
  const [program = '', ...args] = [...within, process.execPath, '--input-type=module', '-e', code]
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** A container needs as much, and so do these tests. */
const canUnshare = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0

async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (tries >= 50) throw error
      await new Promise(go => setTimeout(go, 100))
    }
  }
}

async function said(child: ChildProcess): Promise<string> {
  const [data] = await once(child.stdout!, 'data')
  return String(data).trim()
}

describe('acquireProcessLock', () => {
  it('is held once, and leaves no file when released', async () => {
    const path = await lockPath()
    const lock = await acquireProcessLock(path, 'the bundle')
    await expect(acquireProcessLock(path, 'the bundle')).rejects.toMatchObject({
      code: 'BUSY',
      exitCode: 10,
      item: 'the bundle',
    })
    await lock.release()
    expect(await readdir(join(path, '..'))).toEqual([])
    await (await acquireProcessLock(path, 'x')).release()
  })

  it.skipIf(!existsSync('/proc/self/stat'))(
    'takes over from a killed process, also before it is reaped (needs /proc)',
    async () => {
      const path = await lockPath()
      const child = contender(path)
      expect(await said(child)).toBe('held')
      await expect(acquireProcessLock(path, 'x')).rejects.toMatchObject({ code: 'BUSY' })
      child.kill('SIGKILL')
      await once(child, 'exit')
      const lock = await acquireProcessLock(path, 'x')
      await lock.release()
      expect(await readdir(join(path, '..'))).toEqual([])
    },
  )

  it.each([
    ['of another boot', { boot: 'another' }],
    ['whose pid another process has', { started: '1' }],
    ['of a version without locks of the kernel, whose process has ended', { started: '1', kernel: false }],
  ])('takes over a lock %s: after a power cut the next run continues', async (_what, change) => {
    const path = await lockPath()
    const held = await acquireProcessLock(path, 'x')
    const text = await readFile(path, 'utf8')
    await held.release()
    await writeFile(path, JSON.stringify({ ...JSON.parse(text), ...change }))
    expect(await lockHolder(path)).toBeUndefined()
    await (await acquireProcessLock(path, 'x')).release()
  })

  it('respects the living holder of a version without locks of the kernel', async () => {
    const path = await lockPath()
    const held = await acquireProcessLock(path, 'x')
    const { kernel, namespace, host, ...older } = JSON.parse(await readFile(path, 'utf8'))
    await held.release()
    await writeFile(path, JSON.stringify(older))
    expect(await lockHolder(path)).toMatchObject({ pid: process.pid, place: 'here' })
    await expect(acquireProcessLock(path, 'x')).rejects.toMatchObject({ code: 'BUSY' })
  })

  it('never follows a link that another user put in its place', async () => {
    const path = await lockPath()
    const target = join(path, '..', 'target')
    await writeFile(target, 'important')
    await symlink(target, path)
    await expect(acquireProcessLock(path, 'x')).rejects.toMatchObject({ code: 'PERMISSION' })
    expect(await readFile(target, 'utf8')).toBe('important')
  })

  it.each(['', 'garbage', '{"pid":-1}'])('takes over a lock file with the content %j', async text => {
    const path = await lockPath()
    await writeFile(path, text)
    await (await acquireProcessLock(path, 'x')).release()
  })

  it('does not remove a lock file that is no longer its own', async () => {
    const path = await lockPath()
    const lock = await acquireProcessLock(path, 'x')
    await rm(path)
    await writeFile(path, 'other')
    await lock.release()
    expect(await readFile(path, 'utf8')).toBe('other')
  })

  it('lets one of many take over a stale lock', async () => {
    const path = await lockPath()
    await writeFile(path, '{"pid":1,"started":"0","boot":"gone","nonce":"stale"}')
    const answers = await Promise.all(Array.from({ length: 6 }, () => said(contender(path))))
    expect(answers.sort()).toEqual(['BUSY', 'BUSY', 'BUSY', 'BUSY', 'BUSY', 'held'])
  })

  it.skipIf(!canUnshare)(
    'holds against another pid namespace, until its holder is killed (needs unshare)',
    async () => {
      const path = await lockPath()
      const inside = contender(path, ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'])
      expect(await said(inside)).toBe('held')
      // a process number of the other namespace, where it may be anybody's here
      expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ pid: 1 })
      expect(await lockHolder(path)).toMatchObject({ pid: 1, place: 'elsewhere' })
      await expect(acquireProcessLock(path, 'x')).rejects.toMatchObject({
        code: 'BUSY',
        message: expect.stringContaining('in another container or on another machine'),
      })
      expect(await said(contender(path, ['unshare', '--pid', '--fork', '--mount-proc']))).toBe('BUSY')
      inside.kill('SIGKILL')
      await once(inside, 'exit')
      const lock = await eventually(() => acquireProcessLock(path, 'x'))
      expect(await said(contender(path, ['unshare', '--pid', '--fork', '--mount-proc']))).toBe('BUSY')
      await lock.release()
    },
  )

  it('ends with its holder, although programs that the holder started still run', async () => {
    const path = await lockPath()
    const holder = contender(
      path,
      [],
      "import { spawn } from 'node:child_process'; const child = spawn('sleep', ['30'], { detached: true, stdio: 'ignore' }); console.log(child.pid)",
    )
    const pid = Number(await said(holder))
    onTestFinished(() => void process.kill(pid, 'SIGKILL'))
    expect(await said(holder)).toBe('held')
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    await (await acquireProcessLock(path, 'x')).release()
  })
})

describe('locks of file systems', () => {
  const table = `27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 0:40 / /mnt/my\\040nfs rw,relatime - nfs4 server:/x rw,vers=4.2,local_lock=none
31 27 0:41 / /mnt/old rw,relatime - nfs server:/y rw,vers=3,local_lock=flock
32 27 0:42 / /mnt/ssh rw,nosuid - fuse.sshfs me@host: rw,user_id=0
33 27 0:43 / /mnt/usb rw,nosuid - fuseblk /dev/sdb1 rw
34 27 0:44 / /mnt/vm rw - virtiofs share rw
35 27 0:45 / /mnt/smb rw - cifs //server/x rw,nobrl
36 27 0:46 / /mnt/lustre rw - lustre x@tcp:/y rw,localflock
37 27 0:47 / /mnt/vm/fast rw - xfs /dev/sdc rw
`
  it.each([
    ['/srv/site', 'ext4', true],
    ['/mnt/my nfs/site', 'nfs4', true],
    ['/mnt/old/site', 'nfs', false],
    ['/mnt/ssh', 'fuse.sshfs', false],
    ['/mnt/sshx', 'ext4', true],
    ['/mnt/usb/x', 'fuseblk', true],
    ['/mnt/vm/site', 'virtiofs', false],
    ['/mnt/vm/fast/site', 'xfs', true],
    ['/mnt/smb/site', 'cifs', false],
    ['/mnt/lustre/site', 'lustre', false],
  ])('%s is on %s', (path, type, isTrusted) => {
    const system = mountOf(path, table)
    expect(system.type).toBe(type)
    expect(unreliableLocks(system) === undefined).toBe(isTrusted)
  })

  it('counts the root file system of a container as its own', () => {
    expect(unreliableLocks(mountOf('/srv', '1 0 0:1 / / rw - virtiofs kataShared rw'))).toBeUndefined()
  })

  it.skipIf(!canUnshare)(
    'refuses a file system whose locks stay on one machine, by name (needs unshare)',
    async () => {
      const path = await lockPath()
      // what the kernel says of the mounts is replaced in a namespace of its own
      const mountinfo = join(path, '..', 'mountinfo')
      await writeFile(
        mountinfo,
        `27 1 254:0 / / rw - ext4 /dev/vda rw\n32 27 0:42 / ${join(path, '..')} rw - fuse.sshfs me@host: rw\n`,
      )
      const script = `mount --bind ${mountinfo} /proc/$$/mountinfo && exec "$@"`
      const inside = contender(path, ['unshare', '--mount', 'sh', '-c', script, 'sh'])
      expect(await said(inside)).toBe('PERMISSION')
    },
  )
})
