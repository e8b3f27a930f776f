import { AirgapError } from '../../core/errors.ts'
import { withoutTrailing } from '../../core/trim.ts'
import type { CommitFile } from './files-of-commit.ts'
import { gitOutput } from './run-git.ts'
import { checkGitUrl, relativeTo, resolveSubmoduleUrl, shownUrl } from './url.ts'

export interface Submodule {
  /** folder in the repository that contains it */
  path: string
  commit: string
  url: string
  /** path under /git at which clients look for it, where its address is relative; else one below the repository's own */
  name: string
  /** address of the repository that contains it */
  namedBy: string
}

interface Parent {
  /** a bare repository */
  repository: string
  url: string
  /** path under /git */
  name: string
  at: string
  signal: AbortSignal
}

/** Returns the submodules of a commit with their addresses. Throws UPSTREAM_INVALID, UNSUPPORTED for one that cannot be followed. */
export async function submodulesOf(files: readonly CommitFile[], parent: Parent): Promise<Submodule[]> {
  const links = files.filter(({ mode }) => mode === '160000')
  if (links.length === 0) return []
  const settings = files.find(({ path, mode }) => path === '.gitmodules' && mode.startsWith('1006'))
  const urls = settings === undefined ? new Map<string, string>() : await readGitmodules(settings.id, parent)
  return links.map(({ path, id: commit }) => {
    const written = urls.get(path)
    if (written === undefined) throw invalid('a submodule has no address in .gitmodules', path, parent)
    const where = `${shownUrl(parent.url)}: submodule ${JSON.stringify(path.slice(0, 200))}`
    const url = resolveSubmoduleUrl(parent.url, written)
    if (url === undefined)
      throw invalid(`the address of a submodule leads nowhere (${shownUrl(written)})`, path, parent)
    checkGitUrl(url, {
      where,
      code: 'UPSTREAM_INVALID',
      file: parent.url.startsWith('file:') ? 'allowed' : 'refused',
    })
    return { path, commit, url, name: servedName(path, written, parent), namedBy: parent.url }
  })
}

/** `git config` reads .gitmodules as clients do. */
async function readGitmodules(id: string, parent: Parent): Promise<Map<string, string>> {
  const { repository, signal } = parent
  const args = ['config', '--blob', id, '--null', '--list']
  const text = (await gitOutput({ args, repository, signal }, 4 << 20)).toString('utf8')
  const sections = new Map<string, { path?: string; url?: string }>()
  for (const record of text.split('\0')) {
    const [, name, key, value] = /^submodule\.(.+)\.(path|url)\n(.*)$/s.exec(record) ?? []
    if (name === undefined || key === undefined || value === undefined) continue
    sections.set(name, { ...sections.get(name), [key]: value })
  }
  return new Map(
    [...sections.values()].flatMap(({ path, url }) =>
      path === undefined || url === undefined ? [] : [[withoutTrailing(path, '/'), url] as const],
    ),
  )
}

/** A client resolves a relative address against http://SITE/git/NAME: that is where the submodule has to be. */
function servedName(path: string, url: string, parent: Parent): string {
  if (!/^\.\.?\//.test(url)) return `${parent.name}.modules/${path}`
  const parts = relativeTo(['git', ...parent.name.split('/')], url.replace(/\.git\/*$/, ''))
  if (parts !== undefined && parts[0] === 'git' && parts.length > 1) return parts.slice(1).join('/')
  throw new AirgapError('UNSUPPORTED', 'the relative URL of a submodule points outside /git on the site', {
    item: `${shownUrl(parent.url)} (${parent.at}): ${JSON.stringify(path.slice(0, 200))} → ${shownUrl(url)}`,
    likely: `the URL goes up more levels than the name ${parent.name} has`,
    next: 'give the repository a name with as many path components as the upstream URL, for example `name: organization/repository`',
  })
}

export function submodulesRefused(
  files: readonly CommitFile[],
  { url, at }: { url: string; at: string },
): void {
  const links = files
    .filter(({ mode }) => mode === '160000')
    .map(({ path }) => JSON.stringify(path.slice(0, 200)))
  if (links.length === 0) return
  throw new AirgapError(
    'UNSUPPORTED',
    `the repository has ${links.length} submodules, which the manifest does not follow`,
    {
      item: `${shownUrl(url)} (${at}): ${links.slice(0, 5).join(', ')}${links.length > 5 ? ', …' : ''}`,
      likely: 'the files of a submodule are in another repository',
      next: 'write `submodules: follow` to carry them as repositories of their own',
    },
  )
}

function invalid(what: string, path: string, { url }: Parent): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', what, {
    item: `${shownUrl(url)}: ${JSON.stringify(path.slice(0, 200))}`,
    likely: 'a commit that was not made with `git submodule add`',
    next: 'name another commit, or report it to the owner of the repository',
  })
}
