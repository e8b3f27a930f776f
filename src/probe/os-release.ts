import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defined } from '../core/defined.ts'

/** The fields of os-release(5) that determine which packages fit a machine. */
export interface OsRelease {
  /** ID in lower case: `ubuntu`, `rocky`, `rhel`, `openeuler` */
  id: string
  /** ID_LIKE: `debian`; `rhel`, `centos` and `fedora` */
  like?: readonly string[] | undefined
  /** VERSION_ID: `22.04`, `9.4`; absent on Debian testing */
  version?: string | undefined
  /** VERSION_CODENAME: `bookworm` */
  codename?: string | undefined
  /** PLATFORM_ID: `platform:el9` */
  platform?: string | undefined
  /** PRETTY_NAME */
  name?: string | undefined
}

/** Parses os-release(5); returns undefined if it has no ID. */
export function parseOsRelease(text: string): OsRelease | undefined {
  const fields = new Map(
    text.split('\n').flatMap(line => {
      const [, key, double, single, bare] =
        /^([A-Z0-9_]+)=(?:"([^"]*)"|'([^']*)'|([^\s"']*))\s*$/.exec(line) ?? []
      return key === undefined ? [] : [[key, double ?? single ?? bare ?? ''] as const]
    }),
  )
  const field = (key: string) => fields.get(key) || undefined
  const id = field('ID')?.toLowerCase()
  const like = field('ID_LIKE')?.toLowerCase().split(' ').filter(Boolean)
  if (id === undefined) return undefined
  return defined({
    id,
    like,
    version: field('VERSION_ID'),
    codename: field('VERSION_CODENAME'),
    platform: field('PLATFORM_ID'),
    name: field('PRETTY_NAME'),
  })
}

/** Reads the os-release file of the system whose root is `root`; returns undefined if there is none, or it has no ID. */
export async function readOsRelease(root: string): Promise<OsRelease | undefined> {
  for (const path of ['etc/os-release', 'usr/lib/os-release']) {
    const text = await readFile(join(root, path), 'utf8').catch(() => undefined)
    if (text !== undefined) return parseOsRelease(text)
  }
  return undefined
}
