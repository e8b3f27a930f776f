import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** True where the program is on the path; a test that needs it is skipped by name otherwise. */
export function hasTool(name: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some(folder => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
