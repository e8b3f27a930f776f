import { isRepository } from '../core/reference.ts'
import type { Action } from '../serve/permission.ts'
import { mayDo, type Role } from './roles.ts'

/** Access to one thing, as tokens contain it ("Token Authentication Implementation" of the distribution project, `access`). */
export interface Access {
  type: 'repository' | 'registry'
  name: string
  actions: string[]
}

/** A token must fit in the head of a request together with everything else there. */
const maxNames = 4 << 10 /* characters of all names */

/**
 * Parses scopes as clients send them: `repository:NAME:pull,push` and `registry:catalog:*`, several in one text separated by spaces (RFC 6749
 * section 3.3) or as several parameters. A name may contain a colon: the type ends at the first, the actions start after the last. What is
 * no scope, or has a name that no repository can have, grants nothing; undefined: more than a token can contain.
 */
export function parseScopes(texts: readonly string[]): Access[] | undefined {
  const found = new Map<string, Access>()
  let length = 0
  for (const text of texts.flatMap(text => text.split(' '))) {
    const [, type = '', name = '', list = ''] = /^([a-z]+)(?:\([a-z0-9]+\))?:(.+):([^:]*)$/.exec(text) ?? []
    const isKnown = type === 'repository' ? isRepository(name) : type === 'registry' && name === 'catalog'
    if (!isKnown) continue
    const key = `${type}:${name}`
    if (!found.has(key)) length += key.length + 60
    if (length > maxNames) return undefined
    const access = found.get(key) ?? { type: type as Access['type'], name, actions: [] }
    access.actions = [...new Set([...access.actions, ...list.split(',').slice(0, 10)])]
    found.set(key, access)
  }
  return [...found.values()]
}

/** Returns what a user gets of what they want: the actions that their role allows. `*` of a repository is all of them. */
export function granted(wanted: readonly Access[], role: Role): Access[] {
  return wanted.flatMap(({ type, name, actions }) => {
    const possible = type === 'registry' ? ['*'] : possibleActions(role)
    const wantsAll = actions.includes('*') && type === 'repository'
    const own = possible.filter(action => wantsAll || actions.includes(action))
    return own.length === 0 ? [] : [{ type, name, actions: own }]
  })
}

function possibleActions(role: Role): Action[] {
  return (['pull', 'push', 'delete'] as const).filter(action => mayDo(role, action))
}

/** Returns the scope that a request needs, as a challenge names it. */
export function scopeOf({
  action,
  repository,
  special,
}: {
  action: Action
  repository?: string | undefined
  special?: string | undefined
}): string | undefined {
  if (special === 'catalog') return 'registry:catalog:*'
  if (repository === undefined || !isRepository(repository)) return undefined
  // a client that pushes looks first whether a blob exists
  return `repository:${repository}:${action === 'push' ? 'pull,push' : action}`
}
