import type { Action } from '../serve/permission.ts'

/** What a user may do: each role includes those before it. */
export const roles = ['pull', 'push', 'admin'] as const
export type Role = (typeof roles)[number]

/** of a user in a file that names no role, such as one that `htpasswd` wrote */
export const defaultRole: Role = 'pull'

const needed: Record<Action, Role> = { pull: 'pull', push: 'push', delete: 'admin' }

/** Returns the least role with which an action is possible. */
export function roleFor(action: Action): Role {
  return needed[action]
}

export function mayDo(role: Role, action: Action): boolean {
  return roles.indexOf(role) >= roles.indexOf(needed[action])
}
