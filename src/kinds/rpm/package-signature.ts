import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { readPublicKeys, verifyPacket } from '../../openpgp/verify.ts'
import type { ResolveContext } from '../kind.ts'
import { rpmUrl } from './assemble.ts'
import type { RpmCandidate } from './candidate.ts'
import type { RpmRepository } from './entry.ts'
import { readHeader, readSignatureHeader, signatureTags, tags } from './header.ts'

/** Headers of kernels have a few MB because of their file lists. */
const maxHeader = 64 << 20 /* bytes */

/**
 * Checks the signature of a package, and that the package is the one that its repository lists. Fetches only the header. Returns the
 * fingerprint of the key. Throws SIGNATURE_INVALID.
 */
export async function checkPackageSignature(
  candidate: RpmCandidate,
  repository: RpmRepository,
  context: ResolveContext,
): Promise<string> {
  const keys = await readPublicKeys(repository.keys)
  const url = rpmUrl(repository.baseurl, candidate.location)
  const item = redactUrl(url)
  const start = await headOf(url, { end: candidate.headerRange.end, context })
  const { header: signatures, mainStart } = readSignatureHeader(start, item)
  const main = readHeader(start.subarray(mainStart), item)
  const signature = signatures.bin(signatureTags.rsa) ?? signatures.bin(signatureTags.dsa)
  if (signature === undefined) {
    throw new AirgapError('SIGNATURE_INVALID', 'a package is not signed', {
      item,
      likely: 'the publisher forgot to sign it, or the package was replaced',
      next: 'exclude it (excludepkgs:) and contact the publisher; nothing unsigned goes into a bundle',
    })
  }
  const signed = start.subarray(mainStart, mainStart + main.length)
  const { fingerprint } = await verifyPacket(signed, signature, { keys, now: context.now(), item })
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
  url: string,
  { end, context }: { end: number; context: ResolveContext },
): Promise<Buffer> {
  if (end <= 0 || end > maxHeader) {
    throw new AirgapError('UPSTREAM_INVALID', 'a repository does not give the header range of a package', {
      item: redactUrl(url),
      likely: 'a repository made with broken tools',
      next: 'ask its maintainers to recreate the metadata with createrepo_c',
    })
  }
  const headers = { range: `bytes=0-${end - 1}` }
  const { bytes } = await context.http.get(url, { maxBytes: 2 ** 31, headers })
  return bytes.subarray(0, end)
}
