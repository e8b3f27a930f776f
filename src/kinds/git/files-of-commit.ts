import { AirgapError } from '../../core/errors.ts'
import { gitOutput } from './run-git.ts'
import { shownUrl } from './url.ts'

/** An entry of a commit's trees. */
export interface CommitFile {
  /** octal, as git has it: `100644`, `120000` (a link), `160000` (a submodule) */
  mode: string
  id: string
  path: string
}

interface Place {
  /** a bare repository */
  repository: string
  url: string
  signal: AbortSignal
}

/**
 * Lists files, links and submodules of a commit. Throws UPSTREAM_INVALID for what would harm a client that checks the commit out:
 * paths into `.git` or out of the folder, and a link that another path differs from by case alone (CVE-2021-21300,
 * CVE-2024-32002).
 */
export async function filesOfCommit(commit: string, place: Place): Promise<CommitFile[]> {
  const { repository, url, signal } = place
  const output = await gitOutput(
    { args: ['ls-tree', '-r', '-z', '--full-tree', commit], repository, signal },
    1 << 30,
  )
  const files: CommitFile[] = []
  for (const record of output.toString('utf8').split('\0')) {
    const [, mode, id, path] = /^([0-7]{6}) [a-z]+ ([0-9a-f]{40})\t(.*)$/s.exec(record) ?? []
    if (mode === undefined || id === undefined || path === undefined) continue
    if (path.split('/').some(isHostileName))
      throw hostile('a path that leads into .git or out of the folder', path, url)
    files.push({ mode, id, path })
  }
  refuseCaseCollisions(files, url)
  return files
}

/** `.git` in the spellings that a file system may read it in (NTFS: `.git ` and `git~1`; HFS+: invisible characters). */
function isHostileName(name: string): boolean {
  const plain = name.replace(/[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g, '').toLowerCase()
  return (
    plain === '' ||
    plain === '.' ||
    plain === '..' ||
    /^(?:\.git|git~1)[ .]*(?::.*)?$/.test(plain) ||
    /\\/.test(name)
  )
}

/** Where a link and a folder become one on a file system without case, files are written through the link. */
function refuseCaseCollisions(files: readonly CommitFile[], url: string): void {
  const links = new Map(
    files.filter(({ mode }) => mode === '120000').map(({ path }) => [path.toLowerCase(), path]),
  )
  if (links.size === 0) return
  for (const { path } of files) {
    const parts = path.split('/')
    for (let depth = 1; depth <= parts.length; depth++) {
      const above = parts.slice(0, depth).join('/')
      const link = links.get(above.toLowerCase())
      if (link !== undefined && link !== above)
        throw hostile(
          `a link that differs from another path by case alone (${JSON.stringify(link)})`,
          path,
          url,
        )
    }
  }
}

/** Throws UPSTREAM_INVALID for a link into `.git`: what is written through it would be run as a hook. */
export function checkLink(path: string, target: string, url: string): void {
  if (target.split('/').some(part => isHostileName(part) && !/^\.{0,2}$/.test(part)))
    throw hostile(`a link into .git (→ ${target.slice(0, 200)})`, path, url)
}

function hostile(what: string, path: string, url: string): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the repository contains ${what}`, {
    item: `${shownUrl(url)}: ${JSON.stringify(path.slice(0, 300))}`,
    likely: 'a malicious repository: it would run programs on machines that clone it',
    next: 'do not use this repository',
  })
}
