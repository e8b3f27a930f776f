import { PackageURL } from 'packageurl-js'

/**
 * Whether a product of a VEX statement covers a package: the same type, namespace and name; version and qualifiers where the statement has
 * them (OpenVEX, "Product and component matching").
 */
export function isSameProduct(product: string, purl: string | undefined): boolean {
  if (purl === undefined || !product.startsWith('pkg:')) return false
  if (product === purl) return true
  const [said, found] = [parse(product), parse(purl)]
  if (said === undefined || found === undefined) return false
  const { qualifiers } = found
  return (
    said.type === found.type &&
    (said.namespace ?? '') === (found.namespace ?? '') &&
    said.name === found.name &&
    (said.version === undefined || said.version === null || said.version === found.version) &&
    Object.entries(said.qualifiers ?? {}).every(([key, value]) => qualifiers?.[key] === value)
  )
}

function parse(text: string): PackageURL | undefined {
  try {
    return PackageURL.fromString(text)
  } catch {
    return undefined
  }
}
