import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { readStanzas, type Stanza } from '../kinds/deb/control.ts'
import { cleanText, type InstalledPackage } from './package.ts'
import { Unreadable } from './unreadable.ts'

/** What a stanza of dpkg's database says: `package` is absent where nothing of it is installed. */
export interface DpkgStanza {
  /** name and architecture: stanzas of the journal replace those of the database */
  key: string
  package?: InstalledPackage
}

const wanted = ['package', 'status', 'version', 'architecture', 'source']

/**
 * Reads `status`, a file of its journal (`updates/0001`), or a file of `status.d`, as images without dpkg have it (distroless). Throws
 * Unreadable.
 */
export async function readDpkg(bytes: Buffer, path: string): Promise<DpkgStanza[]> {
  const stanzas: DpkgStanza[] = []
  const each = (stanza: Stanza) => {
    const found = stanzaOf(stanza, path)
    if (found !== undefined) stanzas.push(found)
  }
  try {
    await readStanzas(chunksOf(bytes), { wanted, item: path, each })
  } catch (error) {
    if (!(error instanceof AirgapError)) throw error
    throw new Unreadable(error.message)
  }
  return stanzas
}

async function* chunksOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes
}

function stanzaOf(stanza: Stanza, path: string): DpkgStanza | undefined {
  const name = cleanText(stanza['package'])
  if (name === undefined) return undefined
  const architecture = cleanText(stanza['architecture'])
  const version = cleanText(stanza['version'])
  const key = `${name}:${architecture ?? ''}`
  // `want flag state`; files of status.d have none
  const state = stanza['status']?.trim().split(/\s+/)[2]
  const isInstalled = state !== 'not-installed' && state !== 'config-files'
  if (!isInstalled || version === undefined) return { key }
  const fields = { type: 'deb' as const, name, version, architecture, path }
  return { key, package: defined({ ...fields, source: sourceOf(stanza['source']) }) }
}

/** `glibc (2.36-9)`; the version is absent where it is that of the package. */
function sourceOf(text: string | undefined): InstalledPackage['source'] {
  const [, name, version] = /^\s*(\S{1,200})(?:\s+\(([^()\s]{1,200})\))?\s*$/.exec(text ?? '') ?? []
  if (name === undefined) return undefined
  return defined({ name: cleanText(name) ?? name, version: cleanText(version) })
}

/** The packages of a database and its journal, each name and architecture once. */
export function installedByDpkg(stanzas: Iterable<DpkgStanza>): InstalledPackage[] {
  const last = new Map<string, DpkgStanza>()
  for (const stanza of stanzas) last.set(stanza.key, stanza)
  return [...last.values()].flatMap(stanza => stanza.package ?? [])
}
