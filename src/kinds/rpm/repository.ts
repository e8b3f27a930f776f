import { readFile } from 'node:fs/promises'
import type { Descriptor } from '../../core/descriptor.ts'
import { fromSystemError } from '../../core/errors.ts'
import { armoredKeys } from '../../openpgp/verify.ts'
import type { ResolveContext } from '../kind.ts'
import type { ModuleDefaults, ModuleStream, PackageGroup, RpmCandidate } from './candidate.ts'
import { parseComps } from './comps.ts'
import type { RpmRepository } from './entry.ts'
import { filesOfPrimary, readFilelists } from './filelists.ts'
import { parseModules } from './modules.ts'
import { readPrimary } from './primary.ts'
import { fetchList, fetchRepomd, listText } from './repomd.ts'
import { compatibleArchitectures } from './universe.ts'
import { type Upstream, upstreamOf } from './upstream.ts'

const maxFragment = 16 << 20 /* bytes */

/** A repository whose metadata signature was checked. */
export interface LoadedRepository {
  packages: RpmCandidate[]
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
  const packages = await readPrimary(primary!, { repository: index, item, architectures: takes, context })
  const { streams, defaults } =
    modules === undefined
      ? { streams: [], defaults: [] }
      : parseModules(await listText(modules, context), { repository: index, item })
  const groups =
    comps === undefined ? [] : parseComps(await listText(comps, context), { repository: index, item })
  const byChecksum = new Map(packages.map(one => [one.checksum.hex, one]))
  return {
    packages,
    modules: streams,
    defaults,
    groups,
    upstream,
    signedBy,
    keys: await publicKeys(repository.keys),
    async ownersOf(paths) {
      const descriptor = await list('filelists')
      if (descriptor === undefined) return new Map()
      return (
        await readFilelists(descriptor, {
          item,
          candidates: byChecksum,
          paths,
          fragments: new Set(),
          context,
        })
      ).files
    },
    async fragments(candidates) {
      const fragments = new Set(candidates.map(one => one.checksum.hex))
      const descriptor = fragments.size === 0 ? undefined : await list('filelists')
      const found =
        descriptor === undefined
          ? undefined
          : await readFilelists(descriptor, {
              item,
              candidates: byChecksum,
              paths: new Set(),
              fragments,
              context,
            })
      const ranges = candidates.map(({ primary: { offset, length } }) => ({
        start: offset,
        end: offset + Math.min(length, maxFragment),
      }))
      const texts = candidates.length === 0 ? [] : await context.cache.parts(primary!, ranges)
      return new Map(
        candidates.map((candidate, i) => {
          const text = texts[i]!.toString('utf8')
          // dnf needs no list of files; some publishers have none, or one that lacks packages
          const files = found?.fragments.get(candidate.checksum.hex) ?? filesOfPrimary(text, candidate)
          return [candidate, { primary: text, filelists: files }] as const
        }),
      )
    },
  }
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
