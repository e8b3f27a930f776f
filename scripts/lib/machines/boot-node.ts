import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AirgapError, errnoOf } from '../../../src/core/errors.ts'
import { withSbin } from '../run.ts'
import type { NetworkHost } from './closed-network.ts'

/** Starts the first process of a node (`openSshNode`) in its own namespaces. */

export interface Mount {
  from: string
  to: string
  readonly?: boolean
}

/**
 * Runs in the node's mount namespace: mounts, pivots into the root, prints `ready` and becomes the first process. $CGROUPS are
 * the cgroup hierarchies (version 1) that the node sees, by their names in /sys/fs/cgroup.
 */
const init = `set -e
root=$1 name=$2 first=$3
shift 3
hostname "$name"
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --bind /sys sys
if [ -n "$CGROUPS" ]; then
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  for group in $CGROUPS; do
    mkdir "sys/fs/cgroup/$group"
    case $group in
    unified) mount -t cgroup2 cgroup2 sys/fs/cgroup/unified ;;
    systemd) mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd ;;
    *) mount -t cgroup -o "$group" cgroup "sys/fs/cgroup/$group" ;;
    esac
  done
fi
mount -o remount,bind,ro sys
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/\${device%:*}" c 1 "\${device#*:}"; done
mknod -m 666 dev/tty c 5 0
mknod -m 600 dev/kmsg c 1 11
mkdir -m 755 dev/pts run/sshd run/lock
mkdir -m 1777 dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,gid=5,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
while [ $# -gt 0 ]; do
  if [ -d "$1" ]; then mkdir -p "./$2"; else mkdir -p "$(dirname "./$2")"; touch "./$2"; fi
  mount --bind "$1" "./$2"
  if [ "$3" = ro ]; then mount -o remount,bind,ro "./$2"; fi
  shift 3
done
pivot_root . mnt
exec chroot . /bin/sh -c 'cd /; umount -l /mnt; echo ready; '"$first"
`

/** A first process that waits for the end of its input, and adopts orphans as `init` does. */
const waiting = 'cat >/dev/null; exit 0'
/** As systemd.io/CONTAINER_INTERFACE requires; kubelets require shared mount propagation. */
const systemd = 'mount --make-rshared /; exec env -u CGROUPS container=airgap /lib/systemd/systemd'

/** Runs a command in a new cgroup named $1 in each of $CGROUPS, which are paths below /sys/fs/cgroup. */
const inCgroups = `set -e
own=$1
shift
for above in $CGROUPS; do
  folder=/sys/fs/cgroup/$above/$own
  mkdir "$folder"
  # a cpuset of version 1 accepts no process before these are set
  for file in cpuset.cpus cpuset.mems; do
    if [ -e "$folder/$file" ]; then cat "/sys/fs/cgroup/$above/$file" >"$folder/$file"; fi
  done
  echo $$ >"$folder/cgroup.procs"
done
export CGROUPS=$(for above in $CGROUPS; do printf '%s ' "\${above%%/*}"; done)
exec "$@"
`

interface Machine {
  /** of its first process, in the host's PID namespace */
  pid: number
  end(): Promise<void>
}

export async function bootNode(
  root: string,
  options: {
    network: NetworkHost
    name: string
    systemd?: boolean
    mounts?: readonly Mount[] | Readonly<Record<string, string>>
  },
): Promise<Machine> {
  const { network, name } = options
  const cgroups = options.systemd ? await openCgroups() : undefined
  const mounts = mountList(options.mounts ?? [])
  for (const { from } of mounts) await stat(from)
  const [program, ...args] = [
    ...(cgroups?.command ?? []),
    ...network.inside([
      'unshare',
      '--mount',
      '--uts',
      '--ipc',
      '--pid',
      ...(cgroups ? ['--cgroup'] : []),
      '--fork',
      '--kill-child',
      'sh',
      '-c',
      init,
      'sh',
      root,
      name,
      cgroups ? systemd : waiting,
      ...mounts.flatMap(({ from, to, readonly = false }) => [from, to, readonly ? 'ro' : 'rw']),
    ]),
  ]
  const child = spawn(program!, args, { env: { ...withSbin(), CGROUPS: cgroups?.paths ?? '' } })
  // the kernel ends all processes of the namespace before it reaps the first
  const ended = new Promise<void>(done => child.once('close', () => done()).once('error', () => done()))
  const end = async () => {
    child.stdin.end()
    // systemd does not read its input
    if (cgroups) child.kill('SIGKILL')
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
    await ended
    clearTimeout(timer)
    await cgroups?.close()
  }
  try {
    await ready(child, name)
    const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
    return { pid: Number(children.trim()), end }
  } catch (error) {
    await end()
    throw error
  }
}

/** Makes a cgroup in each hierarchy of this process, in which systemd may make its own. */
async function openCgroups(): Promise<{ command: string[]; paths: string; close(): Promise<void> }> {
  const name = `airgap-${randomBytes(4).toString('hex')}`
  const paths = (await readFile('/proc/self/cgroup', 'utf8'))
    .trim()
    .split('\n')
    .map(line => {
      const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
      return join(controllers === '' ? 'unified' : controllers.replace(/^name=/, ''), path)
    })
  const close = async () => {
    for (const path of paths) await removeCgroups(join('/sys/fs/cgroup', path, name))
  }
  // systemd does not read its input, so the end of the input cannot end it when this process dies
  const command = ['setpriv', '--pdeathsig', 'KILL', 'sh', '-c', inCgroups, 'sh', name]
  return { command, paths: paths.join(' '), close }
}

/** Removes a cgroup, children first. One that still has a process is tried again for 5 s, then left behind, which is harmless. */
async function removeCgroups(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) if (entry.isDirectory()) await removeCgroups(join(folder, entry.name))
  for (let tries = 0; tries < 50; tries++) {
    const kept = await rmdir(folder).then(
      () => false,
      error => errnoOf(error) === 'EBUSY',
    )
    if (!kept) return
    await sleep(100)
  }
}

function mountList(mounts: readonly Mount[] | Readonly<Record<string, string>>): readonly Mount[] {
  if (Array.isArray(mounts)) return mounts
  return Object.entries(mounts).map(([to, from]) => ({ from, to }))
}

async function ready(child: ChildProcess, name: string): Promise<void> {
  let output = ''
  await new Promise<void>((go, fail) => {
    child.stdin?.on('error', () => undefined)
    child.stderr?.setEncoding('utf8').on('data', text => {
      output += text
    })
    child.stdout?.setEncoding('utf8').on('data', () => go())
    child.once('error', fail)
    child.once('close', () =>
      fail(
        new AirgapError('STEP_FAILED', `a node did not start:\n${output.trim()}`, {
          item: name,
          likely: 'this machine does not allow namespaces or mounts',
          next: 'read its output, above',
        }),
      ),
    )
  })
}
