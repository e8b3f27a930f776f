import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { AirgapError } from '../core/errors.ts'

export interface FoundPython {
  program: string
  /** 3.11.2 */
  version: string
}

/** Finds a Python of this host with one of the versions, best first, that has the module venv. Throws TOOL_MISSING. */
export async function findPython(versions: readonly string[], signal: AbortSignal): Promise<FoundPython> {
  const others: string[] = []
  for (const wanted of versions) {
    for (const program of [`python${wanted}`, 'python3']) {
      const version = await versionOf(program, signal)
      if (version === undefined) continue
      if (version.startsWith(`${wanted}.`)) return { program, version }
      others.push(`${program} is ${version}`)
    }
  }
  throw new AirgapError('TOOL_MISSING', `no Python ${versions.join(' or ')} on this host`, {
    item: [...new Set(others)].join(', ') || 'there is no python3',
    likely: 'the wheels of the bundle are for these versions only',
    next: 'install it with its module venv, from the site’s repository (`apt-get install python3.11-venv`, `dnf install python3.11`), then run the same command again',
  })
}

/** Runs it: a name on PATH may be a shim for a version that is not installed. */
async function versionOf(program: string, signal: AbortSignal): Promise<string | undefined> {
  const script = 'import sys, venv; print("%d.%d.%d" % sys.version_info[:3])'
  const output = await promisify(execFile)(program, ['-I', '-c', script], {
    signal,
    timeout: 20_000,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
  }).catch(error => {
    signal.throwIfAborted()
    return error instanceof Error ? undefined : error
  })
  const version = output?.stdout.trim()
  return version !== undefined && /^3\.\d+\.\d+$/.test(version) ? version : undefined
}
