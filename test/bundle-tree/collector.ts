// A node for the collector of GPU sessions: the output of nvidia-smi, the processes, and their containers.
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

export const script = resolve('bundle/astrago/applications/gpu-session-monitoring/chart/files/collect.sh')
const recordings = join(import.meta.dirname, 'nvidia-smi')

const has = (program: string) => spawnSync(program, ['--help'], { stdio: 'ignore' }).error === undefined
/** every shell on this machine in which the collector may run */
export const shells = [['sh'], ['bash', '--posix'], ['busybox', 'sh']].filter(([program]) => has(program!))

export interface Node {
  /** name of a recording, or an absolute path */
  xml: string
  pmon?: string
  status?: number
  /** PID → content of its cgroup file */
  processes?: Record<string, string>
  containers?: string[]
}

/** 64 hex digits, like the container ids of runtimes */
export const id = (letter: string) => letter.repeat(64)
export const systemd = (uid: string, container: string) =>
  `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid}.slice/cri-containerd-${container}.scope\n`

/** Writes the node to a new folder below `folder`; returns the environment for the collector. */
export async function layDown(node: Node, folder: string): Promise<Record<string, string>> {
  const place = await mkdtemp(join(folder, 'node-'))
  const paths = { proc: join(place, 'proc'), logs: join(place, 'logs'), out: join(place, 'textfile') }
  for (const path of Object.values(paths)) await mkdir(path)
  for (const [pid, text] of Object.entries(node.processes ?? {})) {
    await mkdir(join(paths.proc, pid))
    await writeFile(join(paths.proc, pid, 'cgroup'), text)
  }
  // kubelet's logs are links to files that our pod cannot see
  for (const name of node.containers ?? []) await symlink('/nowhere', join(paths.logs, name))
  const smi = join(place, 'nvidia-smi')
  const pmon = node.pmon === undefined ? 'exit 3' : `cat ${resolve(recordings, node.pmon)}`
  await writeFile(
    smi,
    `#!/bin/sh\nif [ "$1" = pmon ]; then ${pmon}; else cat ${resolve(recordings, node.xml)}; exit ${node.status ?? 0}; fi\n`,
  )
  await chmod(smi, 0o755)
  return {
    PATH: process.env['PATH'] ?? '',
    NVIDIA_SMI: smi,
    PROC: paths.proc,
    CONTAINER_LOGS: paths.logs,
    TEXTFILE_FOLDER: paths.out,
    NOW: '1700000000',
  }
}

/** Runs the collector once. */
export function runCollector(shell: string[], env: Record<string, string>) {
  const { status, stderr } = spawnSync(shell[0]!, [...shell.slice(1), script], { encoding: 'utf8', env })
  return { status, stderr }
}
