import { toolVersion } from '../../core/tool-version.ts'

/** Returns the version of a program and of its Node.js, in one line. */
export function versionLine(name: string): string {
  return `${name} ${toolVersion} (node ${process.versions.node})`
}
