import { extname } from 'node:path/posix'
import { mediaTypes } from '../core/media-types.ts'

const text = 'text/plain; charset=utf-8'

const byExtension = new Map<string, string>([
  ['.asc', text],
  ['.bz2', 'application/x-bzip2'],
  ['.conf', text],
  ['.crt', text],
  ['.deb', 'application/vnd.debian.binary-package'],
  ['.gz', 'application/gzip'],
  ['.html', 'text/html; charset=utf-8'],
  ['.iso', 'application/x-iso9660-image'],
  ['.json', 'application/json'],
  ['.key', text],
  ['.list', text],
  ['.md', text],
  ['.metadata', text],
  ['.pem', text],
  ['.repo', text],
  ['.rpm', 'application/x-rpm'],
  ['.sh', text],
  ['.sources', text],
  ['.tar', 'application/x-tar'],
  ['.tgz', 'application/gzip'],
  ['.toml', text],
  ['.txt', text],
  ['.whl', 'application/zip'],
  ['.xml', 'application/xml'],
  ['.xz', 'application/x-xz'],
  ['.yaml', 'application/yaml'],
  ['.yml', 'application/yaml'],
  ['.zip', 'application/zip'],
  ['.zst', 'application/zstd'],
])

/** Files of Debian archives that have no extension. */
const byName = new Map<string, string>([
  ['InRelease', text],
  ['Packages', text],
  ['Release', text],
])

/**
 * Returns the Content-Type of a file by its name alone: sniffing untrusted content would let it choose its type. A compressed file has a
 * type of its own, never a Content-Encoding: clients compare digests of the bytes as they are.
 */
export function contentTypeOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return byName.get(name) ?? byExtension.get(extname(name).toLowerCase()) ?? mediaTypes.octets
}
