import { vendorNamespace } from '../component.ts'

/** What primary.xml says about the publisher of a package, for the bill of materials. */
export interface Publisher {
  vendor: string | undefined
  license: string | undefined
  /** the namespace of its package URL, as scanners know the distributions */
  namespace: string | undefined
}

/** `rpm:vendor` → the namespace that the package URLs of a distribution have (purl-spec, types, `rpm`). */
const distributions: [vendor: RegExp, namespace: string][] = [
  [/^Rocky\b/i, 'rocky'],
  [/^AlmaLinux\b/i, 'almalinux'],
  [/^Red Hat\b/i, 'redhat'],
  [/^CentOS\b/i, 'centos'],
  [/^Fedora\b/i, 'fedora'],
  [/^Oracle\b/i, 'oracle'],
  [/^Amazon\b/i, 'amazon'],
  [/^(?:open)?SUSE\b/i, 'suse'],
]

/** `primary` is the package's element, verbatim. */
export function publisherOf(primary: string): Publisher {
  const vendor = textOf(primary, 'rpm:vendor')
  const known = distributions.find(([pattern]) => pattern.test(vendor ?? ''))?.[1]
  return {
    vendor,
    license: textOf(primary, 'rpm:license'),
    namespace: known ?? (vendorNamespace(vendor ?? '') || undefined),
  }
}

const entities = new Map([
  ['&lt;', '<'],
  ['&gt;', '>'],
  ['&quot;', '"'],
  ['&apos;', "'"],
  ['&amp;', '&'],
])

function textOf(xml: string, element: string): string | undefined {
  const text = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1]?.trim()
  return text
    ? text.replace(/&(?:lt|gt|quot|apos|amp);/g, entity => entities.get(entity) ?? entity)
    : undefined
}
