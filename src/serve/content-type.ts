import { mediaTypes } from '../core/media-types.ts'

const text = 'text/plain; charset=utf-8'

/** By the end of the name. Compressed files are what they are: never a Content-Encoding, or clients would unpack them. */
const byExtension: Readonly<Record<string, string>> = {
  asc: text,
  bz2: 'application/x-bzip2',
  conf: text,
  css: 'text/css; charset=utf-8',
  deb: 'application/vnd.debian.binary-package',
  gz: 'application/gzip',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json',
  list: text,
  md: text,
  pdf: 'application/pdf',
  png: 'image/png',
  repo: text,
  rpm: 'application/x-rpm',
  sh: text,
  sources: text,
  svg: 'image/svg+xml',
  tar: 'application/x-tar',
  tgz: 'application/gzip',
  toml: text,
  txt: text,
  xml: 'application/xml',
  xz: 'application/x-xz',
  yaml: 'application/yaml',
  yml: 'application/yaml',
  zip: 'application/zip',
  zst: 'application/zstd',
}

/** Files of Debian repositories that have no extension. */
const byName: Readonly<Record<string, string>> = {
  InRelease: text,
  Packages: text,
  Release: text,
  Sources: text,
}

export function contentTypeOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (Object.hasOwn(byName, name)) return byName[name] ?? text
  const extension = name.slice(name.lastIndexOf('.') + 1).toLowerCase()
  return Object.hasOwn(byExtension, extension)
    ? (byExtension[extension] ?? mediaTypes.octets)
    : mediaTypes.octets
}
