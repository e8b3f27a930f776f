import { Readable } from 'node:stream'
import { compareVersions, isVersion } from '../../../src/core/debian-version.ts'
import { readStanzas } from '../../../src/kinds/deb/control.ts'
import { parseRelations } from '../../../src/kinds/deb/relation.ts'
import { parseComps } from '../../../src/kinds/rpm/comps.ts'
import {
  ElementsReader,
  elementFinder,
  OwnersReader,
  ownersFinder,
  pathsOf,
} from '../../../src/kinds/rpm/filelists.ts'
import { readHeader, readSignatureHeader } from '../../../src/kinds/rpm/header.ts'
import { parseModules } from '../../../src/kinds/rpm/modules.ts'
import { clausesOf, clausesOfContrary } from '../../../src/kinds/rpm/normal-form.ts'
import { PrimaryReader } from '../../../src/kinds/rpm/primary.ts'
import { publisherOf } from '../../../src/kinds/rpm/publisher.ts'
import { type ListReader, parseRepomd } from '../../../src/kinds/rpm/repomd.ts'
import { parseRich } from '../../../src/kinds/rpm/rich.ts'
import { mergeYumLists } from '../../../src/kinds/rpm/united-lists.ts'
import { splitClearSigned } from '../../../src/openpgp/clear-sign.ts'
import { armoredKeys } from '../../../src/openpgp/verify.ts'
import { type Parser, textParser } from './parser.ts'

const hex = 'a'.repeat(64)
const packages = `Package: jq\nVersion: 1.6-2.1\nArchitecture: amd64\nDepends: libc6 (>= 2.34), libjq1 (= 1.6-2.1) | foo:any\nFilename: pool/main/j/jq.deb\nSize: 64144\nSHA256: ${hex}\nDescription: a\n b\n .\n c\n\nPackage: x\nVersion: 1\nArchitecture: all\nFilename: a\nSize: 1\nSHA256: ${hex}\n`
const clear =
  '-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nSuite: stable\n- - dash\n-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----\n'
const element = `<package type="rpm"><name>a</name><arch>x86_64</arch><version epoch="0" ver="1" rel="2"/><checksum type="sha256" pkgid="YES">${hex}</checksum><summary>x &amp; y</summary><time file="1" build="2"/><size package="10" installed="2" archive="3"/><location href="Packages/a.rpm"/><format><rpm:license>MIT</rpm:license><rpm:vendor>Rocky</rpm:vendor><rpm:header-range start="1" end="2"/><rpm:provides><rpm:entry name="a" flags="EQ" epoch="0" ver="1" rel="2"/></rpm:provides><rpm:requires><rpm:entry name="(b if c)"/></rpm:requires><file>/usr/bin/a</file></format></package>`
const primary = `<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">${element}</metadata>`
const filelists = `<?xml version="1.0"?><filelists packages="1"><package pkgid="${hex}" name="a" arch="x86_64"><version epoch="0" ver="1" rel="2"/><file>/usr/bin/a</file><file type="dir">/usr</file></package></filelists>`
const repomd = `<?xml version="1.0"?><repomd xmlns="x"><revision>1</revision><data type="primary"><checksum type="sha256">${hex}</checksum><open-checksum type="sha256">${hex}</open-checksum><location href="repodata/p.xml.gz"/><size>10</size><open-size>20</open-size></data></repomd>`
const modules =
  '---\ndocument: modulemd\nversion: 2\ndata:\n  name: nodejs\n  stream: "18"\n  version: 8010\n  context: abc\n  arch: x86_64\n  dependencies:\n  - requires:\n      platform: [el9]\n  profiles:\n    common: {rpms: [nodejs]}\n  artifacts:\n    rpms: [nodejs-0:18-1.x86_64]\n...\n---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: nodejs\n  stream: 18\n  profiles:\n    18: [common]\n'
const comps =
  '<?xml version="1.0"?><!DOCTYPE comps PUBLIC "-//x" "comps.dtd"><comps><group><id>core</id><name>c</name><packagelist><packagereq type="mandatory">bash</packagereq></packagelist></group><environment><id>e</id><grouplist><groupid>core</groupid></grouplist></environment></comps>'

/** What a reader of lists makes of one that comes in parts, as from a disk. */
function readWith<Columns>(reader: ListReader & { columns(): Columns }, bytes: Buffer): Columns {
  for (let at = 0; at < bytes.length; at += 512) reader.write(bytes.subarray(at, at + 512))
  return reader.columns()
}

function rpmHeader(): Buffer {
  const header = Buffer.alloc(16 + 16 * 3 + 40)
  Buffer.from([0x8e, 0xad, 0xe8, 1]).copy(header)
  header.writeUInt32BE(3, 8)
  header.writeUInt32BE(40, 12)
  const entries = [
    [1000, 6, 0, 1],
    [1003, 4, 8, 1],
    [268, 7, 12, 10],
  ]
  entries.forEach((entry, i) => {
    for (const [j, value] of entry.entries()) header.writeUInt32BE(value, 16 + i * 16 + j * 4)
  })
  return header
}

const lists = ['primary.xml', 'filelists.xml', 'comps.xml', 'modules.yaml']

/** Repositories of debs and rpms. */
export const packageParsers: Parser[] = [
  {
    name: 'Packages',
    seeds: [Buffer.from(packages)],
    parse: bytes =>
      readStanzas(Readable.from([bytes]), {
        wanted: ['package', 'version', 'depends', 'filename'],
        item: 'x',
        each: ({ depends }) => depends && parseRelations(depends, 'x'),
      }),
  },
  textParser('relations', ['libc6 (>= 2.34), a (<< 1:2~3+b) | b:any, c (= 1)'], text =>
    parseRelations(text, 'x'),
  ),
  textParser('Debian versions', ['1:2.3~rc1-4+b1', '0.0.0'], text => {
    isVersion(text)
    compareVersions(text, '1:2.3-4')
  }),
  { name: 'InRelease', seeds: [Buffer.from(clear)], parse: bytes => splitClearSigned(bytes, 'x') },
  {
    name: 'OpenPGP keys',
    seeds: [
      Buffer.from(
        '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZg==\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n',
      ),
      Buffer.from('98330466', 'hex'),
    ],
    parse: bytes => armoredKeys(bytes, 'x'),
    isSlow: true,
  },
  {
    name: 'primary.xml',
    seeds: [Buffer.from(primary)],
    parse: bytes =>
      readWith(new PrimaryReader({ item: 'x', architectures: new Set(['x86_64', 'noarch']) }), bytes),
  },
  {
    name: 'filelists.xml: elements',
    seeds: [Buffer.from(filelists)],
    parse: bytes => elementFinder(readWith(new ElementsReader('x'), bytes), 'x').find(hex),
  },
  {
    name: 'filelists.xml: owners of files',
    seeds: [Buffer.from(filelists)],
    parse: bytes => ownersFinder(readWith(new OwnersReader('x'), bytes), 'x')('/usr/bin/a'),
  },
  {
    name: 'an element of filelists.xml',
    seeds: [Buffer.from(filelists)],
    parse: bytes => pathsOf(bytes, 'x'),
  },
  textParser('repomd.xml', [repomd], text => parseRepomd(text, 'https://x/')),
  textParser('modules.yaml', [modules], text => parseModules(text, { repository: 0, item: 'x' })),
  textParser('comps.xml', [comps], text => parseComps(text, { repository: 0, item: 'x' })),
  {
    name: 'rpm header',
    seeds: [rpmHeader()],
    parse: bytes => {
      const header = readHeader(bytes, 'x')
      header.string(1000)
      header.int32(1003)
      header.bin(268)
      header.string(1022)
    },
  },
  {
    name: 'start of an rpm',
    seeds: [
      Buffer.concat([
        Buffer.from('edabeedb03000000', 'hex'),
        Buffer.alloc(88),
        rpmHeader(),
        Buffer.alloc(8),
        rpmHeader(),
      ]),
    ],
    parse: bytes => readSignatureHeader(bytes, 'x'),
  },
  textParser(
    'boolean dependencies',
    ['(a >= 1.0 if (b or c) else (d with e < 2))', '((a and b) unless c)'],
    text => {
      const parsed = parseRich(text)
      const providers = ({ name }: { name: string }) => (name.length % 2 === 0 ? [] : [name.length])
      clausesOf(parsed, providers)
      clausesOfContrary(parsed, providers)
    },
  ),
  textParser('publisher of an rpm', [element], publisherOf),
  ...lists.map(list => {
    const seed = { 'primary.xml': primary, 'filelists.xml': filelists, 'comps.xml': comps }[list] ?? modules
    return textParser(`united ${list}`, [seed], text =>
      mergeYumLists(`/rpms/x/base/repodata/${list}`, [Buffer.from(text), Buffer.from(seed)]),
    )
  }),
]
