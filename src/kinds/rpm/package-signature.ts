import type { Key } from 'openpgp'
import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { verifyPacket } from '../../openpgp/verify.ts'
import type { ResolveContext } from '../kind.ts'
import type { RpmCandidate } from './candidate.ts'
import type { RpmRepository } from './entry.ts'
import { headerEnd, readHeader, readSignatureHeader, signatureTags, tags } from './header.ts'
import { type Place, urlsOf } from './location.ts'
import { getFile, type Upstream } from './upstream.ts'

/** Headers of kernels have a few MB because of their file lists. */
const maxHeader = 64 << 20 /* bytes */

/**
 * Checks the signature of a package, and that the package is the one that its repository lists. Fetches only the header. Returns the
 * fingerprint of the key. Throws SIGNATURE_INVALID.
 */
export async function checkPackageSignature(
  candidate: RpmCandidate,
  {
    keys,
    repository,
    upstream,
    place,
    context,
  }: {
    keys: Key[]
    repository: RpmRepository
    upstream: Upstream
    place: Place
    context: ResolveContext
  },
): Promise<string> {
  const item = redactUrl(urlsOf(upstream.bases, place)[0]!)
  const get = async (end: number) =>
    (
      await getFile(upstream, place, {
        maxBytes: 2 ** 31,
        headers: { range: `bytes=0-${end - 1}` },
        context,
      })
    ).bytes.subarray(0, end)
  const start = await headOf(get, { end: candidate.headerRange.end, size: candidate.size, item })
  const { header: signatures, mainStart } = readSignatureHeader(start, item)
  const main = readHeader(start.subarray(mainStart), item)
  const signature = signatures.bin(signatureTags.rsa) ?? signatures.bin(signatureTags.dsa)
  if (signature === undefined) {
    throw new AirgapError('SIGNATURE_INVALID', 'a package is not signed', {
      item,
      likely: 'the publisher forgot to sign it, or the package was replaced',
      next:
        repository.metadata === 'signed'
          ? 'if the publisher signs only the list of packages (gpgcheck=0, repo_gpgcheck=1), set `packages: unsigned` for this repository; otherwise exclude the package (excludepkgs:)'
          : 'exclude it (excludepkgs:) and contact the publisher: neither the package nor its list is signed',
    })
  }
  const signed = start.subarray(mainStart, mainStart + main.length)
  const { fingerprint } = await verifyPacket(signed, signature, {
    keys,
    now: context.now(),
    item,
    keysValid: 'when signed',
  })
  const found = {
    name: main.string(tags.name),
    epoch: String(main.int32(tags.epoch) ?? 0),
    version: main.string(tags.version),
    release: main.string(tags.release),
    architecture: main.string(tags.arch),
  }
  for (const field of ['name', 'epoch', 'version', 'release', 'architecture'] as const) {
    if (found[field] === candidate[field]) continue
    throw new AirgapError(
      'SIGNATURE_INVALID',
      `a package is not the one that the repository lists: its ${field} is ${found[field]}`,
      {
        item: `${item} (listed as ${candidate.name}-${candidate.epoch}:${candidate.version}-${candidate.release}.${candidate.architecture})`,
        likely: 'a signed package was substituted, possibly by an old one with known vulnerabilities',
        next: 'do not use this mirror',
      },
    )
  }
  return fingerprint
}

/** The first bytes of the file, up to the end of its main header; the whole file where the server does not support ranges. */
async function headOf(
  get: (end: number) => Promise<Buffer>,
  { end, size, item }: { end: number; size: number; item: string },
): Promise<Buffer> {
  if (end > 0 && end <= maxHeader) return await get(end)
  // the list does not say where the header ends: the package does, in two places
  for (let wanted = 64 << 10; ; ) {
    const bytes = await get(size > 0 ? Math.min(wanted, size) : wanted)
    const next = headerEnd(bytes, item)
    if (next <= bytes.length) return bytes.subarray(0, next)
    if (next > maxHeader || next <= wanted) break
    wanted = next
  }
  throw new AirgapError('UPSTREAM_INVALID', 'a package cannot be read: its header is truncated', {
    item,
    likely: 'a damaged file, or a mirror in the middle of an update',
    next: 'use another mirror; if the error remains, report it to the maintainers of the repository',
  })
}
