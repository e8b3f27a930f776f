import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { type ClientFile, siteCaPaths } from '../site/client-files.ts'

/** How a family of systems makes its store of certificates from files that are added to it. */
interface Store {
  program: string
  args: readonly string[]
  /** what it writes: every certificate that programs trust */
  bundle: string
}

/** update-ca-certificates(8), update-ca-trust(8) */
const stores: Readonly<Record<'debian' | 'el', Store>> = {
  debian: {
    program: 'usr/sbin/update-ca-certificates',
    // a certificate that was replaced needs its links again, too
    args: ['--fresh'],
    bundle: 'etc/ssl/certs/ca-certificates.crt',
  },
  el: {
    program: 'usr/bin/update-ca-trust',
    args: ['extract'],
    bundle: 'etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  },
}

const timeoutMs = 120_000

/** Whether the system's store lacks a CA that is among the files. A system without such a store lacks nothing. */
export async function lacksCa(files: readonly ClientFile[], { root }: { root: string }): Promise<boolean> {
  const lacking = await Promise.all(
    files.map(async file => {
      const store = storeOf(file)
      if (store === undefined) return false
      const bundle = await readFile(join(root, store.bundle), 'utf8').catch(() => undefined)
      return bundle !== undefined && !withoutBlanks(bundle).includes(withoutBlanks(file.text))
    }),
  )
  return lacking.includes(true)
}

/**
 * Makes the system's store again after a CA was added, replaced or removed. Returns what a person has to do where that is not
 * possible: in another system's root, whose programs may be for another architecture, and where the program fails.
 */
export async function updateTrustStore({
  root,
  signal,
}: {
  root: string
  signal: AbortSignal
}): Promise<string | undefined> {
  for (const { program, args, bundle } of Object.values(stores)) {
    const found = await readFile(join(root, bundle)).catch(() => undefined)
    if (found === undefined) continue
    const command = [`/${program}`, ...args].join(' ')
    if (root !== '/')
      return `run \`${command}\` in the system at ${root}, so that all of its programs know the CA`
    try {
      const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }
      await promisify(execFile)(`/${program}`, [...args], { signal, timeout: timeoutMs, env })
    } catch {
      signal.throwIfAborted()
      return `\`${command}\` failed: run it by hand, so that all programs of this host know the CA`
    }
  }
  return undefined
}

/** Whether the store of the system at `root` is made from this file. */
export function isInTrustStore(path: string, { root }: { root: string }): boolean {
  return Object.values<string>(siteCaPaths).includes(relative(root, path))
}

function storeOf(file: ClientFile): Store | undefined {
  if (file.kind !== 'site-ca') return undefined
  return file.place === 'debian' || file.place === 'el' ? stores[file.place] : undefined
}

function withoutBlanks(text: string): string {
  return text.replace(/\s+/g, '')
}
