import { crc32, deflateRawSync } from 'node:zlib'
import { parseProjectPage } from '../../../src/kinds/wheel/index-page.ts'
import { parseMarker } from '../../../src/kinds/wheel/marker.ts'
import { parseMetadata } from '../../../src/kinds/wheel/metadata.ts'
import { publisherOf } from '../../../src/kinds/wheel/publisher.ts'
import { parseRequirement } from '../../../src/kinds/wheel/requirement.ts'
import { requirementLine } from '../../../src/kinds/wheel/requirements-file.ts'
import { siteIndex } from '../../../src/kinds/wheel/site-index.ts'
import { parseSpecifiers } from '../../../src/kinds/wheel/specifier.ts'
import { parseWheelName } from '../../../src/kinds/wheel/tags.ts'
import { compareVersions, parseVersion } from '../../../src/kinds/wheel/version.ts'
import { readFromZip } from '../../../src/kinds/wheel/zip.ts'
import { type Parser, textParser } from './parser.ts'

const hex = 'a'.repeat(64)
const html = `<!DOCTYPE html><html><head><base href="https://files.example/"></head><body><a href="../../files/a-1.0-py3-none-any.whl#sha256=${hex}" data-requires-python="&gt;=3.7" data-core-metadata="sha256=${hex}">a-1.0-py3-none-any.whl</a><br/><a href="x.tar.gz">x-1.0.tar.gz</a></body></html>`
const json = JSON.stringify({
  meta: { 'api-version': '1.1' },
  name: 'a',
  files: [
    {
      filename: 'a-1.0-py3-none-any.whl',
      url: 'https://files.example/a.whl',
      hashes: { sha256: hex },
      'requires-python': '>=3.7',
      yanked: false,
      size: 5,
      'core-metadata': { sha256: hex },
    },
  ],
})
const metadata =
  'Metadata-Version: 2.1\nName: Foo._Bar\nVersion: 1.0\nAuthor: a <b@c>\nClassifier: License :: OSI Approved :: MIT License\nRequires-Dist: x[y] >=1.0,<2 ; python_version >= "3.8" and (extra == "z" or os_name != \'nt\')\nProvides-Extra: z\nDynamic: requires-dist\n\nbody\n'

function zip(): Buffer {
  const name = Buffer.from('a-1.0.dist-info/METADATA')
  const data = Buffer.from(metadata)
  const packed = deflateRawSync(data)
  const local = Buffer.alloc(30)
  local.writeUInt32LE(0x04034b50, 0)
  local.writeUInt16LE(8, 8)
  local.writeUInt32LE(crc32(data), 14)
  local.writeUInt32LE(packed.length, 18)
  local.writeUInt32LE(data.length, 22)
  local.writeUInt16LE(name.length, 26)
  const entry = Buffer.alloc(46)
  entry.writeUInt32LE(0x02014b50, 0)
  entry.writeUInt16LE(8, 10)
  entry.writeUInt32LE(crc32(data), 16)
  entry.writeUInt32LE(packed.length, 20)
  entry.writeUInt32LE(data.length, 24)
  entry.writeUInt16LE(name.length, 28)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(46 + name.length, 12)
  end.writeUInt32LE(30 + name.length + packed.length, 16)
  return Buffer.concat([local, name, packed, entry, name, end])
}

export const pythonParsers: Parser[] = [
  textParser('page of a Python index', [html, json], text => {
    const mediaType = text.startsWith('{') ? 'application/json' : 'text/html'
    for (const { filename } of parseProjectPage(text, { url: 'https://pypi.example/simple/a/', mediaType }))
      parseWheelName(filename)
  }),
  textParser('METADATA', [metadata], text => {
    parseMetadata(text, 'x')
    publisherOf(text)
  }),
  textParser(
    'requirement',
    ['x[y,z] >=1.0,<2 ; python_version >= "3.8"', 'x @ https://h/x.whl ; os_name == "a"'],
    text => parseRequirement(text, { item: 'x' }),
  ),
  textParser(
    'requirements file',
    ['x==1 --hash=sha256:aa \\', '-r other.txt # c', '--index-url https://h/simple'],
    text => requirementLine({ text, at: 'x' }),
  ),
  textParser('marker', ['python_version >= "3.8" and (extra == "z" or os_name != \'nt\')'], text =>
    parseMarker(text, 'x'),
  ),
  textParser('specifiers', ['>=1.0,!=1.*,~=2.3,===x', '<2'], parseSpecifiers),
  textParser('Python versions', ['1!2.0.0rc1.post2.dev3+local.1', '1.0'], text => {
    const parsed = parseVersion(text)
    const other = parseVersion('1.0')
    if (parsed !== undefined && other !== undefined) compareVersions(parsed, other)
  }),
  {
    name: 'wheel (zip)',
    seeds: [zip()],
    parse: bytes =>
      readFromZip(
        { size: bytes.length, read: async (start: number, end: number) => bytes.subarray(start, end) },
        { item: 'x', isWanted: (name: string) => name.endsWith('METADATA') },
      ),
  },
  textParser(
    'index of wheels in a bundle',
    [
      JSON.stringify({
        files: [
          {
            project: 'a',
            version: '1',
            filename: 'a.whl',
            sha256: hex,
            size: 1,
            requiresPython: '>3',
            yanked: 'x',
            metadataSha256: hex,
          },
        ],
      }),
    ],
    text => siteIndex(Buffer.from(text)),
  ),
]
