import { defined } from '../core/defined.ts'
import { packageUrl } from '../core/package-url.ts'
import { type Component, namedLicense, namedSupplier } from '../kinds/component.ts'
import type { ImageContent } from './installed.ts'
import type { OsRelease } from './os-release.ts'
import type { InstalledPackage } from './package.ts'

/** Returns what is inside the images as parts of their components in the bill of materials, by the `bom-ref` of the image. */
export function componentsInside(
  contents: readonly ImageContent[],
): Map<string, Required<Pick<Component, 'components' | 'properties'>>> {
  return new Map(
    [...Map.groupBy(contents, ({ name }) => `image/${name}`)].map(([ref, platforms]) => [
      ref,
      {
        components: platforms.flatMap(content => componentsOf(content, { ref })),
        properties: platforms.flatMap(propertiesOf),
      },
    ]),
  )
}

/** The operating system of one image and its packages, a package once whatever number of files records it. */
export function componentsOf(content: ImageContent, { ref }: { ref: string }): Component[] {
  const { os, packages, digest } = content
  const prefix = `${ref}#${digest.slice('sha256:'.length, 'sha256:'.length + 12)}`
  const byRef = new Map<string, Component>()
  for (const one of packages) {
    const key = `${prefix}/${one.type}/${one.name}@${one.epoch === undefined ? '' : `${one.epoch}:`}${one.version}${one.architecture === undefined ? '' : `?${one.architecture}`}`
    const known = byRef.get(key)
    if (known === undefined) byRef.set(key, componentOf(one, { key, os }))
    else known.evidence!.occurrences.push({ location: one.path })
  }
  const system: Component[] =
    os === undefined
      ? []
      : [
          defined({
            type: 'operating-system' as const,
            'bom-ref': `${prefix}/os`,
            name: os.id,
            version: os.version,
          }),
        ]
  return [...system, ...byRef.values()]
}

function propertiesOf({ platform, digest, notRead }: ImageContent): { name: string; value: string }[] {
  const where = platform ?? digest
  return [
    { name: 'airgap:layers-read', value: where },
    ...notRead.map(({ layer, path, reason }) => ({
      name: 'airgap:not-read',
      value: `${where}: ${[path ?? layer, reason].filter(Boolean).join(': ')}`,
    })),
  ]
}

function componentOf(
  one: InstalledPackage,
  { key, os }: { key: string; os: OsRelease | undefined },
): Component {
  return {
    type: 'library',
    'bom-ref': key,
    ...namedSupplier(one.vendor),
    name: one.name,
    version: one.version,
    ...namedLicense(one.license),
    ...defined({ purl: purlOf(one, os) }),
    evidence: { occurrences: [{ location: one.path }] },
  }
}

/** Namespaces as scanners expect them; the distribution of a package decides which advisories apply. */
function purlOf(one: InstalledPackage, os: OsRelease | undefined): string | undefined {
  const { name, version, architecture: arch, source } = one
  const distro = os && (os.version === undefined ? os.id : `${os.id}-${os.version}`)
  const upstream =
    source === undefined || (source.name === name && source.version === undefined)
      ? undefined
      : source.version === undefined
        ? source.name
        : `${source.name}@${source.version}`
  switch (one.type) {
    case 'deb':
      return url('deb', [os?.id ?? 'debian', name], { version, arch, distro, upstream })
    case 'apk':
      return url('apk', [os?.id ?? 'alpine', name], { version, arch, distro, upstream })
    case 'rpm':
      return url('rpm', [os?.id === 'rhel' ? 'redhat' : (os?.id ?? 'rpm'), name], {
        version,
        arch,
        distro,
        epoch: one.epoch,
        upstream: source && `${source.name}-${source.version}.src.rpm`,
      })
    case 'maven':
      return url('maven', name.split(':'), { version })
    default:
      return url(one.type, name.split('/'), { version })
  }
}

/** Names from an image may be none that a package URL can have. */
function url(
  type: string,
  path: readonly string[],
  fields: Record<string, string | undefined>,
): string | undefined {
  try {
    return packageUrl(type, path, fields)
  } catch {
    return undefined
  }
}
