import { BlockList } from 'node:net'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { redactText } from '../../core/redact.ts'
import { parseReference, type Reference, splitRepository } from '../../core/reference.ts'
import type { ListLine } from '../../document/read-text.ts'

/** RFC 1918, 6598, 3927, 4193 and 4291. Loopback is not private: tests and rehearsals use it. */
const privateAddresses = new BlockList()
for (const [network, bits] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['169.254.0.0', 16],
] as const)
  privateAddresses.addSubnet(network, bits)
for (const [network, bits] of [
  ['fc00::', 7],
  ['fe80::', 10],
] as const)
  privateAddresses.addSubnet(network, bits, 'ipv6')

/** Whether a registry is named by an address that only one network knows. */
export function isPrivate({ host }: Reference): boolean {
  const address = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  return privateAddresses.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
}

/** Names on a site are the publishers': the address of one company's registry means nothing there. */
export function publicReferenceAt(line: ListLine): Reference {
  const reference = referenceAt(line)
  if (!isPrivate(reference)) return reference
  throw new AirgapError('MANIFEST_INVALID', 'the image is named by an address of a private network', {
    item: `${line.at}: ${redactText(line.text).slice(0, 200)}`,
    likely: 'the name was copied from a site that has this registry',
    next: 'write the name under which the image is published; to fetch it from there: {ref: docker.io/…, from: ADDRESS/…}',
  })
}

export function referenceAt(line: ListLine): Reference {
  try {
    return parseReference(line.text)
  } catch (error) {
    if (!(error instanceof AirgapError)) throw error
    throw new AirgapError(error.code, error.message, {
      item: `${line.at}: ${redactText(line.text).slice(0, 200)}`,
      ...defined({ next: error.next }),
      cause: error,
    })
  }
}

/** Where an image is fetched from; `from` without a tag has the tag and digest of the name. */
export function fetchedFrom(reference: Reference, from: ListLine): Reference {
  const last = from.text.slice(from.text.lastIndexOf('/') + 1)
  if (/[:@]/.test(last)) return referenceAt(from)
  const suffix = `${reference.tag === undefined ? '' : `:${reference.tag}`}${reference.digest === undefined ? '' : `@${reference.digest}`}`
  const { host, repository } = splitRepository(from.text)
  return referenceAt({ text: `${host}/${repository}${suffix}`, at: from.at })
}
