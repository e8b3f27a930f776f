import { Readable } from 'node:stream'
import { z } from 'zod'
import { parseManifest, type UnreadableEntry } from '../../content/successors.ts'
import { canonicalJson, compareText } from '../../core/canonical-json.ts'
import { chosenByHelm, newestFirst, parseChartVersion, parseConstraint } from '../../core/chart-version.ts'
import { defined } from '../../core/defined.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import { digestFromHex, digestOf } from '../../core/digest.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { isHelmArchiveType, mediaTypes } from '../../core/media-types.ts'
import { redactUrl } from '../../core/redact.ts'
import { formatReference, parseReference, type Reference, splitRepository } from '../../core/reference.ts'
import { withoutTrailing } from '../../core/trim.ts'
import type { LeftOut } from '../../lock/left-out.ts'
import { leftOutReason, notCarriable } from '../../lock/left-out-reason.ts'
import { checkedSigners } from '../../oci-signatures/check.ts'
import type { Fetched, ResolvedManifest } from '../../remote/contract.ts'
import type { ResolveContext } from '../kind.ts'
import { readChartArchive } from './archive.ts'
import { chartTag, provenanceUrl } from './assemble.ts'
import { type ChartRequest, chartRepository, checkServedName } from './entry.ts'
import { type LockedChart, lockedChartSchema } from './locked.ts'
import type { ChartMetadata } from './metadata.ts'
import { findInIndex, type IndexEntry } from './repository-index.ts'

const maxIndex = 64 * 1024 * 1024 /* bytes */
const maxArchive = 64 * 1024 * 1024 /* bytes */
const maxProvenance = 1024 * 1024 /* bytes */

/** Charts are small: the archive is fetched now, inspected, and kept in the cache for the build. */
export async function resolveChart(request: ChartRequest, context: ResolveContext): Promise<LockedChart> {
  const repository = chartRepository(request)
  return repository === undefined
    ? await fromRepository(request, context)
    : await fromRegistry(repository, { request, context })
}

async function fromRepository(request: ChartRequest, context: ResolveContext): Promise<LockedChart> {
  const { repo, name } = request
  const { url, sha256, version, namedBy } = await findArchive(request, context)
  const item = redactUrl(url)
  checkServedName({ name, version }, `${item} (${request.at})`)
  const { bytes: archive } = await getAtMost(url, {
    context,
    maxBytes: maxArchive,
    what: 'the chart',
    namedBy,
  })
  const descriptor = described(archive, mediaTypes.helmChart)
  if (sha256 !== undefined)
    checkDigest(descriptor, {
      sha256,
      who: `the index of ${redactUrl(repo)}`,
      item: `${item} (${request.at})`,
    })
  if (request.sha256 !== undefined)
    checkDigest(descriptor, { sha256: request.sha256, who: 'the manifest', item: `${item} (${request.at})` })
  const metadata = await readChartArchive(Readable.from([archive]), { name, version, item })
  const provenance = await provenanceOf(url, { context, namedBy })
  if (provenance) checkProvenance(provenance.toString('utf8'), { archive: descriptor, item })
  await context.cache.push(descriptor, Readable.from([archive]))
  const layers = [descriptor]
  if (provenance) {
    const signed = described(provenance, mediaTypes.helmProvenance)
    await context.cache.push(signed, Readable.from([provenance]))
    layers.push(signed)
  }
  return {
    name: `${name}-${version}`,
    chart: name,
    version,
    origin: { type: 'http', url },
    metadata: jsonOf(metadata),
    layers,
    ...(request.sha256 === undefined ? {} : { pinned: true }),
    ...(sha256 === undefined && request.sha256 === undefined ? { firstUse: true } : {}),
  }
}

async function findArchive(
  request: ChartRequest,
  context: ResolveContext,
): Promise<IndexEntry & { namedBy: string }> {
  const index = new URL(request.repo)
  index.pathname = `${withoutTrailing(index.pathname, '/')}/index.yaml`
  const { bytes, url } = await getAtMost(index.href, {
    context,
    maxBytes: maxIndex,
    what: 'the index of the repository',
  })
  return { ...findInIndex(bytes.toString('utf8'), request), namedBy: url }
}

async function getAtMost(
  url: string,
  {
    context,
    maxBytes,
    what,
    namedBy,
  }: { context: ResolveContext; maxBytes: number; what: string; namedBy?: string },
): Promise<Fetched> {
  try {
    return await context.http.get(url, { maxBytes, namedBy })
  } catch (error) {
    if (isErrorCode(error, 'UNSUPPORTED'))
      throw tooLarge(what, { item: redactUrl(url), maxBytes, cause: error })
    throw error
  }
}

function tooLarge(
  what: string,
  { item, maxBytes, cause }: { item: string; maxBytes: number; cause?: unknown },
): AirgapError {
  return new AirgapError('UNSUPPORTED', `${what} is larger than ${maxBytes} bytes`, {
    item,
    likely: 'unrelated files were packed into it, or the address is that of other content',
    next: 'report it to its publisher, or use a smaller version',
    cause,
  })
}

async function fromRegistry(
  repository: string,
  { request, context }: { request: ChartRequest; context: ResolveContext },
): Promise<LockedChart> {
  const { name } = request
  const version = await tagFor(repository, { request, context })
  const tagged = parseReference(`${repository}:${chartTag(version)}`)
  const item = formatReference(tagged)
  const { root, reference, found, config, archive, layers, leftOut } = await chartManifest(tagged, {
    context,
    item,
  })
  const signedBy = await checkedSigners(
    { what: 'chart', from: tagged, reference: tagged, at: request.at, root },
    { policies: request.signatures, registry: context.registry, now: context.now() },
  )
  if (request.sha256 !== undefined)
    checkDigest(archive, { sha256: request.sha256, who: 'the manifest', item: `${item} (${request.at})` })
  const content = await context.registry.blob(reference, archive, { maxBytes: maxArchive })
  const metadata = await readChartArchive(Readable.from([content]), { name, version, item })
  await context.cache.push(found.descriptor, Readable.from([found.bytes]))
  await context.cache.push(archive, Readable.from([content]))
  let isHelmConfig = false
  for (const blob of [config, ...layers]) {
    if (blob.size > maxProvenance || blob.digest === archive.digest) continue
    const bytes = await context.registry.blob(reference, blob)
    if (blob.digest === config.digest) isHelmConfig = hasMetadata(bytes.toString('utf8'), { metadata, item })
    if (blob.mediaType === mediaTypes.helmProvenance)
      checkProvenance(bytes.toString('utf8'), { archive, item })
    await context.cache.push(blob, Readable.from([bytes]))
  }
  return {
    name: `${name}-${version}`,
    chart: name,
    version,
    origin: {
      type: 'oci',
      repository: `${reference.host}/${reference.repository}`,
      manifest: plain(found.descriptor),
      config: plain(config),
    },
    metadata: jsonOf(metadata),
    layers: [archive, ...layers.filter(layer => layer.digest !== archive.digest)].map(plain),
    ...(request.sha256 === undefined ? {} : { pinned: true }),
    ...(isHelmConfig ? {} : { foreignConfig: true }),
    ...defined({ signedBy }),
    ...(leftOut.length > 0 ? { leftOut: leftOut.toSorted((a, b) => compareText(a.name, b.name)) } : {}),
  }
}

/** helm's `getOciURI`: a version is a tag; anything else is a constraint, for the newest tag that satisfies it. */
async function tagFor(
  repository: string,
  { request, context }: { request: ChartRequest; context: ResolveContext },
): Promise<string> {
  const { version } = request
  const constraint = parseChartVersion(version) === undefined ? parseConstraint(version) : undefined
  if (constraint === undefined) return version
  const tags = (await context.registry.tags(splitRepository(repository)))
    .map(tag => tag.replaceAll('_', '+'))
    .filter(tag => /^\d+\.\d+\.\d+/.test(tag))
    .sort(newestFirst)
  const found = chosenByHelm(
    tags.map(tag => ({ version: tag })),
    version,
  )
  if (found !== undefined) return found.version
  throw new AirgapError('NOT_FOUND_UPSTREAM', `no tag satisfies ${version}`, {
    item: `${repository} (${request.at})`,
    likely:
      tags.length === 0 ? 'it has no tag that is a version' : `available: ${tags.slice(0, 8).join(', ')}`,
    next: 'correct the version in the manifest',
  })
}

interface FoundChart {
  /** what the tag leads to: the chart, or an index with it */
  root: ResolvedManifest
  /** by digest where the chart is inside an index */
  reference: Reference
  found: ResolvedManifest
  config: Descriptor
  archive: Descriptor
  layers: Descriptor[]
  /** entries of the index that cannot be read */
  leftOut: LeftOut[]
}

/** Charts of an index that are tried. */
const maxInIndex = 20

/** helm.sh/docs/topics/registries: config, archive, and provenance where there is one; as such, or inside an index. */
async function chartManifest(
  tagged: Reference,
  { context, item }: { context: ResolveContext; item: string },
): Promise<FoundChart> {
  const root = await context.registry.manifest(tagged)
  const parsed = parseManifest(root.bytes, { mediaType: root.descriptor.mediaType, item })
  const references =
    parsed.type === 'index'
      ? parsed.manifests.slice(0, maxInIndex).map(({ digest }) => ({ ...tagged, digest }))
      : []
  const leftOut: LeftOut[] = parsed.type === 'index' ? parsed.unreadable.map(plainReason) : []
  const charts: FoundChart[] = []
  const add = (reference: Reference, found: ResolvedManifest) => {
    const chart = chartOf(found, item)
    if (chart !== undefined) charts.push({ root, reference, found, ...chart, leftOut })
  }
  if (parsed.type === 'manifest') add(tagged, root)
  for (const reference of references) {
    try {
      add(reference, await context.registry.manifest(reference))
    } catch (error) {
      if (!isErrorCode(error, ...notCarriable)) throw error
      leftOut.push({ name: reference.digest, reason: leftOutReason(error) })
    }
  }
  const [chart] = charts
  if (chart === undefined || charts.length > 1) {
    throw new AirgapError('UNSUPPORTED', 'the artifact under that name is not a Helm chart', {
      item,
      likely:
        chart !== undefined
          ? 'an index with several charts'
          : (unread(leftOut) ?? 'an image of the same name'),
      next: 'correct repo:, name: or version: in the manifest',
    })
  }
  if (chart.archive.size > maxArchive) throw tooLarge('the chart', { item, maxBytes: maxArchive })
  return chart
}

function plainReason({ name, reason }: UnreadableEntry): LeftOut {
  return { name, reason }
}

function unread([first]: readonly LeftOut[]): string | undefined {
  return first === undefined ? undefined : `the index has ${first.name}, but ${first.reason}`
}

/** Of several archives, helm takes the last: readers differ, so that none is accepted. */
function chartOf(
  found: ResolvedManifest,
  item: string,
): { config: Descriptor; archive: Descriptor; layers: Descriptor[] } | undefined {
  const parsed = parseManifest(found.bytes, { mediaType: found.descriptor.mediaType, item })
  if (parsed.type !== 'manifest' || parsed.config.mediaType !== mediaTypes.helmConfig) return undefined
  const [archive, ...others] = parsed.layers.filter(layer => isHelmArchiveType(layer.mediaType))
  if (archive === undefined || others.length > 0) return undefined
  return { config: parsed.config, archive, layers: parsed.layers }
}

/**
 * Whether the config has the name and the version of Chart.yaml: helm writes it into them, other tools write `{}`, which helm
 * pulls all the same. Throws UNSUPPORTED for what is not JSON, which helm refuses, too.
 */
function hasMetadata(text: string, { metadata, item }: { metadata: ChartMetadata; item: string }): boolean {
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch (error) {
    throw new AirgapError('UNSUPPORTED', 'the config of the chart is not JSON', {
      item,
      likely: 'the chart was pushed by another tool than helm',
      next: 'use a classic repository that has the chart, or push the archive with `helm push`',
      cause: error,
    })
  }
  const parsed = configSchema.safeParse(config)
  return parsed.success && parsed.data.name === metadata.name && parsed.data.version === metadata.version
}

const configSchema = z.looseObject({ name: z.string(), version: z.string() })

/** As recorded in the lock: plain JSON without unset fields. */
function jsonOf(metadata: ChartMetadata): LockedChart['metadata'] {
  return lockedChartSchema.shape.metadata.parse(JSON.parse(canonicalJson(metadata)))
}

function described(bytes: Buffer, mediaType: string): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

function plain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size }
}

function checkDigest(descriptor: Descriptor, expected: { sha256: string; who: string; item: string }): void {
  if (descriptor.digest === digestFromHex(expected.sha256)) return
  throw new AirgapError(
    'DIGEST_MISMATCH',
    `the chart has ${descriptor.digest}, but ${expected.who} has sha256:${expected.sha256}`,
    {
      item: expected.item,
      likely: 'the archive was replaced under the same version',
      next: 'compare with the checksum that the publisher announces; do not adopt the new one unchecked',
    },
  )
}

/** Returns undefined where the publisher does not sign. */
async function provenanceOf(
  archive: string,
  { context, namedBy }: { context: ResolveContext; namedBy: string },
): Promise<Buffer | undefined> {
  try {
    const { bytes } = await context.http.get(provenanceUrl(archive), { maxBytes: maxProvenance, namedBy })
    // some servers answer a page instead of 404
    return bytes.includes('-----BEGIN PGP SIGNED MESSAGE-----') ? bytes : undefined
  } catch (error) {
    // object stores answer 403 for missing objects
    if (isErrorCode(error, 'NOT_FOUND_UPSTREAM', 'UNAUTHORIZED', 'UPSTREAM_INVALID')) return undefined
    throw error
  }
}

/**
 * Refuses the provenance of another archive (fault 56; helm.sh/docs/topics/provenance: `files:` lists the archive and its digest).
 * The signature itself is not checked here: that needs the publisher's key.
 */
function checkProvenance(text: string, context: { archive: Descriptor; item: string }): void {
  const digests = [...text.matchAll(/^ +\S+\.tgz: *"?(sha256:[0-9a-f]{64})"?\s*$/gm)].map(match => match[1])
  if (digests.includes(context.archive.digest)) return
  throw new AirgapError('SIGNATURE_INVALID', 'the provenance file does not match the chart archive', {
    item: context.item,
    likely: 'the archive was replaced after it was signed, or the provenance is outdated',
    next: 'do not use the chart; ask the publisher which of the two files is correct',
  })
}
