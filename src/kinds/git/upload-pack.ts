import type { ReadableStore } from '../../content/store.ts'
import { AirgapError } from '../../core/errors.ts'
import type { ServiceAnswer, ServiceRequest, SiteService } from '../mount.ts'
import { delimiterPacket, flushPacket, maxBandData, type Packet, packet, parsePackets } from './pkt-line.ts'
import { sentPack } from './sent-pack.ts'
import type { ServedRepository } from './served-repository.ts'

/**
 * git's smart HTTP protocol, read-only (gitprotocol-http(5), -pack(5), -v2(5)): the only one that go-git, and with it Flux, speaks, and the only
 * one that can serve a shallow history. A repository has one commit: whatever a client has, it gets the whole pack.
 */
export function uploadPack(
  repository: ServedRepository,
  store: ReadableStore,
): ReadonlyMap<string, SiteService> {
  return new Map<string, SiteService>([
    [
      'info/refs',
      { answer: async request => advertisement(repository, request), sample: 'service=git-upload-pack' },
    ],
    ['git-upload-pack', { answer: async request => conversation(repository, request, store) }],
    ['git-receive-pack', { answer: async () => refusePush() }],
  ])
}

const agent = 'agent=airgap-site'

function advertisement(repository: ServedRepository, request: ServiceRequest): ServiceAnswer | undefined {
  const service = request.query.get('service')
  // a request without it is for the file of the dumb protocol
  if (service === null || request.method !== 'GET') return undefined
  if (service !== 'git-upload-pack') return refusePush()
  const version = protocolVersion(request)
  const packets =
    version === 2
      ? ['version 2\n', `${agent}\n`, 'ls-refs\n', 'fetch=shallow\n', 'object-format=sha1\n'].map(packet)
      : [
          packet('# service=git-upload-pack\n'),
          flushPacket,
          ...(version === 1 ? [packet('version 1\n')] : []),
          ...refLines(repository).map(packet),
          ...(repository.cut ? [packet(`shallow ${repository.commit}`)] : []),
        ]
  return {
    mediaType: 'application/x-git-upload-pack-advertisement',
    body: Buffer.concat([...packets, flushPacket]),
  }
}

function protocolVersion({ headers }: ServiceRequest): 0 | 1 | 2 {
  const versions = (headers['git-protocol'] ?? '').split(':')
  if (versions.includes('version=2')) return 2
  return versions.includes('version=1') ? 1 : 0
}

/** All refs, HEAD first; the capabilities follow the first line. */
function refLines({ commit, branch, refs }: ServedRepository): string[] {
  const capabilities = [
    'side-band',
    'side-band-64k',
    'shallow',
    'no-progress',
    'allow-tip-sha1-in-want',
    'object-format=sha1',
    `symref=HEAD:${branch}`,
    agent,
  ]
  const lines = [{ name: 'HEAD', id: commit }, ...refs].flatMap(({ name, id, ...ref }) => [
    `${id} ${name}`,
    ...('peeled' in ref ? [`${ref.peeled} ${name}^{}`] : []),
  ])
  return lines.map((line, i) => (i === 0 ? `${line}\0${capabilities.join(' ')}\n` : `${line}\n`))
}

function conversation(
  repository: ServedRepository,
  request: ServiceRequest,
  store: ReadableStore,
): ServiceAnswer | undefined {
  if (request.method !== 'POST') return undefined
  const packets = parsePackets(request.body)
  const answer = (body: ServiceAnswer['body']) => ({
    mediaType: 'application/x-git-upload-pack-result',
    body,
  })
  if (protocolVersion(request) !== 2)
    return answer(answerWants(repository, { wants: parseWants(packets), store }))
  const { command, lines } = parseCommand(packets)
  if (command === 'ls-refs') return answer(listRefs(repository, lines))
  if (command === 'fetch') return answer(answerFetch(repository, { wants: parseLines(lines), store }))
  throw new AirgapError('USAGE', 'the site does not support this command of the git protocol', {
    item: command.slice(0, 100),
    next: 'clone with git',
  })
}

interface Wants {
  wants: string[]
  capabilities: string[]
  /** 0: not requested */
  depth: number
  /** commits of the client whose parents it does not have */
  shallow: string[]
  /** versions 0 and 1: the client requests only where the history is cut, and sends another request for the pack */
  onlyShallow: boolean
  done: boolean
}

/** Protocol versions 0 and 1: wants and depth, then haves, in one request. */
function parseWants(packets: readonly Packet[]): Wants {
  const lines = packets.flatMap(one => (typeof one === 'string' ? [] : [one.text]))
  // capabilities follow the first want
  const [first = '', id = '', ...capabilities] = (lines[0] ?? '').split(' ')
  return {
    ...parseLines([`${first} ${id}`, ...lines.slice(1)]),
    capabilities,
    onlyShallow: packets.indexOf('flush') === packets.length - 1,
  }
}

function parseLines(lines: readonly string[]): Wants {
  const valuesOf = (word: string) =>
    lines.flatMap(line => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []))
  return {
    wants: valuesOf('want'),
    capabilities: [],
    // a depth by date or by ref is answered with the whole history
    depth: Number(valuesOf('deepen')[0] ?? 0),
    shallow: valuesOf('shallow'),
    onlyShallow: false,
    done: lines.includes('done'),
  }
}

function parseCommand(packets: readonly Packet[]): { command: string; lines: string[] } {
  const [first, ...rest] = packets
  const command = typeof first === 'object' ? /^command=(.*)$/.exec(first.text)?.[1] : undefined
  const delimiter = rest.indexOf('delimiter')
  const lines = rest
    .slice(delimiter < 0 ? rest.length : delimiter)
    .flatMap(one => (typeof one === 'string' ? [] : [one.text]))
  return { command: command ?? '', lines }
}

/** gitprotocol-v2(5), "ls-refs" */
function listRefs({ commit, branch, refs }: ServedRepository, lines: readonly string[]): Buffer {
  const prefixes = lines.flatMap(line => /^ref-prefix (.*)$/.exec(line)?.[1] ?? [])
  const isListed = (name: string) => prefixes.length === 0 || prefixes.some(prefix => name.startsWith(prefix))
  const symref = lines.includes('symrefs') ? ` symref-target:${branch}` : ''
  const listed = [
    { name: 'HEAD', line: `${commit} HEAD${symref}` },
    ...refs.map(({ name, id, peeled }) => ({
      name,
      line: `${id} ${name}${lines.includes('peel') && peeled !== undefined ? ` peeled:${peeled}` : ''}`,
    })),
  ].filter(({ name }) => isListed(name))
  return Buffer.concat([...listed.map(({ line }) => packet(`${line}\n`)), flushPacket])
}

interface Work {
  wants: Wants
  store: ReadableStore
}

/** gitprotocol-v2(5), "fetch": sections, the last one the pack on band 1. */
async function* answerFetch(
  repository: ServedRepository,
  { wants, store }: Work,
): AsyncGenerator<Uint8Array> {
  const wrong = unknownWant(repository, wants)
  if (wrong !== undefined) {
    yield packet(`ERR upload-pack: not our ref ${wrong}`)
    return
  }
  if (!wants.done) {
    yield Buffer.concat([packet('acknowledgments\n'), packet('NAK\n'), flushPacket])
    return
  }
  const { packs, shallowLines } = chosen(repository, wants)
  if (wants.depth > 0 || repository.cut)
    yield Buffer.concat([packet('shallow-info\n'), ...shallowLines.map(packet), delimiterPacket])
  yield packet('packfile\n')
  yield* onBand(sentPack(packs, store), maxBandData)
  yield flushPacket
}

/** gitprotocol-pack(5), "Packfile Negotiation" without multi_ack. */
async function* answerWants(
  repository: ServedRepository,
  { wants, store }: Work,
): AsyncGenerator<Uint8Array> {
  const wrong = unknownWant(repository, wants)
  if (wrong !== undefined) {
    yield packet(`ERR upload-pack: not our ref ${wrong}`)
    return
  }
  const { packs, shallowLines } = chosen(repository, wants)
  if (wants.depth > 0) yield Buffer.concat([...shallowLines.map(packet), flushPacket])
  if (wants.onlyShallow) return
  yield packet('NAK\n')
  if (!wants.done) return
  const band = wants.capabilities.includes('side-band-64k')
    ? maxBandData
    : wants.capabilities.includes('side-band')
      ? 995
      : undefined
  if (band === undefined) {
    yield* sentPack(packs, store)
    return
  }
  yield* onBand(sentPack(packs, store), band)
  yield flushPacket
}

function unknownWant({ commit, refs }: ServedRepository, { wants }: Wants): string | undefined {
  const known = new Set([commit, ...refs.flatMap(({ id, peeled }) => [id, peeled])])
  return wants.find(want => !known.has(want))?.slice(0, 100)
}

/** Depth 1 is the commit alone; any other depth is answered with the whole history, which is always enough. */
function chosen(
  { commit, packs, cut }: ServedRepository,
  { depth, shallow }: Wants,
): { packs: ServedRepository['packs']; shallowLines: string[] } {
  const isCut = cut || (depth === 1 && packs.length > 1)
  if (isCut) {
    // the client sends the lines that it has
    return { packs: packs.slice(0, 1), shallowLines: shallow.includes(commit) ? [] : [`shallow ${commit}`] }
  }
  return { packs, shallowLines: shallow.includes(commit) ? [`unshallow ${commit}`] : [] }
}

/** Data in packets of at most `size` bytes, each with the number of the band in front. */
async function* onBand(data: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  for await (const chunk of data)
    for (let at = 0; at < chunk.length; at += size)
      yield packet(Buffer.concat([Buffer.from([1]), chunk.subarray(at, at + size)]))
}

function refusePush(): never {
  throw new AirgapError('METHOD_NOT_ALLOWED', 'the site serves git repositories for reading only', {
    item: 'git-receive-pack',
    likely: 'a push to the closed site: what it serves comes from the bundle',
    next: 'push to a git server of your own, or build a bundle with the commit',
  })
}
