import { StringDecoder } from 'node:string_decoder'
import type { Descriptor } from '../../core/descriptor.ts'
import type { ResolveContext } from '../kind.ts'
import type { RpmCandidate, RpmRelation } from './candidate.ts'
import { malformed } from './repomd.ts'
import { XmlScanner } from './xml-scanner.ts'

/** createrepo's primary.xml. */

const relationLists = new Map<string, RelationList>([
  ['rpm:provides', 'provides'],
  ['rpm:requires', 'requires'],
  ['rpm:conflicts', 'conflicts'],
  ['rpm:obsoletes', 'obsoletes'],
  ['rpm:recommends', 'recommends'],
  ['rpm:supplements', 'supplements'],
  ['rpm:suggests', 'suggests'],
  ['rpm:enhances', 'enhances'],
])
type RelationList =
  | 'provides'
  | 'requires'
  | 'conflicts'
  | 'obsoletes'
  | 'recommends'
  | 'supplements'
  | 'suggests'
  | 'enhances'

const flags = new Set(['EQ', 'LT', 'LE', 'GT', 'GE'])
const maxPackages = 1_000_000

/** Returns the packages of the list that `wanted` accepts, each with the position of its element in the file. Throws UPSTREAM_INVALID. */
export async function readPrimary(
  descriptor: Descriptor,
  {
    repository,
    item,
    architectures,
    context,
  }: { repository: number; item: string; architectures: ReadonlySet<string>; context: ResolveContext },
): Promise<RpmCandidate[]> {
  const candidates: RpmCandidate[] = []
  const places: { offset: number; length: number }[] = []
  const scanner = placeScanner(places)
  let one = emptyCandidate(repository)
  let list: RelationList | undefined
  let content = ''
  let count = 0
  const parser = new XmlScanner(item, {
    open(name, attributes) {
      content = ''
      switch (name) {
        case 'package':
          one = emptyCandidate(repository)
          break
        case 'version':
          one.epoch = attributes['epoch'] || '0'
          one.version = attributes['ver'] ?? ''
          one.release = attributes['rel'] ?? ''
          break
        case 'checksum':
          one.checksum = { type: attributes['type'] ?? '', hex: '' }
          break
        case 'size':
          one.size = numberOf(attributes['package'])
          break
        case 'location':
          one.location = attributes['href'] ?? ''
          if (attributes['xml:base']) one.base = attributes['xml:base']
          break
        case 'rpm:header-range':
          one.headerRange = { start: numberOf(attributes['start']), end: numberOf(attributes['end']) }
          break
        case 'rpm:entry':
          if (list !== undefined) addRelation(one[list], attributes)
          break
        default:
          list = relationLists.get(name) ?? list
      }
    },
    text(part) {
      content += part
    },
    close(name) {
      switch (name) {
        case 'name':
          one.name = content
          break
        case 'arch':
          one.architecture = content
          break
        case 'checksum':
          one.checksum.hex = content.trim().toLowerCase()
          break
        case 'file':
          one.files.push(content)
          break
        case 'package': {
          const place = places[count++]
          if (place === undefined || count > maxPackages)
            throw malformed('its package elements cannot be separated', item)
          if (architectures.has(one.architecture)) candidates.push(checked({ ...one, primary: place }, item))
          break
        }
        default:
          if (relationLists.has(name)) list = undefined
      }
      content = ''
    },
  })
  const decoder = new StringDecoder('utf8')
  for await (const chunk of (await context.cache.open(descriptor)) as AsyncIterable<Buffer>) {
    scanner(chunk)
    parser.write(decoder.write(chunk))
  }
  parser.write(decoder.end())
  parser.close()
  if (count !== places.length) throw malformed('its package elements cannot be separated', item)
  return candidates
}

function emptyCandidate(repository: number): RpmCandidate {
  return {
    name: '',
    epoch: '0',
    version: '',
    release: '',
    architecture: '',
    repository,
    location: '',
    size: -1,
    checksum: { type: '', hex: '' },
    headerRange: { start: -1, end: -1 },
    provides: [],
    requires: [],
    conflicts: [],
    obsoletes: [],
    recommends: [],
    supplements: [],
    suggests: [],
    enhances: [],
    files: [],
    primary: { offset: 0, length: 0 },
  }
}

/** Drops what rpm itself provides, such as `rpmlib(PayloadIsZstd)`. */
function addRelation(relations: RpmRelation[], attributes: Record<string, string>): void {
  const { name = '', flags: flag, epoch, ver, rel } = attributes
  if (name === '' || name.startsWith('rpmlib(')) return
  const relation: RpmRelation = { name }
  if (flag !== undefined && flags.has(flag)) {
    relation.flags = flag as NonNullable<RpmRelation['flags']>
    if (epoch !== undefined) relation.epoch = epoch
    if (ver !== undefined) relation.version = ver
    if (rel !== undefined) relation.release = rel
  }
  relations.push(relation)
}

function checked(one: RpmCandidate, item: string): RpmCandidate {
  if (one.name === '' || one.version === '' || one.architecture === '')
    throw malformed('a package has no name, version or architecture', item)
  return one
}

function numberOf(text: string | undefined): number {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : -1
}

/**
 * Finds the byte range of each `<package …>…</package>`. A `<` is never content in XML, so the two texts mark elements, except in
 * comments and CDATA: then the number differs from what the parser counts, which is an error.
 */
function placeScanner(places: { offset: number; length: number }[]): (chunk: Buffer) => void {
  const [open, close] = [Buffer.from('<package '), Buffer.from('</package>')]
  let held: Buffer = Buffer.alloc(0)
  /** offset of `held` in the file */
  let base = 0
  let start = -1
  return chunk => {
    const text = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    let at = 0
    for (;;) {
      const next = text.indexOf(start < 0 ? open : close, at)
      if (next < 0) break
      if (start < 0) {
        start = base + next
        at = next + open.length
      } else {
        at = next + close.length
        places.push({ offset: start, length: base + at - start })
        start = -1
      }
    }
    // a tag may be split between two chunks
    const keep = Math.max(at, text.length - close.length)
    held = Buffer.from(text.subarray(keep))
    base += keep
  }
}
