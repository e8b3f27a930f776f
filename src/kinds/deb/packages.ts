import { derived } from '../../content/derived.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import type { LeftOut } from '../../lock/left-out.ts'
import type { ResolveContext } from '../kind.ts'
import { isFlat } from './flat.ts'
import { fetchIndex, indexName, isListed } from './index-file.ts'
import { PackageList } from './package-list.ts'
import { type PackageTable, PackageTableBuilder, packageTableForm } from './package-table.ts'
import { type Release, type SuiteRequest, suiteUrl } from './release.ts'

export interface SuitePackages {
  /** one for each index */
  lists: PackageList[]
  /** indexes that the manifest asks for and that the suite does not have, by their addresses */
  missing: LeftOut[]
  /** whether the suite has any index for the architecture, or says that there is nothing for it yet */
  isServed: boolean
}

/**
 * Returns all packages that a machine of `architecture` can install from the suite, as those of the request's `source`. Like apt, skips the indexes of a component
 * or an architecture that the suite does not have (pkgAcqMetaClearSig::QueueIndexes).
 */
export async function readPackages(
  request: SuiteRequest,
  { release, architecture, source = 0 }: { release: Release; architecture: string; source?: number },
  context: ResolveContext,
): Promise<SuitePackages> {
  const found: SuitePackages = { lists: [], missing: [], isServed: false }
  if (isFlat(request.suite)) {
    if (isListed(release, '')) await read('', '')
    else
      found.missing.push({
        name: `${suiteUrl(request)}/Packages`,
        reason: 'its Release file does not list it',
      })
    return found
  }
  for (const component of request.components) {
    const folders = [`${component}/binary-${architecture}`]
    // a suite with `Architectures: all` has binary-all alone
    if (release.separateAll) folders.push(`${component}/binary-all`)
    const listed = folders.filter(folder => isListed(release, folder))
    for (const folder of listed) await read(folder, component)
    if (listed.length > 0) continue
    const reason = whyMissing(release, { component, architecture })
    if (reason === undefined) found.isServed = true
    else found.missing.push({ name: `${suiteUrl(request)}/${folders[0]}/Packages`, reason })
  }
  return found

  async function read(folder: string, component: string): Promise<void> {
    const index = await fetchIndex(request, { folder, release }, context)
    found.isServed = true
    const table = await tableOf(index, { item: indexName(request, folder), architecture }, context)
    found.lists.push(new PackageList(table, { source, component, index, architecture }))
  }
}

/** The digest of the index is in the signed Release file, or was computed of the verified file that is. */
async function tableOf(
  index: Descriptor,
  options: { item: string; architecture: string },
  { cache }: ResolveContext,
): Promise<PackageTable> {
  const source = { digest: index.digest, variant: options.architecture }
  return await derived(cache, source, {
    form: packageTableForm,
    async make() {
      const builder = new PackageTableBuilder(options)
      for await (const chunk of (await cache.open(index)) as AsyncIterable<Uint8Array>) builder.read(chunk)
      return builder.end()
    },
  })
}

/** Undefined for a component that is only empty for this architecture: apt takes that for an empty index. */
function whyMissing(
  { components, architectures }: Release,
  { component, architecture }: { component: string; architecture: string },
): string | undefined {
  // security.debian.org lists `updates/main` for the component `main`
  const isKnown = components.some(known => known === component || known.endsWith(`/${component}`))
  const list = (words: string[]) => words.join(', ') || '(none)'
  if (!isKnown) return `the suite has no component ${component}, only ${list(components)}`
  if (architectures.includes(architecture)) return undefined
  return `the suite has nothing for ${architecture}, only for ${list(architectures)}`
}
