import { execFile } from 'node:child_process'
import { open, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { AirgapError, errnoOf } from '../../core/errors.ts'
import { findPython } from '../python.ts'
import type { HostFacts } from './host-findings.ts'

export interface HostQuestions {
  /** state folder of the site */
  folder: string
  /** bytes */
  needed: number
  /** Python versions, one of which is needed; undefined: none is */
  pythons: readonly string[] | undefined
  /** whether the machines are reached with a password */
  sshPassword: boolean
  privateKey: string | undefined
  listen: string
  ports: readonly number[]
  /** those of the ports on which this site's servers have proven that they listen */
  serving: readonly number[]
}

/** Examines the host that installs. */
export async function hostFacts(questions: HostQuestions, signal: AbortSignal): Promise<HostFacts> {
  const { folder, needed, pythons, sshPassword, privateKey, listen, ports, serving } = questions
  return {
    folder,
    needed,
    free: await freeAt(folder),
    python: pythons === undefined ? undefined : await pythonOf(pythons, signal),
    ssh: await starts('ssh', signal),
    sshpass: sshPassword ? await starts('sshpass', signal) : undefined,
    ports: await Promise.all(
      ports.map(async port => {
        const state = await portState(port, listen)
        return { port, listen, state: state === 'taken' && serving.includes(port) ? 'ours' : state }
      }),
    ),
    privateKey:
      privateKey === undefined ? undefined : { path: privateKey, state: await keyState(privateKey) },
  }
}

async function freeAt(folder: string): Promise<number | undefined> {
  const found = await statfs(folder).catch(() => undefined)
  if (found !== undefined) return found.bavail * found.bsize
  return dirname(folder) === folder ? undefined : await freeAt(dirname(folder))
}

async function pythonOf(
  versions: readonly string[],
  signal: AbortSignal,
): Promise<NonNullable<HostFacts['python']>> {
  try {
    return await findPython(versions, signal)
  } catch (error) {
    if (!(error instanceof AirgapError) || error.code !== 'TOOL_MISSING') throw error
    return {
      lacks: `has ${error.message.replace(/ on this host$/, '')} (${error.item ?? ''})`,
      next: error.next ?? '',
    }
  }
}

/** Whether there is such a program, whatever its exit code. */
async function starts(program: string, signal: AbortSignal): Promise<boolean> {
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin' }
  try {
    await promisify(execFile)(program, ['-V'], { signal, timeout: 20_000, env })
  } catch (error) {
    signal.throwIfAborted()
    const errno = errnoOf(error)
    return errno !== 'ENOENT' && errno !== 'EACCES' && errno !== 'ENOEXEC'
  }
  return true
}

async function portState(port: number, host: string): Promise<HostFacts['ports'][number]['state']> {
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ port, host, exclusive: true }, resolve)
    })
    return 'free'
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'EACCES') return 'forbidden'
    return errno === 'EADDRNOTAVAIL' || errno === 'EAFNOSUPPORT' ? 'no address' : 'taken'
  } finally {
    server.close()
  }
}

async function keyState(path: string): Promise<'good' | 'missing' | 'open to others'> {
  try {
    await using file = await open(path)
    const found = await file.stat()
    if (!found.isFile()) return 'missing'
    // ssh checks the mode of a key only if its own user owns it
    return found.uid === process.getuid?.() && (found.mode & 0o077) !== 0 ? 'open to others' : 'good'
  } catch {
    return 'missing'
  }
}
