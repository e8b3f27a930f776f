import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { Parser } from 'tar'
import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import type { ResolveContext } from '../kind.ts'
import type { IndexFile } from './index-page.ts'
import { parseMetadata } from './metadata.ts'

const maxArchive = 256 << 20 /* bytes */
const maxUnpacked = 1 << 30 /* bytes */
const maxMetadata = 16 << 20 /* bytes */

/**
 * Reads PKG-INFO of a source distribution. Only one that declares its requirements static (core metadata 2.2, PEP 643) can be
 * resolved without running its code. Throws UNSUPPORTED for the others.
 */
export async function readSourceMetadata(file: IndexFile, { http }: ResolveContext): Promise<string> {
  const item = redactUrl(file.url)
  const unsupported = (what: string) =>
    new AirgapError('UNSUPPORTED', `a source distribution ${what}`, {
      item,
      likely: 'its requirements are only known after running its own code',
      next: 'choose a version that has a wheel, or build one and carry it from an index of your own',
    })
  if (!/\.tar\.gz$/.test(file.filename)) throw unsupported('is not a .tar.gz')
  const { bytes } = await http.get(file.url, { maxBytes: maxArchive })
  const text = await pkgInfo(bytes, item)
  if (text === undefined) throw unsupported('has no PKG-INFO')
  const { metadataVersion, dynamic } = parseMetadata(text, item)
  const [major = 0, minor = 0] = metadataVersion.split('.').map(Number)
  if (major < 2 || (major === 2 && minor < 2)) throw unsupported('has metadata older than 2.2')
  if (dynamic.includes('requires-dist'))
    throw unsupported('has requirements that are computed when it is built')
  return text
}

/** `NAME-VERSION/PKG-INFO`, no deeper. */
async function pkgInfo(archive: Buffer, item: string): Promise<string | undefined> {
  let found: Buffer | undefined
  let unpacked = 0
  const parser = new Parser({
    filter: path => /^[^/]+\/PKG-INFO$/.test(path),
    onReadEntry(entry) {
      const chunks: Buffer[] = []
      let size = 0
      entry.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size <= maxMetadata) chunks.push(chunk)
      })
      entry.on('end', () => {
        found ??= Buffer.concat(chunks)
      })
    },
  })
  try {
    for await (const chunk of Readable.from([archive]).pipe(createGunzip()) as AsyncIterable<Buffer>) {
      unpacked += chunk.length
      if (unpacked > maxUnpacked) throw new Error('unpacks to more than 1 GiB')
      if (!parser.write(chunk)) await new Promise(go => parser.once('drain', go))
    }
    await new Promise<void>((done, fail) => {
      parser.once('end', done)
      parser.once('error', fail)
      parser.end()
    })
  } catch (error) {
    throw new AirgapError('UPSTREAM_INVALID', 'a source distribution cannot be unpacked', {
      item,
      likely: 'a damaged file',
      next: 'choose another version of the package, with a constraint',
      cause: error,
    })
  }
  return found?.toString('utf8')
}
