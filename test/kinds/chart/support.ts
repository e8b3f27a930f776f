import { gzipSync } from 'node:zlib'
import { Header, type HeaderData } from 'tar'
import { defined } from '../../../src/core/defined.ts'
import { digestOf, hexOf } from '../../../src/core/digest.ts'

/** One entry of a tar; `type` as the parser calls it. */
export interface Entry {
  path: string
  type?: NonNullable<HeaderData['type']>
  linkpath?: string
  text?: string | Buffer
  /** default: 0644 */
  mode?: number
}

/** A tar with exactly these entries, however wrong they are. */
export function tarOf(entries: Entry[]): Buffer {
  const blocks: Buffer[] = []
  for (const { path, type = 'File', linkpath, text = '', mode = 0o644 } of entries) {
    const body = Buffer.from(text)
    const header = Buffer.alloc(512)
    new Header({
      path,
      type,
      mode,
      size: body.length,
      mtime: new Date(0),
      ...defined({ linkpath }),
    }).encode(header, 0)
    blocks.push(header, body, Buffer.alloc((512 - (body.length % 512)) % 512))
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

export function tgzOf(entries: Entry[]): Buffer {
  return gzipSync(tarOf(entries))
}

export interface ChartSpec {
  name?: string
  version?: string
  /** further lines of Chart.yaml */
  yaml?: string
  entries?: Entry[]
}

export function chartTgz({
  name = 'web',
  version = '1.2.3',
  yaml = '',
  entries = [],
}: ChartSpec = {}): Buffer {
  return tgzOf([
    { path: `${name}/Chart.yaml`, text: `apiVersion: v2\nname: ${name}\nversion: ${version}\n${yaml}` },
    { path: `${name}/values.yaml`, text: 'replicas: 1\n' },
    { path: `${name}/templates/service.yaml`, text: 'kind: Service\n' },
    ...entries,
  ])
}

export function sha256Of(bytes: Buffer): string {
  return hexOf(digestOf(bytes))
}

/** index.yaml as helm writes it. */
export function indexYaml(
  charts: Record<string, { version: string; url: string; digest?: string }[]>,
): string {
  const blocks = Object.entries(charts).map(([name, versions]) => {
    const items = versions.map(({ version, url, digest }) =>
      [
        '  - apiVersion: v2',
        '    created: "2026-01-01T00:00:00Z"',
        ...(digest === undefined ? [] : [`    digest: ${digest}`]),
        `    name: ${name}`,
        `    urls:\n    - ${url}`,
        `    version: ${version}`,
      ].join('\n'),
    )
    return `  ${name}:\n${items.join('\n')}\n`
  })
  return `apiVersion: v1\nentries:\n${blocks.join('')}generated: "2026-01-01T00:00:00Z"\n`
}

export function provenanceFor(archive: string, sha256: string): string {
  return [
    '-----BEGIN PGP SIGNED MESSAGE-----',
    'Hash: SHA512',
    '',
    'apiVersion: v2',
    'name: web',
    'version: 1.2.3',
    '',
    '...',
    'files:',
    `  ${archive}: sha256:${sha256}`,
    '-----BEGIN PGP SIGNATURE-----',
    '',
    'wsBcBAEBCgAQ',
    '-----END PGP SIGNATURE-----',
    '',
  ].join('\n')
}
