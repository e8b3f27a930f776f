import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { aptKeyPath, type ClientFiles } from './mirror-files.ts'

/**
 * Of all client files those that are for this machine: package sources of another release would break its apt or dnf. A
 * machine whose release cannot be told gets all of its package manager; one without apt or dnf none of these.
 */
export async function clientFilesFor(files: ClientFiles, { root }: { root: string }): Promise<ClientFiles> {
  const [hasApt, hasDnf] = [
    await isFolder(join(root, 'etc/apt')),
    await isFolder(join(root, 'etc/yum.repos.d')),
  ]
  const release = await releaseOf(root)
  const isMeant = (path: string, text: string): boolean => {
    const source = /^etc\/(apt\/sources\.list\.d|yum\.repos\.d)\/airgap-(.*)\.(?:sources|repo)$/.exec(path)
    if (source === null) return true
    if (source[1] === 'yum.repos.d') return hasDnf && isOfMajor(source[2]!, release.major)
    return (
      hasApt &&
      (release.codename === undefined || suitesOf(text).some(suite => isOf(suite, release.codename!)))
    )
  }
  const meant = [...files].filter(([path, text]) => isMeant(path, text))
  const sources = meant.filter(([path]) => path.startsWith('etc/apt/sources.list.d/'))
  const repositories = meant.filter(([path]) => path.startsWith('etc/yum.repos.d/'))
  const isUsed = (path: string): boolean => {
    if (path === aptKeyPath) return sources.length > 0
    if (!path.startsWith('etc/pki/rpm-gpg/')) return true
    return repositories.some(([, text]) => text.split(/\s+/).some(word => word.endsWith(`file:///${path}`)))
  }
  return new Map(meant.filter(([path]) => isUsed(path)))
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    found => found.isDirectory(),
    () => false,
  )
}

interface Release {
  /** `bookworm` */
  codename?: string
  /** `9` of `9.4` */
  major?: string
}

/** os-release(5) */
async function releaseOf(root: string): Promise<Release> {
  for (const path of ['etc/os-release', 'usr/lib/os-release']) {
    const text = await readFile(join(root, path), 'utf8').catch(() => undefined)
    if (text === undefined) continue
    const codename = /^VERSION_CODENAME=["']?([a-z0-9-]+)["']?\s*$/m.exec(text)?.[1]
    const major = /^VERSION_ID=["']?([0-9]+)[0-9.]*["']?\s*$/m.exec(text)?.[1]
    return { ...(codename === undefined ? {} : { codename }), ...(major === undefined ? {} : { major }) }
  }
  return {}
}

function suitesOf(source: string): string[] {
  return [...source.matchAll(/^Suites: (.*)$/gm)].flatMap(match => match[1]?.split(' ') ?? [])
}

/** `bookworm`, `bookworm-updates`, `bookworm/updates`; a suite by another name (`stable`, `/`) fits any release. */
function isOf(suite: string, codename: string): boolean {
  const word = suite.split(/[-/]/)[0] ?? ''
  return word === codename || ['stable', 'testing', 'unstable', 'oldstable', ''].includes(word)
}

/** `el9`, `rocky-9`, `rhel-9.4` are of 9; a name without a number cannot be told and is taken. */
function isOfMajor(name: string, major: string | undefined): boolean {
  const named = /([0-9]+)(?:\.[0-9]+)?$/.exec(name)?.[1]
  return named === undefined || major === undefined || named === major
}
