import { AirgapError } from '../../core/errors.ts'

/** gitprotocol-common(5), "pkt-line Format" */

export const flushPacket = Buffer.from('0000')
/** Separates the sections of a message (gitprotocol-v2(5), "Packet-Line Framing"). */
export const delimiterPacket = Buffer.from('0001')

/** Longest data of one packet. */
const maxData = 65_516 /* bytes */
/** Data of a packet of side-band-64k: one byte names the band. */
export const maxBandData = maxData - 1

export function packet(data: string | Uint8Array): Buffer {
  const bytes = Buffer.from(data)
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes])
}

/** One packet of a message: its text without the line break. */
export type Packet = 'flush' | 'delimiter' | { text: string }

/** Throws USAGE where the bytes are not packets. */
export function parsePackets(bytes: Buffer): Packet[] {
  const packets: Packet[] = []
  for (let at = 0; at < bytes.length; ) {
    const written = bytes.toString('latin1', at, at + 4)
    const length = Number.parseInt(written, 16)
    if (!/^[0-9a-f]{4}$/i.test(written) || length === 3 || at + length > bytes.length) throw malformed(at)
    if (length >= 4) packets.push({ text: bytes.toString('utf8', at + 4, at + length).replace(/\n$/, '') })
    // a response end has no meaning in a request
    else if (length < 2) packets.push(length === 0 ? 'flush' : 'delimiter')
    at += Math.max(length, 4)
  }
  return packets
}

function malformed(offset: number): AirgapError {
  return new AirgapError('USAGE', 'the request is not a message of the git protocol', {
    item: `byte ${offset}`,
    likely: 'the client is not git, or a proxy changed the request',
    next: 'clone with git',
  })
}
