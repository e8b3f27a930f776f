/**
 * Formats a package URL (purl specification): type, namespace and name, `@version`, qualifiers sorted by name; fields that are
 * undefined are left out.
 */
export function packageUrl(
  type: string,
  path: readonly string[],
  fields: Record<string, string | undefined>,
): string {
  const { version, ...qualifiers } = fields
  const encode = (text: string) => encodeURIComponent(text).replaceAll('%2F', '/')
  const query = Object.entries(qualifiers)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encode(value)}`]))
    .sort()
    .join('&')
  const at = version === undefined ? '' : `@${encode(version)}`
  return `pkg:${[type, ...path.map(encode)].join('/')}${at}${query && `?${query}`}`
}
