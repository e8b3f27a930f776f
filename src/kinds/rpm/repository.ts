import { readFile } from 'node:fs/promises'
import { verifiedParts } from '../../content/block-digests.ts'
import { derived } from '../../content/derived.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import type { Digest } from '../../core/digest.ts'
import { fromSystemError } from '../../core/errors.ts'
import { armoredKeys } from '../../openpgp/verify.ts'
import type { ResolveContext } from '../kind.ts'
import type { ModuleDefaults, ModuleStream, PackageGroup, RpmCandidate } from './candidate.ts'
import { parseComps } from './comps.ts'
import type { RpmRepository } from './entry.ts'
import {
  ElementsReader,
  elementFinder,
  elementsForm,
  filesOfPrimary,
  OwnersReader,
  ownersFinder,
  ownersForm,
  pathsOf,
} from './filelists.ts'
import { parseModules } from './modules.ts'
import { PackageTable, packageTableForm } from './package-table.ts'
import { PrimaryReader } from './primary.ts'
import { fetchList, fetchRepomd, type ListReader, listText } from './repomd.ts'
import { compatibleArchitectures } from './universe.ts'
import { type Upstream, upstreamOf } from './upstream.ts'

/** A repository whose metadata signature was checked. */
export interface LoadedRepository {
  packages: PackageTable
  modules: ModuleStream[]
  defaults: ModuleDefaults[]
  groups: PackageGroup[]
  upstream: Upstream
  /** fingerprint of the key that signed repomd.xml; undefined where nobody did */
  signedBy: string | undefined
  /** digest of the unpacked primary.xml */
  list: Digest
  /** public keys of its publisher, armored */
  keys: string[]
  /** which packages contain these files, according to filelists */
  ownersOf(paths: ReadonlySet<string>): Promise<Map<string, RpmCandidate[]>>
  /** `<package …>…</package>` of primary.xml and of filelists.xml, verbatim; the latter made of the former where the list does not have it */
  fragments(
    candidates: readonly RpmCandidate[],
  ): Promise<Map<RpmCandidate, { primary: string; filelists: string }>>
}

/**
 * Reads one repository. `index` is its position among the request's repositories. Throws SIGNATURE_INVALID,
 * DIGEST_MISMATCH, UPSTREAM_INVALID.
 */
export async function loadRepository(
  repository: RpmRepository,
  { index, at, architectures }: { index: number; at: string; architectures: readonly string[] },
  context: ResolveContext,
): Promise<LoadedRepository> {
  const listed = await upstreamOf(repository, context)
  const { name: item } = listed
  const { entries, signedBy, base } = await fetchRepomd(listed, { repository, at, context })
  // the other mirrors may be older or newer
  const upstream = { ...listed, bases: [base, ...listed.bases.filter(other => other !== base)] }
  const list = async (type: string, each?: ListReader): Promise<Descriptor | undefined> => {
    const entry = entries.get(type)
    return entry === undefined ? undefined : await fetchList(upstream, { entry, each, context })
  }
  // some publishers offer several compressions, the `_zck` and `_db` ones for dnf alone; dnf prefers `group_gz`, too
  const groupType = entries.has('group_gz') ? 'group_gz' : 'group'
  const architecturesTaken = new Set(architectures.flatMap(compatibleArchitectures))
  const primaryReader = passedOn(() => new PrimaryReader({ item, architectures: architecturesTaken }))
  const elementsReader = passedOn(() => new ElementsReader(item))
  const filelists = once(() => list('filelists', elementsReader))
  const lists = [list('primary', primaryReader), list('modules'), list(groupType)] as const
  // unpacked while primary.xml is read; that it cannot be had only counts where it is needed
  await Promise.allSettled([...lists, filelists()])
  const [primary, modules, comps] = await Promise.all(lists)
  const columns = await derived(
    context.cache,
    { digest: primary!.digest, variant: [...architecturesTaken].sort().join(' ') },
    { form: packageTableForm, make: () => primaryReader.columns(primary!, context) },
  )
  const packages = new PackageTable(columns, { repository: index, item })
  const { streams, defaults } =
    modules === undefined
      ? { streams: [], defaults: [] }
      : parseModules(await listText(modules, context), { repository: index, item })
  const groups =
    comps === undefined ? [] : parseComps(await listText(comps, context), { repository: index, item })
  const elements = once(async () => {
    const descriptor = await filelists()
    if (descriptor === undefined) return undefined
    const make = () => elementsReader.columns(descriptor, context)
    const columns = await derived(context.cache, descriptor, { form: elementsForm, make })
    return { descriptor, ...elementFinder(columns, item) }
  })
  const owners = once(async () => {
    const descriptor = await filelists()
    if (descriptor === undefined) return undefined
    const make = () => passedOn(() => new OwnersReader(item)).columns(descriptor, context)
    return ownersFinder(await derived(context.cache, descriptor, { form: ownersForm, make }), item)
  })
  /** the elements of filelists.xml; undefined for packages that it does not have */
  const filesOf = async (checksums: readonly string[]): Promise<(Buffer | undefined)[]> => {
    const found = checksums.length === 0 ? undefined : await elements()
    if (found === undefined) return checksums.map(() => undefined)
    const places = checksums.map(found.find)
    const ranges = places.filter(place => place !== undefined)
    const { descriptor, blocks: digests } = found
    const parts = await verifiedParts(context.cache, descriptor, { ranges, digests })
    return places.map(place => (place === undefined ? undefined : parts.shift()))
  }
  return {
    packages,
    modules: streams,
    defaults,
    groups,
    upstream,
    signedBy,
    list: primary!.digest,
    keys: await publicKeys(repository.keys),
    async ownersOf(paths) {
      const find = await owners()
      if (find === undefined) return new Map()
      const mayOwn = [...new Set([...paths].flatMap(find))].flatMap(checksum => {
        const candidate = packages.withChecksum(checksum)
        return candidate === undefined ? [] : [{ checksum, candidate }]
      })
      const texts = await filesOf(mayOwn.map(({ checksum }) => checksum))
      const found = new Map<string, RpmCandidate[]>()
      for (const [i, { candidate }] of mayOwn.entries()) {
        for (const path of texts[i] === undefined ? [] : pathsOf(texts[i], item)) {
          if (!paths.has(path)) continue
          const others = found.get(path)
          if (others) others.push(candidate)
          else found.set(path, [candidate])
        }
      }
      return found
    },
    async fragments(candidates) {
      const ranges = candidates.map(({ primary: { offset, length } }) => ({
        start: offset,
        end: offset + length,
      }))
      const texts = await verifiedParts(context.cache, primary!, { ranges, digests: packages.blocks })
      const files = await filesOf(candidates.map(one => one.checksum.hex))
      return new Map(
        candidates.map((candidate, i) => {
          const text = texts[i]!.toString('utf8')
          // dnf needs no list of files; some publishers have none, or one that lacks packages
          return [
            candidate,
            { primary: text, filelists: files[i]?.toString('utf8') ?? filesOfPrimary(text, candidate) },
          ] as const
        }),
      )
    },
  }
}

/** Reads a list while it is fetched, or from the cache where it was fetched before. */
function passedOn<Columns>(
  start: () => ListReader & { columns(): Columns },
): ListReader & { columns(list: Descriptor, context: ResolveContext): Promise<Columns> } {
  let reader: ReturnType<typeof start> | undefined
  return {
    write: chunk => (reader ??= start()).write(chunk),
    async columns(list, { cache }) {
      if (reader !== undefined) return reader.columns()
      reader = start()
      for await (const chunk of (await cache.open(list)) as AsyncIterable<Buffer>) reader.write(chunk)
      return reader.columns()
    },
  }
}

/** Remembers what is asked for several times. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}

async function publicKeys(paths: readonly string[]): Promise<string[]> {
  const texts = await Promise.all(
    paths.map(async path => {
      try {
        return await armoredKeys(await readFile(path), path)
      } catch (error) {
        throw fromSystemError(error, path)
      }
    }),
  )
  return texts.flat()
}
