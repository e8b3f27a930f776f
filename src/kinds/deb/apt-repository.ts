import type { TreeEntries } from '../../content/tree.ts'
import { compareText } from '../../core/canonical-json.ts'
import { hexOf } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { encodePath } from '../../core/safe-path.ts'
import { withoutTrailing } from '../../core/trim.ts'
import type { Signer } from '../mount.ts'

/** What apt needs besides the files of a `debs/NAME` tree. */
export interface AptRepository {
  suites: AptSuite[]
  /** path in the tree → content: Release, InRelease and Release.gpg of each suite */
  files: Map<string, Buffer>
}

export interface AptSuite {
  /** folder of the archive in the tree, '' or with a slash at its end */
  root: string
  /** `/` where the repository is flat */
  suite: string
  /** none where the repository is flat */
  components: string[]
  architectures: string[]
}

interface Index {
  root: string
  suite: string
  /** undefined where the repository is flat */
  component?: string
  architecture?: string
  /** relative to the folder of the Release file */
  path: string
  sha256: string
  size: number
}

/**
 * Generates and signs the Release files of the Packages files that a bundle carries. Reads no file but upstream's own fields
 * (`Release.upstream`): the table of the tree has every size and SHA-256. There is no Valid-Until, as nobody renews a closed
 * site. Throws BUNDLE_CORRUPT.
 */
export async function aptRepository(
  entries: TreeEntries,
  options: { key: Signer; now: Date; textOf: (path: string) => Promise<string> },
): Promise<AptRepository> {
  const indexes = indexesOf(entries)
  const repository: AptRepository = { suites: [], files: new Map() }
  const folders = new Map(indexes.map(index => [folderOf(index), index]))
  for (const [folder, { root, suite }] of [...folders].sort(([a], [b]) => compareText(a, b))) {
    const own = indexes.filter(index => index.root === root && index.suite === suite)
    const described: AptSuite = {
      root,
      suite,
      components: sortedWords(own.map(index => index.component)),
      architectures: sortedWords(own.map(index => index.architecture)),
    }
    repository.suites.push(described)
    const upstream = entries.has(`${folder}Release.upstream`)
      ? await options.textOf(`${folder}Release.upstream`)
      : ''
    const text = releaseText(described, { indexes: own, date: options.now, upstream })
    repository.files.set(`${folder}Release`, Buffer.from(text))
    repository.files.set(`${folder}Release.gpg`, Buffer.from(await options.key.detachSign(text)))
    repository.files.set(`${folder}InRelease`, Buffer.from(await options.key.clearSign(text)))
  }
  return repository
}

/** What a flat repository's client file names: sources.list(5) has no suite there. */
const flatSuite = '/'

function folderOf({ root, suite }: Index): string {
  return suite === flatSuite ? root : `${root}dists/${suite}/`
}

/** Returns the Packages files of the tree, each with the folder of its archive, to which the paths in it are relative. */
export function packageLists(entries: TreeEntries): { path: string; root: string }[] {
  return indexesOf(entries).map(index => ({ path: `${folderOf(index)}${index.path}`, root: index.root }))
}

function indexesOf(entries: TreeEntries): Index[] {
  const indexes: Index[] = []
  for (const [path, { descriptor }] of entries) {
    if (path !== 'Packages' && !path.endsWith('/Packages')) continue
    const place = placeOf(path, entries)
    if (place !== undefined)
      indexes.push({ ...place, sha256: hexOf(descriptor.digest), size: descriptor.size })
  }
  return indexes
}

/**
 * The suite that a Packages file belongs to; undefined for a package of that name. The builder writes `Release.upstream` into
 * the folder of each suite. Only that distinguishes the suite `stable/updates` with the component `main` from the suite
 * `stable` with the component `updates/main`.
 */
function placeOf(path: string, entries: TreeEntries): Omit<Index, 'sha256' | 'size'> | undefined {
  const folder = path.slice(0, -'Packages'.length)
  const marked = ancestorsOf(folder).find(above => entries.has(`${above}Release.upstream`))
  if (marked === folder) return flatIndex(folder)
  // a bundle without these files: the last part of the path is the component
  const suiteFolder = marked ?? /^(?:.*\/)?dists\/.+\/(?=[^/]+\/binary-[^/]+\/$)/.exec(folder)?.[0]
  if (suiteFolder === undefined) return flatIndex(folder)
  const [, root, suite] = /^((?:.*\/)?)dists\/(.+)\/$/.exec(suiteFolder) ?? []
  const [, component, architecture] = /^(.+)\/binary-([^/]+)\/$/.exec(folder.slice(suiteFolder.length)) ?? []
  if (root === undefined || suite === undefined || component === undefined || architecture === undefined)
    return undefined
  // each is a word of a list in the Release file and in the client's file
  if (/\s/.test(path.slice(root.length))) {
    throw new AirgapError('BUNDLE_CORRUPT', 'a suite, component or architecture has a blank in its name', {
      item: JSON.stringify(path.slice(0, 300)),
      likely: 'the bundle was made by another tool or version',
      next: 'run `airgap verify` on the bundle, and serve it with the version that made it',
    })
  }
  return { root, suite, component, architecture, path: path.slice(suiteFolder.length) }
}

function flatIndex(folder: string): Omit<Index, 'sha256' | 'size'> {
  return { root: folder, suite: flatSuite, path: 'Packages' }
}

/** `a/b/` → `a/b/`, `a/`, '' */
function ancestorsOf(folder: string): string[] {
  const parts = folder.split('/').slice(0, -1)
  return [...parts.keys(), parts.length].reverse().map(length =>
    parts
      .slice(0, length)
      .map(part => `${part}/`)
      .join(''),
  )
}

/** Fields that pins and apt's own preferences depend on: repeated from upstream's Release file. */
const repeated = ['Origin', 'Label', 'Suite', 'Codename', 'Version', 'NotAutomatic', 'ButAutomaticUpgrades']

/** Debian repository format, "Release files". */
function releaseText(
  { suite, components, architectures }: AptSuite,
  { indexes, date, upstream }: { indexes: Index[]; date: Date; upstream: string },
): string {
  const said = new Map(
    upstream.split('\n').flatMap(line => {
      const [, name, value] = /^([A-Za-z]+): (.+)$/.exec(line) ?? []
      return name !== undefined && repeated.includes(name) ? [[name, value!] as const] : []
    }),
  )
  const defaults = components.length > 0 ? { Suite: suite, Codename: suite } : {}
  const fields = new Map([
    ...Object.entries({ Origin: 'airgap site', Label: 'airgap site', ...defaults }),
    ...said,
  ])
  const sums = [...indexes]
    .sort((a, b) => compareText(a.path, b.path))
    .map(index => ` ${index.sha256} ${index.size} ${index.path}`)
  return `${[
    ...[...fields].map(([name, value]) => `${name}: ${value}`),
    `Date: ${date.toUTCString().replace('GMT', 'UTC')}`,
    ...(architectures.length > 0 ? [`Architectures: ${architectures.join(' ')}`] : []),
    ...(components.length > 0 ? [`Components: ${components.join(' ')}`] : []),
    // packages for all architectures are in the index of each architecture
    'No-Support-for-Architecture-all: Packages',
    'SHA256:',
    ...sums,
  ].join('\n')}\n`
}

export interface AptSourcesOptions {
  /** of the tree: `debian-12` of `debs/debian-12` */
  name: string
  /** of the site's HTTP server: http://10.0.0.1:8080 */
  baseUrl: string
  suites: readonly AptSuite[]
  /** path of the site's public key on the machine: /etc/apt/keyrings/airgap-site.asc */
  signedBy: string
}

/** The client's file in /etc/apt/sources.list.d: deb822 of sources.list(5), which apt reads since 1.1. */
export function aptSources({ name, baseUrl, suites, signedBy }: AptSourcesOptions): string {
  for (const value of [name, baseUrl, signedBy]) {
    if (!/[\s\u0000-\u001f\u007f]/.test(value) && value !== '') continue
    throw new AirgapError('USAGE', 'an apt source cannot contain an empty value or one with blanks', {
      item: JSON.stringify(value.slice(0, 300)),
      next: 'pass the address as http://host:port and the key as a path without blanks',
    })
  }
  return suites
    .map(({ root, suite, components, architectures }) => {
      // a list of words: a blank in a path is escaped; what people know by sight stays (core:/stable:)
      const path = encodePath(root).replaceAll('%3A', ':').replaceAll('%2B', '+')
      return [
        'Types: deb',
        `URIs: ${withoutTrailing(baseUrl, '/')}/debs/${name}/${path}`.replace(/\/$/, ''),
        `Suites: ${suite}`,
        ...(components.length > 0 ? [`Components: ${components.join(' ')}`] : []),
        ...(architectures.length > 0 ? [`Architectures: ${architectures.join(' ')}`] : []),
        `Signed-By: ${signedBy}`,
        // clocks of a closed site run apart, and a node behind would refuse the Release as not yet valid; the signature stays checked
        'Check-Date: no',
        '',
      ].join('\n')
    })
    .join('\n')
}

function sortedWords(words: (string | undefined)[]): string[] {
  return [...new Set(words.filter(word => word !== undefined))].sort(compareText)
}
