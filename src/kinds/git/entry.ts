import { z } from 'zod'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { distinctRequests } from '../../document/distinct.ts'
import { textField } from '../../document/fields.ts'
import type { Mistakes } from '../../document/mistakes.ts'
import { type DeclaredSecret, declaredSecretsField } from '../declared-secrets.ts'
import { manifestEntry } from '../entry.ts'
import { parseRef, type RequestedRef } from './ref.ts'
import { checkGitUrl, shownUrl } from './url.ts'

export interface GitRequest {
  at: string
  /** path under /git: `charts`, `team/charts` */
  name: string
  url: string
  ref: RequestedRef
  history: 'shallow' | 'full'
  submodules: 'refuse' | 'follow'
  lfs: 'refuse' | 'pointers'
  /** files that look like secrets and are carried nevertheless; absent: none */
  secrets?: DeclaredSecret[]
}

const nameField = z
  .string()
  .regex(
    /^(?=.{1,200}$)[a-z0-9][a-z0-9._-]*(?:\/[a-z0-9][a-z0-9._-]*){0,3}$/,
    'must be lower-case letters, digits, dot, dash or underscore; up to four such names with slashes in between',
  )

export const gitEntry = manifestEntry({
  key: 'git',
  schema: z.strictObject({
    name: nameField,
    /** https, http, ssh or git; a repository of the build host as file:///path */
    url: textField,
    /** a branch, a tag or a commit (40 digits); `HEAD` is the default branch */
    ref: textField,
    /** `shallow`: the commit alone; `full`: all its ancestors, too */
    history: z.enum(['shallow', 'full']).default('shallow'),
    /** `follow` carries each submodule as a repository of its own */
    submodules: z.enum(['refuse', 'follow']).default('refuse'),
    /** `pointers` carries the pointer files of Git LFS; the files that they point to are never carried */
    lfs: z.enum(['refuse', 'pointers']).default('refuse'),
    /** files that look like secrets and are to be carried: `lock` refuses all others */
    secrets: declaredSecretsField,
  }),
  starter: `\
# git:                                        # repositories at a commit, cloned from http://SITE/git/NAME
#   - name: charts
#     url: https://git.example/platform/charts.git   # or ssh://git@host/path, git@host:path, file:///path
#     ref: v1.2.0                             # a branch, a tag, or a commit (40 digits)
#     history: shallow                        # or full: all ancestors of the commit, too
#     submodules: refuse                      # or follow: carried as repositories of their own
#     lfs: refuse                             # or pointers: without the files that they point to
#     secrets: [{path: tests/*.key, reason: a test key}]   # files that look like secrets and may travel; all others are refused
`,
  load(entries, { at, mistakes, secretQueries }) {
    const requests: GitRequest[] = []
    for (const [i, { url, ref, secrets, ...entry }] of entries.entries()) {
      mistakes.attempt(() => {
        if (secretQueries.has(url)) throw refusedQuery(url, at(i, 'url'))
        requests.push({
          at: at(i),
          ...entry,
          ...defined({ secrets: secrets.length > 0 ? secrets : undefined }),
          url: checkGitUrl(url, { where: at(i, 'url'), code: 'MANIFEST_INVALID', file: 'allowed' }),
          ref: parseRef(ref, at(i, 'ref')),
        })
      })
      mistakes.attempt(() => checkName(entry.name, at(i, 'name')))
    }
    const distinct = distinctRequests(requests, { nameOf: request => request.name, mistakes })
    refuseNested(distinct, mistakes)
    return distinct
  },
})

/** git appends paths to the address, which would end up in the query. */
function refusedQuery(url: string, at: string): AirgapError {
  return new AirgapError('MANIFEST_INVALID', 'the address has a token in its query, which git cannot send', {
    item: `${at}: ${shownUrl(url)}`,
    next: 'remove it: git takes credentials from its credential helpers (gitcredentials(7)) or from ~/.netrc',
  })
}

/** The site answers `NAME.git` like `NAME`, and the files of a repository below it. */
function checkName(name: string, at: string): void {
  const last = name.split('/').at(-1)!
  if (!last.endsWith('.git') && !last.endsWith('.modules')) return
  throw new AirgapError('MANIFEST_INVALID', 'the name of a repository cannot end with .git or .modules', {
    item: `${at}: ${name}`,
    next: 'remove the ending: the site answers NAME.git, too',
  })
}

/** A repository has files of its own below its name. */
function refuseNested(requests: readonly GitRequest[], mistakes: Mistakes): void {
  const places = new Map(requests.map(({ name, at }) => [name, at]))
  for (const { name, at } of requests) {
    const parts = name.split('/')
    for (let depth = 1; depth < parts.length; depth++) {
      const above = parts.slice(0, depth).join('/')
      const place = places.get(above)
      if (place === undefined) continue
      mistakes.add(
        new AirgapError('NAME_COLLISION', `the repository ${name} would be inside the repository ${above}`, {
          item: `${place} and ${at}`,
          next: 'give one of them another name',
        }),
      )
    }
  }
}
