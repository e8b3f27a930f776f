import { userInfo } from 'node:os'
import { printableLine } from '../core/printable.ts'

/** Returns the name of the person who runs this program, for records: the one before sudo. */
export function operatorName(environment: Readonly<Record<string, string | undefined>>): string {
  return printableLine(environment['SUDO_USER'] || ownName(), 64)
}

/** A container may run as a user without a name. */
function ownName(): string {
  try {
    return userInfo().username
  } catch {
    return `user ${process.getuid?.() ?? 'unknown'}`
  }
}
