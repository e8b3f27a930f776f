import { normalizeProject } from '../../../../src/kinds/wheel/requirement.ts'
import { zipOf } from './zip.ts'

export interface Release {
  /** as its author writes it */
  name: string
  version: string
  requires?: string[]
  extras?: string[]
  requiresPython?: string
  /** default `py3-none-any` */
  tag?: string
  yanked?: string
}

/** A file of the index; what a test says of it goes before what is true. */
export interface ServedFile {
  filename: string
  bytes: Buffer
  project: string
  release: Release
  /** what the page says; '' for no hash at all */
  sha256?: string
  /** given apart, with its digest (PEP 658) */
  metadata?: string
}

export function metadataOf({ name, version, requires = [], extras = [], requiresPython }: Release): string {
  return [
    'Metadata-Version: 2.1',
    `Name: ${name}`,
    `Version: ${version}`,
    ...(requiresPython === undefined ? [] : [`Requires-Python: ${requiresPython}`]),
    ...requires.map(text => `Requires-Dist: ${text}`),
    ...extras.map(text => `Provides-Extra: ${text}`),
    '',
    `# ${name}`,
    '',
  ].join('\n')
}

/** A wheel that pip installs: one empty module, and its records. */
export function wheelFile(release: Release, inside: string = metadataOf(release)): ServedFile {
  const { name, version, tag = 'py3-none-any' } = release
  const stem = `${name.replace(/[-_.]+/g, '_')}-${version}`
  const module = `${normalizeProject(name).replaceAll('-', '_')}.py`
  const wheel = ['Wheel-Version: 1.0', 'Generator: test', 'Root-Is-Purelib: true', `Tag: ${tag}`, ''].join(
    '\n',
  )
  const names = [module, ...['METADATA', 'WHEEL', 'RECORD'].map(one => `${stem}.dist-info/${one}`)] as const
  const bytes = zipOf([
    [names[0]!, ''],
    [names[1]!, inside],
    [names[2]!, wheel],
    [names[3]!, names.map(one => `${one},,\n`).join('')],
  ])
  return { filename: `${stem}-${tag}.whl`, bytes, project: normalizeProject(name), release }
}
