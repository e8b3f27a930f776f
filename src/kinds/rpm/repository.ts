import { readFile } from 'node:fs/promises'
import { verifiedParts } from '../../content/block-digests.ts'
import { derived } from '../../content/derived.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import { fromSystemError } from '../../core/errors.ts'
import { armoredKeys } from '../../openpgp/verify.ts'
import type { ResolveContext } from '../kind.ts'
import type { ModuleDefaults, ModuleStream, PackageGroup, RpmCandidate } from './candidate.ts'
import { parseComps } from './comps.ts'
import type { RpmRepository } from './entry.ts'
import {
  elementFinder,
  elementsForm,
  filesOfPrimary,
  ownersFinder,
  ownersForm,
  pathsOf,
  readElements,
  readOwners,
} from './filelists.ts'
import { parseModules } from './modules.ts'
import { type PackageColumns, PackageTable, packageTableForm } from './package-table.ts'
import { readPrimary } from './primary.ts'
import { fetchList, fetchRepomd, listText } from './repomd.ts'
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
  const list = async (type: string): Promise<Descriptor | undefined> => {
    const entry = entries.get(type)
    return entry === undefined ? undefined : await fetchList(upstream, { entry, context })
  }
  // some publishers offer several compressions, the `_zck` and `_db` ones for dnf alone; dnf prefers `group_gz`, too
  const groupType = entries.has('group_gz') ? 'group_gz' : 'group'
  const [primary, modules, comps] = await Promise.all([list('primary'), list('modules'), list(groupType)])
  const takes = new Set(architectures.flatMap(compatibleArchitectures))
  const packages = new PackageTable(await packageColumns(primary!, { item, architectures: takes, context }), {
    repository: index,
    item,
  })
  const { streams, defaults } =
    modules === undefined
      ? { streams: [], defaults: [] }
      : parseModules(await listText(modules, context), { repository: index, item })
  const groups =
    comps === undefined ? [] : parseComps(await listText(comps, context), { repository: index, item })
  const filelists = once(() => list('filelists'))
  const elements = once(async () => {
    const descriptor = await filelists()
    if (descriptor === undefined) return undefined
    const make = async () => readElements(await context.cache.open(descriptor), item)
    const columns = await derived(context.cache, descriptor, { form: elementsForm, make })
    return { descriptor, ...elementFinder(columns, item) }
  })
  const owners = once(async () => {
    const descriptor = await filelists()
    if (descriptor === undefined) return undefined
    const make = async () => readOwners(await context.cache.open(descriptor), item)
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

async function packageColumns(
  primary: Descriptor,
  {
    item,
    architectures,
    context,
  }: { item: string; architectures: ReadonlySet<string>; context: ResolveContext },
): Promise<PackageColumns> {
  const source = { digest: primary.digest, variant: [...architectures].sort().join(' ') }
  const make = async () => readPrimary(await context.cache.open(primary), { item, architectures })
  return await derived(context.cache, source, { form: packageTableForm, make })
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
