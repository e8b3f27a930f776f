import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { AirgapError } from '../core/errors.ts'

export interface FoundPython {
  program: string
  /** 3.11.2 */
  version: string
}

/** Finds a Python of this host with one of the versions, best first, that can create virtual environments. Throws TOOL_MISSING. */
export async function findPython(versions: readonly string[], signal: AbortSignal): Promise<FoundPython> {
  const there: string[] = []
  for (const wanted of versions) {
    for (const program of [`python${wanted}`, 'python3']) {
      const version = await versionOf(program, signal)
      if (version === undefined) continue
      if (version.startsWith(`${wanted}.`)) return { program, version }
      there.push(`${program} is ${version}`)
    }
  }
  throw new AirgapError('TOOL_MISSING', `no Python ${versions.join(' or ')} on this host`, {
    item: [...new Set(there)].join(', ') || 'there is no python3',
    likely: 'the wheels of the bundle are made for these versions, and ansible takes no others',
    next: 'install it from the site’s package repository (`apt-get install python3.11` or `dnf install python3.11`), then run the same command again',
  })
}

/** It is run: a name on PATH may be only a shim. */
async function versionOf(program: string, signal: AbortSignal): Promise<string | undefined> {
  const question = 'import sys, venv; print("%d.%d.%d" % sys.version_info[:3])'
  const answer = await promisify(execFile)(program, ['-I', '-c', question], {
    signal,
    timeout: 20_000,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
  }).catch(error => {
    signal.throwIfAborted()
    return error instanceof Error ? undefined : error
  })
  const version = answer?.stdout.trim()
  return version !== undefined && /^3\.\d+\.\d+$/.test(version) ? version : undefined
}
