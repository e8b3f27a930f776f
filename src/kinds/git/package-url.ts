import { packageUrl } from '../../core/package-url.ts'
import type { LockedRepository } from './locked.ts'

/** `pkg:github/owner/repo@COMMIT`; of other hosts `pkg:generic/NAME@COMMIT?vcs_url=git+URL@COMMIT` (SPDX download location). */
export function packageUrlOf({ name, url, commit }: LockedRepository): string {
  const [, owner, repository] =
    /^(?:https?:\/\/|ssh:\/\/git@|git@)github\.com[/:]([^/]+)\/([^/]+?)(?:\.git)?\/?$/.exec(url) ?? []
  if (owner !== undefined && repository !== undefined)
    return packageUrl('github', [owner, repository], { version: commit })
  // git@host:path is not a URL
  const scp = /^(?:[^/@]+@)?([^/:]+):(?!\/\/)(.*)$/.exec(url)
  const address = scp === null ? url : `ssh://${scp[1]}/${scp[2]}`
  const location = `git+${address.replace(/\/\/[^/@]*@/, '//')}@${commit}`
  return packageUrl('generic', [name.split('/').at(-1)!], { version: commit, vcs_url: location })
}

/** The host that a repository comes from; undefined for a folder of this machine. */
export function hostOf(url: string): string | undefined {
  return /^(?:[a-z+]+:\/\/)?(?:[^/@]*@)?([A-Za-z0-9.-]+|\[[0-9a-f:]+\])[:/]/.exec(url)?.[1]
}
