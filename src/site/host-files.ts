import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readOsRelease } from '../probe/os-release.ts'
import { repositoryFor } from '../probe/repository-name.ts'
import type { ClientFile } from './client-files.ts'

/**
 * Returns the client files for the machine whose root is `root`: package sources of another release would break its apt or
 * dnf, so it gets those of its own release only, with the keys that they name.
 */
export async function filesForHost(
  files: readonly ClientFile[],
  { root }: { root: string },
): Promise<ClientFile[]> {
  const [release, hasApt, hasDnf] = await Promise.all([
    readOsRelease(root),
    isFolder(join(root, 'etc/apt')),
    isFolder(join(root, 'etc/yum.repos.d')),
  ])
  const repositoryOf = (kind: 'apt-sources' | 'yum-repo'): string | undefined => {
    const names = files.flatMap(file => (file.kind === kind ? [file.repository] : []))
    return release && repositoryFor(release, names)
  }
  const apt = hasApt ? repositoryOf('apt-sources') : undefined
  const dnf = hasDnf ? repositoryOf('yum-repo') : undefined
  return files.filter(file => isMeant(file, { apt, dnf }))
}

/** `apt`, `dnf`: the repository that this machine uses, if any. */
function isMeant(file: ClientFile, { apt, dnf }: Record<'apt' | 'dnf', string | undefined>): boolean {
  switch (file.kind) {
    case 'apt-sources':
      return file.repository === apt
    case 'yum-repo':
    case 'publisher-key':
      return file.repository === dnf
    case 'site-key':
      return (file.usedBy === 'apt' ? apt : dnf) !== undefined
    case 'containerd-host':
    case 'pip-conf':
      return true
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    found => found.isDirectory(),
    () => false,
  )
}
