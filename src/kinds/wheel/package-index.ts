import { type AirgapError, isErrorCode } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { withoutTrailing } from '../../core/trim.ts'
import { isLoginMissing } from '../../remote/network-errors.ts'
import type { ResolveContext } from '../kind.ts'
import { type FileContent, fileContent } from './file-content.ts'
import { type IndexFile, type ListedFile, parseProjectPage } from './index-page.ts'
import { type IndexSource, indexesFor } from './index-sources.ts'
import { type CoreMetadata, parseMetadata } from './metadata.ts'
import { type BuildSystem, readSourceDistribution, type SourceDistribution } from './source-distribution.ts'
import { parseWheelName } from './tags.ts'
import { wheelMetadata } from './wheel-metadata.ts'

/** A project as the indexes of an entry have it. */
export interface ProjectPage {
  files: ListedFile[]
  /** the index that has it; undefined: none has */
  index: IndexSource | undefined
  /** indexes that answered 401 or 403 for it and were passed over */
  refused: { index: IndexSource; error: AirgapError }[]
  /** the manifest binds the project to its indexes */
  isBound: boolean
  /** the number of indexes that may have it */
  queried: number
}

/** The indexes of one entry. Pages, metadata and files are fetched once. */
export interface PackageIndex {
  /** The project in the first index that has files of it. */
  project(project: string): Promise<ProjectPage>
  /** Other indexes that have files of a project which is bound to none. Never throws: it is only for a note. */
  others(project: string): Promise<IndexSource[]>
  /** The error of an index that answered 401 for every project, and for its own page: it lacks a login. Otherwise undefined. */
  denial(index: IndexSource): Promise<AirgapError | undefined>
  /** Core metadata, verbatim and parsed. Throws UPSTREAM_INVALID, UNSUPPORTED, DIGEST_MISMATCH. */
  metadata(file: IndexFile): Promise<{ text: string; parsed: CoreMetadata }>
  /** What building a source distribution requires. Throws UPSTREAM_INVALID, UNSUPPORTED. */
  buildSystem(file: IndexFile): Promise<BuildSystem>
  /** Fetches the file into the cache and checks it against the hashes of its page. Throws DIGEST_MISMATCH. */
  content(file: IndexFile): Promise<FileContent>
}

const maxPage = 128 << 20 /* bytes */

/** PEP 691, "Version + format selection" */
const accept = [
  'application/vnd.pypi.simple.v1+json',
  'application/vnd.pypi.simple.v1+html;q=0.2',
  'text/html;q=0.1',
].join(', ')

export function openIndex(indexes: readonly IndexSource[], context: ResolveContext): PackageIndex {
  const sourcesOf = indexesFor(indexes)
  const pages = new Map<string, Promise<ListedFile[] | AirgapError>>()
  const projects = new Map<string, Promise<ProjectPage>>()
  const known = new Map<string, Promise<{ text: string; parsed: CoreMetadata }>>()
  const sources = new Map<string, Promise<SourceDistribution>>()
  const contents = new Map<string, Promise<FileContent>>()

  const rootOf = (index: IndexSource) => `${withoutTrailing(index.url, '/')}/`
  const page = (index: IndexSource, project: string) => {
    const url = `${rootOf(index)}${project}/`
    return once(pages, url, () => projectFiles(url, context))
  }
  const sourceDistribution = (file: IndexFile) =>
    once(sources, file.url, () => readSourceDistribution(file, context))

  return {
    project: project =>
      once(projects, project, async () => {
        const { indexes: queried, isBound } = sourcesOf(project)
        const refused: ProjectPage['refused'] = []
        for (const index of queried) {
          const files = await page(index, project)
          if (!Array.isArray(files)) refused.push({ index, error: files })
          else if (files.some(isDistribution))
            return { files, index, refused, isBound, queried: queried.length }
        }
        return { files: [], index: undefined, refused, isBound, queried: queried.length }
      }),
    async others(project) {
      const { indexes: queried, isBound } = sourcesOf(project)
      if (isBound || queried.length < 2) return []
      const { index: own } = await this.project(project)
      const found = await Promise.all(
        queried.map(async index => {
          if (index === own) return []
          const files = await page(index, project).catch(() => [])
          return Array.isArray(files) && files.some(isDistribution) ? [index] : []
        }),
      )
      return found.flat()
    },
    async denial(index) {
      const own = [...pages].filter(([url]) => url.startsWith(rootOf(index)))
      for (const [, answer] of own) {
        const files = await answer.catch(() => undefined)
        if (files === undefined || Array.isArray(files) || !isLoginMissing(files)) return undefined
      }
      try {
        await context.http.size(rootOf(index))
        return undefined
      } catch (error) {
        context.signal.throwIfAborted()
        return isErrorCode(error, 'UNAUTHORIZED') && isLoginMissing(error) ? error : undefined
      }
    },
    metadata: file =>
      once(known, file.url, async () => {
        const text = parseWheelName(file.filename)
          ? await wheelMetadata(file, context)
          : (await sourceDistribution(file)).metadata
        return { text, parsed: parseMetadata(text, redactUrl(file.url)) }
      }),
    buildSystem: async file => (await sourceDistribution(file)).buildSystem,
    content: file => once(contents, file.url, () => fileContent(file, context)),
  }
}

/** Pages also link to their parent folder, and to signatures. */
function isDistribution({ filename, read }: ListedFile): boolean {
  return /\.(?:whl|tar\.(?:gz|bz2|xz)|tgz|zip|egg)$/.test(filename) && read() !== undefined
}

function once<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const found = known.get(key)
  if (found !== undefined) return found
  const made = make()
  // the caller that awaits it gets the error; without one, a failed prefetch does not matter
  made.catch(() => undefined)
  known.set(key, made)
  return made
}

/**
 * Files of a project's page; none where the index does not have it. Returns the error where the index answers 401 or 403: some servers answer
 * so for every project that they lack.
 */
async function projectFiles(url: string, { http }: ResolveContext): Promise<ListedFile[] | AirgapError> {
  try {
    const page = await http.get(url, {
      maxBytes: maxPage,
      headers: { accept },
      tooLargeIs: 'UPSTREAM_INVALID',
    })
    // a mirror answers for the index itself; only after a redirect are links relative to another address
    const isDirect = http.mirrors(url).some(place => redactUrl(place) === page.url)
    const mediaType = page.headers['content-type'] ?? ''
    return parseProjectPage(page.bytes, { url: isDirect ? url : page.url, mediaType, namedBy: page.url })
  } catch (error) {
    if (isErrorCode(error, 'UNAUTHORIZED')) return error
    if (!isErrorCode(error, 'NOT_FOUND_UPSTREAM')) throw error
    return []
  }
}
