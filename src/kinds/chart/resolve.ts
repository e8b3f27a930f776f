import { Readable } from 'node:stream'
import { parseManifest } from '../../content/successors.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import { digestFromHex, digestOf } from '../../core/digest.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { redactUrl } from '../../core/redact.ts'
import { parseReference } from '../../core/reference.ts'
import type { ChartRequest } from '../../manifest/stack.ts'
import type { ResolveContext } from '../kind.ts'
import { readChartArchive } from './archive.ts'
import { chartTag } from './assemble.ts'
import type { LockedChart } from './locked.ts'
import { findInIndex } from './repository-index.ts'

const maxIndex = 128 * 1024 * 1024 /* bytes */
const maxArchive = 64 * 1024 * 1024 /* bytes */
const maxProvenance = 1024 * 1024 /* bytes */

/** Charts are small: the archive is fetched now, looked into, and kept in the cache for the build. */
export async function resolveChart(request: ChartRequest, context: ResolveContext): Promise<LockedChart> {
  return request.repo.startsWith('oci://')
    ? await fromRegistry(request, context)
    : await fromRepository(request, context)
}

async function fromRepository(request: ChartRequest, context: ResolveContext): Promise<LockedChart> {
  const { repo, name, version } = request
  const index = await context.http.get(`${repo.replace(/\/+$/, '')}/index.yaml`, { maxBytes: maxIndex })
  const entry = findInIndex(index.bytes.toString('utf8'), { repo, name, version })
  const archive = (await context.http.get(entry.url, { maxBytes: maxArchive })).bytes
  const descriptor = await keep(archive, { mediaType: mediaTypes.helmChart, context })
  for (const [who, sha256] of [
    ['its repository', entry.sha256],
    ['the manifest', request.sha256],
  ] as const) {
    if (sha256 !== undefined)
      checkDigest(descriptor, { sha256, who, item: `${redactUrl(entry.url)} (${request.at})` })
  }
  const metadata = await readChartArchive(Readable.from([archive]), {
    name,
    version,
    item: redactUrl(entry.url),
  })
  const provenance = await provenanceOf(entry.url, context)
  const known = entry.sha256 !== undefined || request.sha256 !== undefined
  return {
    name: `${name}-${version}`,
    chart: name,
    version,
    origin: { type: 'http', url: entry.url },
    metadata,
    layers: provenance ? [descriptor, provenance] : [descriptor],
    ...(known ? {} : { firstUse: true }),
  }
}

async function fromRegistry(request: ChartRequest, context: ResolveContext): Promise<LockedChart> {
  const { name, version } = request
  const repository = `${request.repo.slice('oci://'.length).replace(/\/+$/, '')}/${name}`
  const reference = parseReference(`${repository}:${chartTag(version)}`)
  const found = await context.registry.manifest(reference)
  const item = `${request.repo}/${name}:${version}`
  const parsed = parseManifest(found.bytes, { mediaType: found.descriptor.mediaType, item })
  const archive =
    parsed.type === 'manifest'
      ? parsed.layers.find(layer => layer.mediaType === mediaTypes.helmChart)
      : undefined
  if (
    parsed.type !== 'manifest' ||
    parsed.config.mediaType !== mediaTypes.helmConfig ||
    archive === undefined
  ) {
    throw new AirgapError('UNSUPPORTED', 'there is something under that name, but no Helm chart', {
      item,
      next: 'check repo, name and version',
    })
  }
  if (archive.size > maxArchive)
    throw new AirgapError('UNSUPPORTED', `the chart is larger than ${maxArchive} bytes`, { item })
  if (request.sha256 !== undefined)
    checkDigest(archive, { sha256: request.sha256, who: 'the manifest', item })
  await context.cache.push(found.descriptor, Readable.from([found.bytes]))
  for (const blob of [parsed.config, ...parsed.layers]) {
    if (blob.size > maxArchive) continue
    await context.cache.push(blob, Readable.from([await context.registry.blob(reference, blob)]))
  }
  const metadata = await readChartArchive(await context.cache.open(archive), { name, version, item })
  const others = parsed.layers.filter(layer => layer !== archive)
  return {
    name: `${name}-${version}`,
    chart: name,
    version,
    origin: {
      type: 'oci',
      repository: `${reference.host}/${reference.repository}`,
      manifest: plain(found.descriptor),
      config: plain(parsed.config),
    },
    metadata,
    layers: [archive, ...others].map(plain),
  }
}

function plain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size }
}

async function keep(
  bytes: Buffer,
  options: { mediaType: string; context: ResolveContext },
): Promise<Descriptor> {
  const descriptor = { mediaType: options.mediaType, digest: digestOf(bytes), size: bytes.length }
  await options.context.cache.push(descriptor, Readable.from([bytes]))
  return descriptor
}

function checkDigest(descriptor: Descriptor, expected: { sha256: string; who: string; item: string }): void {
  if (descriptor.digest === digestFromHex(expected.sha256)) return
  throw new AirgapError(
    'DIGEST_MISMATCH',
    `the chart has ${descriptor.digest}, but ${expected.who} says sha256:${expected.sha256}`,
    {
      item: expected.item,
      likely: 'the archive was replaced under the same version',
      next: 'compare with what the publisher says; do not take the new checksum over unseen',
    },
  )
}

/** helm's provenance file stands beside the archive, where the publisher signs. */
async function provenanceOf(url: string, context: ResolveContext): Promise<Descriptor | undefined> {
  try {
    const { bytes } = await context.http.get(`${url}.prov`, { maxBytes: maxProvenance })
    if (!bytes.includes('-----BEGIN PGP SIGNED MESSAGE-----')) return undefined
    return await keep(bytes, { mediaType: mediaTypes.helmProvenance, context })
  } catch (error) {
    if (isErrorCode(error, 'NOT_FOUND_UPSTREAM', 'UNAUTHORIZED', 'UPSTREAM_INVALID', 'SIZE_MISMATCH'))
      return undefined
    throw error
  }
}
