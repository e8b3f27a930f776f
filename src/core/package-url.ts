import { PackageURL } from 'packageurl-js'
import { defined } from './defined.ts'

/**
 * Formats a package URL (purl specification; normalized by type, as `pypi` lower-cases names): `path` is the namespace, if any,
 * and the name; of `fields`, `version` follows `@` and the rest are qualifiers. Undefined fields are left out.
 */
export function packageUrl(
  type: string,
  path: readonly string[],
  fields: Record<string, string | undefined>,
): string {
  const { version, ...qualifiers } = fields
  const namespace = path.slice(0, -1).join('/')
  return new PackageURL(
    type,
    namespace === '' ? undefined : namespace,
    path.at(-1) ?? '',
    version,
    defined(qualifiers) as Record<string, string>,
    undefined,
  ).toString()
}
