import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RpmCandidate, RpmRelation } from '../../../src/kinds/rpm/candidate.ts'

/** Writes repository metadata of packages that do not exist: enough for dnf to resolve, and for a parser to read. */
export async function writeMetadata(
  folder: string,
  packages: readonly RpmCandidate[],
  more: { files?: (one: RpmCandidate) => readonly string[]; modules?: string; comps?: string } = {},
): Promise<void> {
  await mkdir(join(folder, 'repodata'), { recursive: true })
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n'
  const primary = `${head}<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="${packages.length}">\n${packages.map(primaryOf).join('')}</metadata>\n`
  const filelists = `${head}<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="${packages.length}">\n${packages.map(one => filelistsOf(one, [...one.files, ...(more.files?.(one) ?? [])])).join('')}</filelists>\n`
  const data: [type: string, name: string, text: string][] = [
    ['primary', 'primary.xml', primary],
    ['filelists', 'filelists.xml', filelists],
    ...(more.modules === undefined ? [] : ([['modules', 'modules.yaml', more.modules]] as const)).map(
      x => [...x] as [string, string, string],
    ),
    ...(more.comps === undefined ? [] : ([['group', 'comps.xml', more.comps]] as const)).map(
      x => [...x] as [string, string, string],
    ),
  ]
  const entries: string[] = []
  for (const [type, name, text] of data) {
    await writeFile(join(folder, 'repodata', name), text)
    const sum = createHash('sha256').update(text).digest('hex')
    entries.push(
      `<data type="${type}"><checksum type="sha256">${sum}</checksum><open-checksum type="sha256">${sum}</open-checksum><location href="repodata/${name}"/><timestamp>1700000000</timestamp><size>${Buffer.byteLength(text)}</size><open-size>${Buffer.byteLength(text)}</open-size></data>\n`,
    )
  }
  const repomd = `${head}<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm"><revision>1700000000</revision>\n${entries.join('')}</repomd>\n`
  await writeFile(join(folder, 'repodata', 'repomd.xml'), repomd)
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

function entry({ name, flags, epoch, version, release }: RpmRelation): string {
  const evr =
    flags === undefined
      ? ''
      : ` flags="${flags}" epoch="${epoch ?? '0'}" ver="${version ?? ''}"${release === undefined ? '' : ` rel="${release}"`}`
  return `<rpm:entry name="${escapeXml(name)}"${evr}/>`
}

function primaryOf(one: RpmCandidate): string {
  const list = (tag: string, relations: readonly RpmRelation[]) =>
    relations.length === 0 ? '' : `<rpm:${tag}>${relations.map(entry).join('')}</rpm:${tag}>`
  return [
    `<package type="rpm"><name>${escapeXml(one.name)}</name><arch>${one.architecture}</arch>`,
    `<version epoch="${one.epoch}" ver="${one.version}" rel="${one.release}"/>`,
    `<checksum type="${one.checksum.type}" pkgid="YES">${one.checksum.hex}</checksum>`,
    '<summary>for a test</summary><description>for a test</description><packager></packager><url></url>',
    `<time file="1700000000" build="1700000000"/><size package="${one.size}" installed="1" archive="1"/>`,
    `<location href="${escapeXml(one.location)}"/><format><rpm:license>MIT</rpm:license><rpm:vendor>test</rpm:vendor>`,
    `<rpm:group>x</rpm:group><rpm:buildhost>x</rpm:buildhost><rpm:sourcerpm>${one.name}-${one.version}-${one.release}.src.rpm</rpm:sourcerpm>`,
    `<rpm:header-range start="${one.headerRange.start}" end="${one.headerRange.end}"/>`,
    list('provides', one.provides),
    list('requires', one.requires),
    list('conflicts', one.conflicts),
    list('obsoletes', one.obsoletes),
    list('recommends', one.recommends),
    list('supplements', one.supplements),
    list('suggests', one.suggests),
    list('enhances', one.enhances),
    ...one.files.map(file => `<file>${escapeXml(file)}</file>`),
    '</format></package>\n',
  ].join('')
}

function filelistsOf(one: RpmCandidate, files: readonly string[]): string {
  return `<package pkgid="${one.checksum.hex}" name="${escapeXml(one.name)}" arch="${one.architecture}"><version epoch="${one.epoch}" ver="${one.version}" rel="${one.release}"/>${files.map(file => `<file>${escapeXml(file)}</file>`).join('')}</package>\n`
}
