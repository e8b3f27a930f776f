import { createHash } from 'node:crypto'
import pLimit, { type LimitFunction } from 'p-limit'
import { type DerivedForm, derived } from '../../content/derived.ts'
import { canonicalJson } from '../../core/canonical-json.ts'
import { defined } from '../../core/defined.ts'
import { digestOf, hexOf } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { toTextLines } from '../../lock/text-lines.ts'
import { readPublicKeys } from '../../openpgp/verify.ts'
import { fetchOnce } from '../../remote/fetch-once.ts'
import { firstOf } from '../../remote/mirrors.ts'
import type { ResolveContext } from '../kind.ts'
import type { RpmCandidate } from './candidate.ts'
import type { SelectedRpm } from './closure.ts'
import type { RpmRepository, RpmRequest } from './entry.ts'
import { hrefOf, type PackagePlace, placeOfPackage, type Refused, urlsOf } from './location.ts'
import type { LockedRpm } from './locked.ts'
import { checkPackageSignature } from './package-signature.ts'
import type { LoadedRepository } from './repository.ts'
import { nevraOf } from './request.ts'
import { malformed } from './strict-xml.ts'
import { namerOf, type Upstream } from './upstream.ts'

/** Package headers fetched at the same time. */
const concurrency = 8

interface LockContext {
  request: RpmRequest
  loaded: readonly LoadedRepository[]
  context: ResolveContext
}

/** Checks the signature of each package, and describes it for the lock. Throws SIGNATURE_INVALID, DIGEST_MISMATCH. */
export async function lockPackages(
  selected: readonly SelectedRpm[],
  { request, loaded, context }: LockContext,
): Promise<LockedRpm[]> {
  const limit = pLimit(concurrency)
  const perRepository = request.repositories.map(async (repository, index) => {
    const { upstream, fragments } = loaded[index]!
    const own = selected.filter(one => one.candidate.repository === index)
    const candidates = own.map(one => one.candidate)
    const [texts, signers] = await Promise.all([
      fragments(candidates),
      signersOf(candidates, { repository, loaded: loaded[index]!, limit, context }),
    ])
    return Promise.all(
      own.map(({ candidate, requested, because }, i) =>
        limit(async (): Promise<LockedRpm> => {
          const place = carriedPlace(candidate, upstream)
          const text = texts.get(candidate)!
          const { name, epoch, version, release, architecture } = candidate
          const urls = urlsOf(upstream.bases, place.upstream)
          return {
            name,
            epoch,
            version,
            release,
            architecture,
            repository: repository.id,
            location: place.path,
            ...(await contentOf(candidate, { urls, namedBy: namerOf(place.upstream, upstream), context })),
            ...defined({
              href: hrefOf(place),
              requested: requested ? (true as const) : undefined,
              because,
              signedBy: signers[i],
            }),
            primary: toTextLines(
              withLocation(text.primary, { candidate, path: place.path, item: upstream.name }),
            ),
            filelists: toTextLines(text.filelists),
          }
        }),
      ),
    )
  })
  return (await Promise.all(perRepository)).flat()
}

function carriedPlace(candidate: RpmCandidate, upstream: Upstream): Exclude<PackagePlace, Refused> {
  const place = placeOfPackage(candidate, upstream)
  if ('refused' in place)
    throw new AirgapError('INTERNAL', 'a package that cannot be carried was selected', {
      item: nevraOf(candidate),
    })
  return place
}

/** Fingerprints of the keys that signed packages, one in a line. */
const signersForm = {
  kind: 'rpm-signers',
  version: 1,
  columns: { fingerprints: 'u8' },
} as const satisfies DerivedForm<Record<string, 'u8'>>

/**
 * Returns the fingerprints of the keys that signed the packages, or nothing where a signed list vouches for the whole file by its digest.
 * That a key signed a package is checked once for each list, set of keys and selection.
 */
async function signersOf(
  candidates: readonly RpmCandidate[],
  {
    repository,
    loaded,
    limit,
    context,
  }: { repository: RpmRepository; loaded: LoadedRepository; limit: LimitFunction; context: ResolveContext },
): Promise<string[]> {
  if (repository.packages === 'unsigned' || candidates.length === 0) return []
  const { upstream, keys, list } = loaded
  const make = async () => {
    const publicKeys = await readPublicKeys(repository.keys)
    const checks = candidates.map(candidate => async () => {
      const place = carriedPlace(candidate, upstream).upstream
      return await checkPackageSignature(candidate, {
        keys: publicKeys,
        repository,
        upstream,
        place,
        context,
      })
    })
    const found = await Promise.all(checks.map(check => limit(check)))
    return { fingerprints: new Uint8Array(Buffer.from(found.join('\n'))) }
  }
  const variant = digestOf(
    canonicalJson([keys, candidates.map(one => [nevraOf(one), one.checksum.hex, one.location])]),
  )
  const { fingerprints } = await derived(
    context.cache,
    { digest: list, variant },
    { form: signersForm, make },
  )
  return Buffer.from(fingerprints).toString('utf8').split('\n')
}

/** The element of primary.xml with the path that the site has: dnf there must not go where `xml:base` leads. */
function withLocation(
  primary: string,
  { candidate, path, item }: { candidate: RpmCandidate; path: string; item: string },
): string {
  if (candidate.base === undefined && candidate.location === path) return primary
  const element = /<location\b[^<>]*>/g
  if (primary.match(element)?.length !== 1)
    throw malformed(`the element of ${candidate.name} does not have exactly one location`, item)
  const href = path.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
  return primary.replace(element, written => `<location href="${href}"${written.endsWith('/>') ? '/>' : '>'}`)
}

/**
 * Returns SHA-256 and size of a package. Packages with another checksum, or without a size, are fetched once while locking, because
 * bundles address content by SHA-256.
 */
async function contentOf(
  candidate: RpmCandidate,
  {
    urls,
    namedBy,
    context,
  }: { urls: readonly string[]; namedBy: string | undefined; context: ResolveContext },
): Promise<{ size: number; sha256: string }> {
  const { checksum, size: listed } = candidate
  if (checksum.type === 'sha256' && listed >= 0) return { size: listed, sha256: checksum.hex }
  const { digest, size } = await firstOf(urls, url => fetchOnce(url, context, { namedBy }), context)
  if (listed >= 0 && size !== listed) {
    throw new AirgapError('SIZE_MISMATCH', `a package has ${size} bytes; its repository lists ${listed}`, {
      item: nevraOf(candidate),
      likely: 'the mirror is being updated, or the package was replaced',
      next: 'try again later, or use another mirror',
    })
  }
  const hash = createHash(checksum.type)
  for await (const chunk of await context.cache.open({ mediaType: mediaTypes.octets, digest, size }))
    hash.update(chunk)
  if (hash.digest('hex') !== checksum.hex) {
    throw new AirgapError(
      'DIGEST_MISMATCH',
      `the ${checksum.type} digest of a package differs from the repository’s`,
      {
        item: nevraOf(candidate),
        likely: 'the mirror is being updated, or the package was replaced',
        next: 'try again later, or use another mirror',
      },
    )
  }
  return { size, sha256: hexOf(digest) }
}
