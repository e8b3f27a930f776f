import { createHash } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { AirgapError } from '../../../src/core/errors.ts'
import type { ElPackage } from '../upstreams/el-packages.ts'

/** A repository of EL's size: some packages are real, the rest exists in its metadata only, because nothing requests it. */

/** Real packages in layers: each requires some of the previous ones, by name, version, soname or file. Always the same. */
export function layeredPackages(count: number): ElPackage[] {
  return Array.from({ length: count }, (_, i) => {
    const requires = new Set<string>()
    for (let k = 1; k <= Math.min(i, 4); k++) {
      const j = (i * 7919 + k * 104_729) % i
      requires.add(
        [`real${j}`, `real${j} >= 1.${j}`, `libreal${j}.so.1()(64bit)`, `/usr/bin/real${j}`][(i + k) % 4]!,
      )
    }
    return {
      name: `real${i}`,
      version: `1.${i}`,
      requires: [...requires],
      provides: [`libreal${i}.so.1()(64bit)`],
      files: [`/usr/bin/real${i}`],
    }
  })
}

/** Adds `count` packages to the metadata of a repository that createrepo_c made; repomd.xml must then be signed again. */
export async function addListedPackages(folder: string, count: number): Promise<void> {
  const repodata = join(folder, 'repodata')
  const repomd = join(repodata, 'repomd.xml')
  let text = await readFile(repomd, 'utf8')
  for (const kind of ['primary', 'filelists', 'other'] as const) {
    const name = (await readdir(repodata)).find(file => file.endsWith(`-${kind}.xml.gz`))
    if (name === undefined) throw broken(repodata, kind)
    const unpacked = gunzipSync(await readFile(join(repodata, name))).toString('utf8')
    const end = unpacked.lastIndexOf('</')
    const parts = [unpacked.slice(0, end)]
    for (let i = 0; i < count; i++) parts.push(fragments[kind](i))
    parts.push(unpacked.slice(end))
    const xml = parts
      .join('')
      .replace(/ packages="(\d+)"/, (_, n: string) => ` packages="${Number(n) + count}"`)
    const packed = gzipSync(xml)
    await rm(join(repodata, name))
    await writeFile(join(repodata, `${sha256(packed)}-${kind}.xml.gz`), packed)
    text = text.replace(new RegExp(`<data type="${kind}">[\\s\\S]*?</data>`), () =>
      dataElement(kind, { packed, unpacked: Buffer.from(xml) }),
    )
  }
  // the SQLite databases are no longer right; none of the clients needs them
  text = text.replace(/ *<data type="[a-z]+_db">[\s\S]*?<\/data>\n/g, '')
  await writeFile(repomd, text)
}

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex')

function dataElement(
  kind: string,
  { packed, unpacked }: { packed: Uint8Array; unpacked: Uint8Array },
): string {
  return [
    `<data type="${kind}">`,
    `    <checksum type="sha256">${sha256(packed)}</checksum>`,
    `    <open-checksum type="sha256">${sha256(unpacked)}</open-checksum>`,
    `    <location href="repodata/${sha256(packed)}-${kind}.xml.gz"/>`,
    '    <timestamp>1700000000</timestamp>',
    `    <size>${packed.length}</size>`,
    `    <open-size>${unpacked.length}</open-size>`,
    '  </data>',
  ].join('\n')
}

const idOf = (i: number) => sha256(`listed ${i}`)
const entry = (name: string, more = '') => `      <rpm:entry name="${name}"${more}/>\n`

/** Like an average EL package: 5 requires, 3 provides, 20 files. */
const fragments = {
  primary(i: number): string {
    const version = ` flags="EQ" epoch="0" ver="2.${i % 50}" rel="1.el9"`
    const requires = Array.from({ length: 5 }, (_, k) => {
      const j = (i * 31 + k * 977) % (i + 1)
      return entry(
        k % 2 ? `liblisted${j}.so.${k}()(64bit)` : `listed${j}`,
        k === 4 ? version.replace('EQ', 'GE') : '',
      )
    })
    return `<package type="rpm">
  <name>listed${i}</name>
  <arch>x86_64</arch>
  <version epoch="0" ver="2.${i % 50}" rel="1.el9"/>
  <checksum type="sha256" pkgid="YES">${idOf(i)}</checksum>
  <summary>Package ${i} of the lists</summary>
  <description>Nothing requests this package. It makes the metadata as long as that of a distribution,
with a description of the usual length, in two lines or three, as most packages of a distribution have one.</description>
  <packager>Nobody &lt;nobody@example.org&gt;</packager>
  <url>https://example.org/listed${i}</url>
  <time file="1700000000" build="1699990000"/>
  <size package="123456" installed="234567" archive="245678"/>
  <location href="Packages/listed${i}-2.${i % 50}-1.el9.x86_64.rpm"/>
  <format>
    <rpm:license>MIT</rpm:license>
    <rpm:vendor>Nobody</rpm:vendor>
    <rpm:group>Unspecified</rpm:group>
    <rpm:buildhost>build.example.org</rpm:buildhost>
    <rpm:sourcerpm>listed${i}-2.${i % 50}-1.el9.src.rpm</rpm:sourcerpm>
    <rpm:header-range start="4504" end="12345"/>
    <rpm:provides>
${entry(`listed${i}`, version)}${entry(`listed${i}(x86-64)`, version)}${entry(`liblisted${i}.so.1()(64bit)`)}    </rpm:provides>
    <rpm:requires>
${requires.join('')}    </rpm:requires>
    <file>/usr/bin/listed${i}</file>
    <file>/etc/listed${i}.conf</file>
  </format>
</package>
`
  },
  filelists(i: number): string {
    const files = Array.from(
      { length: 20 },
      (_, k) => `  <file>/usr/share/listed${i}/data/file-${k}.txt</file>\n`,
    )
    return `<package pkgid="${idOf(i)}" name="listed${i}" arch="x86_64">
  <version epoch="0" ver="2.${i % 50}" rel="1.el9"/>
  <file>/usr/bin/listed${i}</file>
  <file>/etc/listed${i}.conf</file>
${files.join('')}</package>
`
  },
  other(i: number): string {
    return `<package pkgid="${idOf(i)}" name="listed${i}" arch="x86_64">
  <version epoch="0" ver="2.${i % 50}" rel="1.el9"/>
</package>
`
  },
}

function broken(item: string, kind: string): AirgapError {
  return new AirgapError('STEP_FAILED', `createrepo_c made no ${kind}.xml.gz`, {
    item,
    likely: 'this version of createrepo_c has other defaults',
    next: 'list that folder',
  })
}
