import { hexOf } from '../../core/digest.ts'
import { redactUrl } from '../../core/redact.ts'
import { parseReference } from '../../core/reference.ts'
import { lockedChartSchema } from '../../kinds/chart/locked.ts'
import { lockedDebsSchema } from '../../kinds/deb/locked.ts'
import { lockedFileSchema } from '../../kinds/file/index.ts'
import { lockedImageSchema } from '../../kinds/image/locked.ts'
import { lockedRpmsSchema } from '../../kinds/rpm/locked.ts'
import { lockedWheelsSchema } from '../../kinds/wheel/locked.ts'
import type { Lock } from '../../lock/schema.ts'

/** A component of a bill of materials (CycloneDX 1.6). */
interface Component {
  type: 'container' | 'library' | 'application' | 'file'
  'bom-ref': string
  name: string
  version?: string
  hashes: [{ alg: 'SHA-256'; content: string }]
  purl?: string
}

/**
 * The bill of materials of a lock whose items have been checked, as CycloneDX 1.6 JSON: images, charts, packages, files and the
 * program that a bundle carries. Nothing in it varies: no clock, no serial number.
 */
export function sbomOf(lock: Lock): Record<string, unknown> {
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', name: lock.name, version: lock.version } },
    components: [images, charts, debs, rpms, wheels, files, runtime].flatMap(of => of(lock)),
  }
}

function images(lock: Lock): Component[] {
  return (lock.items['image'] ?? []).map(item => {
    const image = lockedImageSchema.parse(item)
    const { host, repository, tag } = parseReference(image.name)
    const arch = image.platforms.length === 1 ? image.platforms[0]?.split('/')[1] : undefined
    const qualifiers = { version: image.digest, arch, repository_url: `${host}/${repository}`, tag }
    return {
      type: 'container',
      'bom-ref': `image/${image.name}`,
      name: `${host}/${repository}`,
      version: tag ?? image.digest,
      hashes: sha256(hexOf(image.digest)),
      purl: purl('oci', repository.split('/').slice(-1), qualifiers),
    }
  })
}

function charts(lock: Lock): Component[] {
  return (lock.items['chart'] ?? []).map(item => {
    const { name, chart, version, layers, origin } = lockedChartSchema.parse(item)
    const repository_url =
      origin.type === 'oci' ? `oci://${origin.repository}` : redactUrl(new URL('.', origin.url))
    return {
      type: 'application',
      'bom-ref': `chart/${name}`,
      name: chart,
      version,
      hashes: sha256(hexOf(layers[0]!.digest)),
      purl: purl('helm', [chart], { version, repository_url }),
    }
  })
}

function debs(lock: Lock): Component[] {
  return (lock.items['deb'] ?? []).flatMap(item => {
    const set = lockedDebsSchema.parse(item)
    const vendor = /ubuntu/i.test(`${set.name} ${set.sources.map(source => source.archive).join(' ')}`)
      ? 'ubuntu'
      : 'debian'
    return set.packages.map(
      ({ name, version, architecture: arch, sha256: hex }): Component => ({
        type: 'library',
        'bom-ref': `deb/${set.name}/${name}_${version}_${arch}`,
        name,
        version,
        hashes: sha256(hex),
        purl: purl('deb', [vendor, name], { version, arch, distro: set.name }),
      }),
    )
  })
}

function rpms(lock: Lock): Component[] {
  return (lock.items['rpm'] ?? []).flatMap(item => {
    const set = lockedRpmsSchema.parse(item)
    return set.packages.map((rpm): Component => {
      const { name, epoch, architecture: arch } = rpm
      const version = `${rpm.version}-${rpm.release}`
      const qualifiers = { version, arch, epoch: epoch === '0' ? undefined : epoch, distro: set.name }
      return {
        type: 'library',
        'bom-ref': `rpm/${set.name}/${name}-${epoch}:${version}.${arch}`,
        name,
        version,
        hashes: sha256(rpm.sha256),
        purl: purl('rpm', [set.name.replace(/[-.0-9]+$/, ''), name], qualifiers),
      }
    })
  })
}

function wheels(lock: Lock): Component[] {
  return (lock.items['wheel'] ?? []).flatMap(item =>
    lockedWheelsSchema.parse(item).distributions.map(
      ({ project: name, version, filename, sha256: hex }): Component => ({
        type: 'library',
        'bom-ref': `wheel/${filename}`,
        name,
        version,
        hashes: sha256(hex),
        purl: purl('pypi', [name], { version, file_name: filename }),
      }),
    ),
  )
}

function files(lock: Lock): Component[] {
  return (lock.items['file'] ?? []).map(item => {
    const { name, url, digest } = lockedFileSchema.parse(item)
    const qualifiers = { download_url: redactUrl(url), checksum: digest }
    const hashes = sha256(hexOf(digest))
    const link = purl('generic', name.split('/').slice(-1), qualifiers)
    return { type: 'file', 'bom-ref': `file/${name}`, name, hashes, purl: link }
  })
}

function runtime(lock: Lock): Component[] {
  return lock.runtime.map(({ path: name, digest }) => {
    return { type: 'file', 'bom-ref': `runtime/${name}`, name, hashes: sha256(hexOf(digest)) }
  })
}

const sha256 = (content: string): Component['hashes'] => [{ alg: 'SHA-256', content }]

/** Package URL (purl specification): type, namespace and name, `@version`, qualifiers sorted by name. */
function purl(type: string, path: string[], fields: Record<string, string | undefined>): string {
  const { version, ...qualifiers } = fields
  const encode = (text: string) => encodeURIComponent(text).replaceAll('%2F', '/')
  const query = Object.entries(qualifiers)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encode(value)}`]))
    .sort()
    .join('&')
  const at = version === undefined ? '' : `@${encode(version)}`
  return `pkg:${[type, ...path.map(encode)].join('/')}${at}${query && `?${query}`}`
}
