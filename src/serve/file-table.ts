import { posix } from 'node:path'
import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import { compareText } from '../core/canonical-json.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { GeneratedDocument, ServedMount } from './served.ts'

/** What a path refers to. */
export type Found =
  | { type: 'file'; descriptor: Descriptor }
  | { type: 'generated'; document: GeneratedDocument }
  | { type: 'page'; forms: readonly GeneratedDocument[] }
  | { type: 'folder'; children: readonly FolderEntry[] }

export interface FolderEntry {
  name: string
  type: 'file' | 'folder'
  /** bytes; files only */
  size?: number
}

/** All mounts as one tree of folders. It never changes: two results for one folder have the same `children`. */
export interface FileTable {
  /** Finds a decoded path, which begins with `/` and has no empty, `.` or `..` part and no slash at the end. */
  find(path: string): Promise<Found | undefined>
  /** Finds a path that contains escapes (`app_1%3a2.0.deb`) by the characters that they encode; undefined if several match. */
  findEscaped(path: string): Promise<Found | undefined>
}

const maxLinks = 8
const maxLinkTarget = 4096 /* bytes */

export function fileTable(store: ReadableStore, mounts: readonly ServedMount[]): FileTable {
  // the longest first: a mount inside another one takes precedence
  const ordered = mounts
    .map(mount => ({ ...mount, prefix: mount.prefix === '/' ? '' : mount.prefix }))
    .sort((a, b) => b.prefix.length - a.prefix.length)
  let folders: Map<string, Map<string, FolderEntry>> | undefined
  /** path → entries in the order of listings; a folder of thousands takes 10 ms to sort */
  const sorted = new Map<string, readonly FolderEntry[]>()

  async function file(path: string, links = 0): Promise<Found | undefined> {
    for (const { prefix, entries, generated } of ordered) {
      if (!path.startsWith(`${prefix}/`)) continue
      const inside = path.slice(prefix.length + 1)
      const document = generated?.get(inside)
      if (document !== undefined) return { type: 'generated', document }
      const entry = entries?.get(inside)
      if (entry === undefined) continue
      if (entry.mode !== '120000') return { type: 'file', descriptor: entry.descriptor }
      if (links >= maxLinks) return undefined
      const target = (await readAll(store, entry.descriptor, maxLinkTarget)).toString('utf8')
      const resolved = posix.normalize(posix.join(posix.dirname(inside), target))
      // a link must not leave its tree (CWE-59)
      if (target.startsWith('/') || resolved === '..' || resolved.startsWith('../')) return undefined
      return (await file(`${prefix}/${resolved}`, links + 1)) ?? folder(`${prefix}/${resolved}`)
    }
    return undefined
  }

  function folder(path: string): Found | undefined {
    for (const { prefix, pages } of ordered) {
      const forms = path.startsWith(`${prefix}/`) ? pages?.get(path.slice(prefix.length + 1)) : undefined
      if (forms !== undefined) return { type: 'page', forms }
    }
    folders ??= folderIndex(ordered)
    const found = folders.get(path === '/' ? '' : path)
    if (found === undefined) return undefined
    const children = sorted.get(path) ?? [...found.values()].sort(byFolderAndName)
    sorted.set(path, children)
    return { type: 'folder', children }
  }

  const find = async (path: string) => (await file(path)) ?? folder(path)
  let escaped: ReadonlyMap<string, string | undefined> | undefined
  return {
    find,
    async findEscaped(path) {
      escaped ??= escapedPaths(ordered)
      const spelled = escaped.get(unescaped(path))
      return spelled === undefined ? undefined : await find(spelled)
    },
  }
}

/** Path with its escapes decoded → the path; undefined if several paths decode to it. */
function escapedPaths(mounts: readonly ServedMount[]): Map<string, string | undefined> {
  const paths = new Map<string, string | undefined>()
  for (const { prefix, entries } of mounts) {
    for (const path of entries?.keys() ?? []) {
      const decoded = unescaped(path)
      if (decoded === path) continue
      const key = `${prefix}/${decoded}`
      paths.set(key, paths.has(key) ? undefined : `${prefix}/${path}`)
    }
  }
  return paths
}

/** Decodes escapes of printable ASCII except the slash: `%3a`, `%2B`, `%7e`. */
function unescaped(path: string): string {
  return path.replace(/%[0-9a-f]{2}/gi, written => {
    const code = Number.parseInt(written.slice(1), 16)
    return code >= 0x20 && code < 0x7f && code !== 0x2f ? String.fromCharCode(code) : written
  })
}

/** Folder path → its entries. Made on the first request for a folder, as files do not need it. */
function folderIndex(mounts: readonly ServedMount[]): Map<string, Map<string, FolderEntry>> {
  const folders = new Map<string, Map<string, FolderEntry>>([['', new Map()]])
  const ensure = (path: string): Map<string, FolderEntry> => {
    const known = folders.get(path)
    if (known !== undefined) return known
    const made = new Map<string, FolderEntry>()
    folders.set(path, made)
    const slash = path.lastIndexOf('/')
    const name = path.slice(slash + 1)
    ensure(path.slice(0, slash)).set(name, { name, type: 'folder' })
    return made
  }
  const add = (path: string, size: number) => {
    const slash = path.lastIndexOf('/')
    const name = path.slice(slash + 1)
    const siblings = ensure(path.slice(0, slash))
    // of two mounts with the same path, the one with the longer prefix takes precedence
    if (!siblings.has(name)) siblings.set(name, { name, type: 'file', size })
  }
  for (const { prefix, entries, generated, pages } of mounts) {
    ensure(prefix)
    for (const path of pages?.keys() ?? []) ensure(`${prefix}/${path}`)
    for (const [path, document] of generated ?? []) add(`${prefix}/${path}`, document.bytes.length)
    for (const [path, { descriptor }] of entries ?? []) add(`${prefix}/${path}`, descriptor.size)
  }
  return folders
}

function byFolderAndName(a: FolderEntry, b: FolderEntry): number {
  if (a.type !== b.type) return a.type === 'folder' ? -1 : 1
  return compareText(a.name, b.name)
}
