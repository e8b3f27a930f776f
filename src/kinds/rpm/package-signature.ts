import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { readPublicKeys, verifyPacket } from '../../openpgp/verify.ts'
import type { ResolveContext } from '../kind.ts'
import { rpmUrl } from './assemble.ts'
import type { RpmCandidate } from './candidate.ts'
import type { RpmRepository } from './entry.ts'
import { readHeader, readSignatureHeader, signatureTags, tags } from './header.ts'

/** Headers of kernels have a few MB: their lists of files. */
const maxHeader = 64 << 20 /* bytes */

/**
 * Checks who signed a package, and that it is the package that its repository says. Fetches its header alone. Gives the fingerprint
 * of the key. Throws SIGNATURE_INVALID.
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
      likely: 'someone put it there, or the publisher forgot it',
      next: 'leave it out (excludepkgs:), and ask the publisher; nothing unsigned goes into a bundle',
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
      `a package is another one than the repository says: its ${field} is ${found[field]}`,
      {
        item: `${item} (listed as ${candidate.name}-${candidate.epoch}:${candidate.version}-${candidate.release}.${candidate.architecture})`,
        likely: 'a signed package put in the place of another one: an old one with known holes, perhaps',
        next: 'do not use this mirror',
      },
    )
  }
  return fingerprint
}

/** The first bytes of the file, up to the end of its main header; all of it where the server gives no parts. */
async function headOf(
  url: string,
  { end, context }: { end: number; context: ResolveContext },
): Promise<Buffer> {
  if (end <= 0 || end > maxHeader) {
    throw new AirgapError(
      'UPSTREAM_INVALID',
      'a repository does not say where the header of a package ends',
      {
        item: redactUrl(url),
        likely: 'a repository made with broken tools',
        next: 'have it made anew with createrepo_c',
      },
    )
  }
  const headers = { range: `bytes=0-${end - 1}` }
  const { bytes } = await context.http.get(url, { maxBytes: 2 ** 31, headers })
  return bytes.subarray(0, end)
}
