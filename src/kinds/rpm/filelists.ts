import { StringDecoder } from 'node:string_decoder'
import type { Descriptor } from '../../core/descriptor.ts'
import type { ResolveContext } from '../kind.ts'
import type { RpmCandidate } from './candidate.ts'
import { malformed } from './repomd.ts'
import { XmlScanner } from './xml-scanner.ts'

/** createrepo's filelists.xml: megabytes, of which only a few paths and the fragments of the chosen packages are needed. */
export interface Filelists {
  /** which packages contain each path */
  files: Map<string, RpmCandidate[]>
  /** element verbatim, by the package's checksum */
  fragments: Map<string, string>
}

/** Reads the list once, for paths that dependencies name and for fragments of packages. Throws UPSTREAM_INVALID. */
export async function readFilelists(
  descriptor: Descriptor,
  options: {
    item: string
    /** by checksum */
    candidates: ReadonlyMap<string, RpmCandidate>
    paths: ReadonlySet<string>
    fragments: ReadonlySet<string>
    context: ResolveContext
  },
): Promise<Filelists> {
  const { item, candidates, paths, fragments, context } = options
  const found: Filelists = { files: new Map(), fragments: new Map() }
  let id = ''
  let content = ''
  const parser = new XmlScanner(item, {
    open(name, attributes) {
      content = ''
      if (name === 'package') id = attributes['pkgid'] ?? ''
    },
    text(part) {
      content += part
    },
    close(name) {
      if (name === 'file' && paths.has(content)) {
        const candidate = candidates.get(id)
        if (candidate !== undefined) {
          const others = found.files.get(content)
          if (others) others.push(candidate)
          else found.files.set(content, [candidate])
        }
      }
    },
  })
  const decoder = new StringDecoder('utf8')
  let held = ''
  for await (const chunk of (await context.cache.open(descriptor)) as AsyncIterable<Buffer>) {
    const text = decoder.write(chunk)
    // without paths only fragments are needed, and the site parses those
    if (paths.size > 0) parser.write(text)
    held = takeFragments(held + text, { fragments, found: found.fragments, item })
  }
  if (paths.size === 0) return found
  parser.write(decoder.end())
  parser.close()
  return found
}

/** The element of filelists.xml as far as primary.xml has it: version, and the files that dependencies usually name. */
export function filesOfPrimary(primary: string, { checksum }: RpmCandidate): string {
  const text = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(primary)?.[1] ?? ''
  const attribute = (name: string) => text(name).replaceAll('"', '&quot;')
  const version = /<version\b[^>]*>/.exec(primary)?.[0].replace(/\/?>$/, '/>') ?? ''
  const files = primary.match(/<file\b[^>]*>[^<]*<\/file>/g) ?? []
  const start = `<package pkgid="${checksum.hex}" name="${attribute('name')}" arch="${attribute('arch')}">`
  return [start, ...[version, ...files].map(line => `  ${line}`), '</package>'].join('\n')
}

const maxFragment = 256 << 20 /* characters */

/** Cuts complete elements off the text, keeps the wanted ones, and returns the rest. */
function takeFragments(
  text: string,
  { fragments, found, item }: { fragments: ReadonlySet<string>; found: Map<string, string>; item: string },
): string {
  let at = 0
  for (;;) {
    const start = text.indexOf('<package ', at)
    if (start < 0) return text.slice(Math.max(at, text.length - 9))
    const end = text.indexOf('</package>', start)
    if (end < 0) {
      if (text.length - start > maxFragment) throw malformed('an unterminated package element', item)
      return text.slice(start)
    }
    at = end + '</package>'.length
    const id = /\bpkgid=["']([0-9A-Fa-f]+)["']/.exec(text.slice(start, start + 400))?.[1]?.toLowerCase()
    if (id !== undefined && fragments.has(id)) found.set(id, text.slice(start, at))
  }
}
