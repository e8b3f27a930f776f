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
  const fragmentsIn = new FragmentReader(item, (id, element) => {
    if (fragments.has(id)) found.fragments.set(id, element)
  })
  for await (const chunk of (await context.cache.open(descriptor)) as AsyncIterable<Buffer>) {
    const text = decoder.write(chunk)
    // without paths only fragments are needed, and the site parses those
    if (paths.size > 0) parser.write(text)
    fragmentsIn.write(text)
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
  const version = /<version\b[^<>]*>/.exec(primary)?.[0].replace(/\/?>$/, '/>') ?? ''
  const files = primary.match(/<file\b[^<>]*>[^<]*<\/file>/g) ?? []
  const start = `<package pkgid="${checksum.hex}" name="${attribute('name')}" arch="${attribute('arch')}">`
  return [start, ...[version, ...files].map(line => `  ${line}`), '</package>'].join('\n')
}

/** The package with the most files of all distributions has a tenth of it. */
const maxFragment = 64 << 20 /* characters */
const end = '</package>'

/** Cuts elements out of a text that arrives in parts. Each part is searched once: one element that never ends must not take quadratic time. */
class FragmentReader {
  readonly #item: string
  readonly #take: (id: string, element: string) => void
  /** of an element that has begun */
  #parts: string[] = []
  #size = 0
  /** the end of the text so far, in which a tag may have begun */
  #held = ''

  constructor(item: string, take: (id: string, element: string) => void) {
    this.#item = item
    this.#take = take
  }

  write(part: string): void {
    let text = this.#held + part
    for (;;) {
      if (this.#size === 0) {
        const start = text.indexOf('<package ')
        if (start < 0) {
          this.#held = text.slice(1 - '<package '.length)
          return
        }
        text = text.slice(start)
      }
      const at = text.indexOf(end)
      const length = at < 0 ? Math.max(0, text.length - end.length) : at + end.length
      this.#add(text.slice(0, length))
      text = text.slice(length)
      if (at < 0) {
        this.#held = text
        return
      }
      this.#close()
    }
  }

  #add(text: string): void {
    this.#size += text.length
    if (this.#size > maxFragment) throw malformed('an unterminated package element', this.#item)
    this.#parts.push(text)
  }

  #close(): void {
    const element = this.#parts.join('')
    this.#parts = []
    this.#size = 0
    const id = /\bpkgid=["']([0-9A-Fa-f]+)["']/.exec(element.slice(0, 400))?.[1]?.toLowerCase()
    if (id !== undefined) this.#take(id, element)
  }
}
