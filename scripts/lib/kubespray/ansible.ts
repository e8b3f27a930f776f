import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError, fromSystemError } from '../../../src/core/errors.ts'
import { redactUrl } from '../../../src/core/redact.ts'
import { cacheFolder } from '../places.ts'
import { run } from '../run.ts'

/** Python versions that recent ansible releases support, best choice first: ansible-core 2.15 supports 3.9 to 3.11. */
const pythons = ['python3.11', 'python3.10', 'python3.9', 'python3.12', 'python3.13', 'python3']

export interface Ansible {
  /** folder of the virtual environment's programs */
  bin: string
}

/**
 * Installs the ansible of a checkout's requirements.txt into a virtual environment, which is kept in the cache. Throws TOOL_MISSING
 * without a suitable Python, NETWORK without PyPI (or the index that pip is configured for).
 */
export async function openAnsible(checkout: string, say: (text: string) => void): Promise<Ansible> {
  const requirements = join(checkout, 'requirements.txt')
  const wanted = await readFile(requirements).catch(error => {
    throw fromSystemError(error, requirements)
  })
  const failures: unknown[] = []
  for (const python of await runningPythons()) {
    const name = createHash('sha256').update(`${python.version}\n`).update(wanted).digest('hex').slice(0, 12)
    const folder = join(cacheFolder, `ansible-${name}`)
    const complete = join(folder, 'complete')
    const bin = join(folder, 'bin')
    if (await stat(complete).catch(() => undefined)) return { bin }
    await reachIndex(python.program)
    say(`ansible of ${requirements}, with Python ${python.version} (once)`)
    try {
      // left behind by an interrupted run
      await rm(folder, { recursive: true, force: true })
      await mkdir(cacheFolder, { recursive: true })
      await run([python.program, '-m', 'venv', folder])
      await run([join(bin, 'python'), '-m', 'pip', 'install', '--quiet', '--requirement', requirements])
      await run([join(bin, 'ansible-playbook'), '--version'])
      await writeFile(complete, '')
      return { bin }
    } catch (error) {
      // the requirements may exclude this version of Python
      failures.push(error)
      await rm(folder, { recursive: true, force: true })
    }
  }
  throw new AirgapError('TOOL_MISSING', 'ansible cannot be installed', {
    item: requirements,
    likely:
      failures.length > 0 ? 'no Python on this machine can install it' : 'there is no Python 3.9 or newer',
    next: 'install Python 3.11 with its venv module (kubespray 2.24 runs on 3.9 to 3.11)',
    cause: failures[0],
  })
}

/** A program on PATH may be a shim for a version that is not installed, so each one is run. */
async function runningPythons(): Promise<{ program: string; version: string }[]> {
  const found: { program: string; version: string }[] = []
  for (const program of pythons) {
    const version = await run([
      program,
      '-c',
      'import sys, ensurepip, venv; print(sys.version.split()[0])',
    ]).catch(() => '')
    const known = found.some(python => python.version === version.trim())
    if (/^3\.(9|\d\d)\./.test(version) && !known) found.push({ program, version: version.trim() })
  }
  return found
}

/** Checks with pip, so that its index, proxy and certificates apply. */
async function reachIndex(python: string): Promise<void> {
  const download = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--retries=1', '--timeout=20']
  const folder = await run(['mktemp', '-d']).then(text => text.trim())
  try {
    // a small package that ansible depends on
    await run([python, ...download, '--no-cache-dir', '--dest', folder, 'resolvelib'])
  } catch (cause) {
    throw new AirgapError('NETWORK', 'PyPI cannot be reached', {
      item: redactUrl(process.env['PIP_INDEX_URL'] ?? 'https://pypi.org/simple/'),
      likely: 'this host is offline, or pip needs a proxy',
      next: 'set PIP_INDEX_URL or HTTPS_PROXY, or run this on a connected host',
      cause,
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
