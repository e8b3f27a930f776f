import { withoutTrailing } from '../../core/trim.ts'
/** Debian repository format, "Flat repository format": the suite is a folder and ends with a slash. */
export function isFlat(suite: string): boolean {
  return suite.endsWith('/')
}

/** `./` and `/` → '', `x86_64/` → `x86_64` */
export function flatFolder(suite: string): string {
  return withoutTrailing(suite.replace(/^(?:\.?\/)+/, ''), '/')
}
