import { defined } from '../core/defined.ts'
import { cleanText } from './package.ts'

/** The distribution of an image (os-release(5)). */
export interface OsRelease {
  /** `debian` */
  id: string
  /** `12` */
  version?: string
  /** `bookworm` */
  codename?: string
  /** `Debian GNU/Linux 12 (bookworm)` */
  prettyName?: string
  /** distributions that it is like: `rhel centos fedora` */
  like?: string[]
}

export function readOsRelease(bytes: Buffer): OsRelease {
  const fields = new Map<string, string>()
  for (const line of bytes.toString('utf8').split('\n')) {
    const [, key, value = ''] = /^([A-Z_]{1,40})=(.*)/.exec(line.slice(0, 1000)) ?? []
    const plain = value.trimEnd()
    if (key !== undefined) fields.set(key, /^["'].*["']$/.test(plain) ? plain.slice(1, -1) : plain)
  }
  const field = (key: string) => cleanText(fields.get(key))
  return defined({
    id: field('ID') ?? 'linux',
    version: field('VERSION_ID'),
    codename: field('VERSION_CODENAME'),
    prettyName: field('PRETTY_NAME'),
    like: field('ID_LIKE')?.split(/\s+/),
  })
}
