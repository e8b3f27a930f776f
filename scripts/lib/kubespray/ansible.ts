import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError, fromSystemError } from '../../../src/core/errors.ts'
import { redactUrl } from '../../../src/core/redact.ts'
import { cacheFolder } from '../places.ts'
import { run } from '../run.ts'

/** Those that ansible of the last years runs on, the best choice first: ansible-core 2.15 knows 3.9 to 3.11. */
const pythons = ['python3.11', 'python3.10', 'python3.9', 'python3.12', 'python3.13', 'python3']

export interface Ansible {
  /** the virtual environment's programs */
  bin: string
}

/**
 * The ansible that a checkout asks for in its requirements.txt, in a virtual environment that is kept for the next time.
 * TOOL_MISSING without a Python; NETWORK without PyPI (or the index that pip is configured for).
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
      // what an interrupted run left there
      await rm(folder, { recursive: true, force: true })
      await mkdir(cacheFolder, { recursive: true })
      await run([python.program, '-m', 'venv', folder])
      await run([join(bin, 'python'), '-m', 'pip', 'install', '--quiet', '--requirement', requirements])
      await run([join(bin, 'ansible-playbook'), '--version'])
      await writeFile(complete, '')
      return { bin }
    } catch (error) {
      // its requirements may be for other versions of Python
      failures.push(error)
      await rm(folder, { recursive: true, force: true })
    }
  }
  throw new AirgapError('TOOL_MISSING', 'no ansible', {
    item: requirements,
    likely:
      failures.length > 0 ? 'none of the Pythons here can install it' : 'there is no Python 3.9 or newer',
    next: 'install Python 3.11 with its venv module (kubespray 2.24 runs on 3.9 to 3.11)',
    cause: failures[0],
  })
}

/** A name on PATH may be only a shim for a version that is not chosen: they are asked. */
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

/** pip asks, so that its index, proxy and certificates count. */
async function reachIndex(python: string): Promise<void> {
  const asked = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--retries=1', '--timeout=20']
  const folder = await run(['mktemp', '-d']).then(text => text.trim())
  try {
    // small, and every index that has ansible has it
    await run([python, ...asked, '--no-cache-dir', '--dest', folder, 'resolvelib'])
  } catch (cause) {
    throw new AirgapError('NETWORK', 'PyPI does not answer', {
      item: redactUrl(process.env['PIP_INDEX_URL'] ?? 'https://pypi.org/simple/'),
      likely: 'this host has no way to it, or pip has to be told of a proxy',
      next: 'set PIP_INDEX_URL or HTTPS_PROXY, or run this on a connected host',
      cause,
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
