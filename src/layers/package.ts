import { printableLine } from '../core/printable.ts'

/** A package that is installed in an image, as the database or file that records it says. */
export interface InstalledPackage {
  /** type of its package URL */
  type: PackageType
  /** as its ecosystem writes it: `bash`, `@scope/name`, `org.example:name`, `golang.org/x/net` */
  name: string
  /** `1:2.3-4` of dpkg, `2.3-4.el9` of rpm */
  version: string
  /** of an rpm; absent: none */
  epoch?: string
  architecture?: string
  /** the source package that it was built from; advisories of distributions name it */
  source?: { name: string; version?: string }
  vendor?: string
  /** as the package states it */
  license?: string
  /** path in the image of what records it */
  path: string
}

export type PackageType =
  | 'deb'
  | 'rpm'
  | 'apk'
  | 'pypi'
  | 'npm'
  | 'golang'
  | 'maven'
  | 'gem'
  | 'cargo'
  | 'composer'
  | 'nuget'

const maxText = 512

/** A text from an image as one line without control characters; undefined where it is no text, empty or too long for a name. */
export function cleanText(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  return text === '' || text.length > maxText ? undefined : printableLine(text, maxText)
}
