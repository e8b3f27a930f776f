import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { readFile } from '../../../src/layers/readers.ts'
import { readRpmDatabase } from '../../../src/layers/rpm-database.ts'
import type { TarHeader } from '../../../src/layers/tar-header.ts'
import { tarEntries } from '../../../src/layers/tar-stream.ts'
import type { Parser } from './parser.ts'
import { tarOf } from './upstreams.ts'

const files: Record<string, string> = {
  'var/lib/dpkg/status': 'Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n',
  'lib/apk/db/installed': 'P:a\nV:1\nA:x86_64\nL:MIT\n\n',
  'usr/lib/os-release': 'ID=debian\nVERSION_ID="12"\n',
  'usr/lib/python3/dist-packages/a-1.dist-info/METADATA': 'Metadata-Version: 2.1\nName: a\nVersion: 1\n\nx\n',
  'app/node_modules/a/package.json': '{"name":"a","version":"1.0.0","license":"MIT"}',
  'app/package-lock.json': '{"lockfileVersion":3,"packages":{"":{},"node_modules/a":{"version":"1.0.0"}}}',
  'app/Cargo.lock': '[[package]]\nname = "a"\nversion = "1.0.0"\n',
  'app/poetry.lock': '[[package]]\nname = "a"\nversion = "1.0.0"\n',
  'app/Pipfile.lock': '{"default":{"a":{"version":"==1.0"}}}',
  'app/Gemfile.lock': 'GEM\n  specs:\n    a (1.0)\n',
  'app/composer.lock': '{"packages":[{"name":"a/b","version":"1.0"}]}',
  'app/x.deps.json': '{"libraries":{"a/1.0":{"type":"package"}}}',
  'app/a.jar': 'PK\u0003\u0004',
}

/** What is read inside of image layers. */
async function readTar(bytes: Buffer): Promise<void> {
  for await (const entry of tarEntries(Readable.from([bytes]), { bytes: 1 << 24, entries: 1_000 }))
    for await (const _ of entry.content());
}

export const layerParsers: Parser[] = [
  ...Object.entries(files).map(
    ([path, text]): Parser => ({
      name: `in a layer: ${path.slice(path.lastIndexOf('/') + 1)}`,
      seeds: [Buffer.from(text)],
      parse: bytes =>
        readFile(Readable.from([bytes]), {
          path,
          header: { size: bytes.length, sparse: false, mode: 0o755, type: '0' } as TarHeader,
        }),
      refusals: ['Unreadable'],
    }),
  ),
  ...['rpmdb.sqlite', 'Packages.db', 'Packages'].map(
    (file): Parser => ({
      name: `in a layer: ${file}`,
      seeds: [
        Buffer.concat([
          Buffer.from('SQLite format 3\0\u0010\0\u0001\u0001\0@  ', 'latin1'),
          Buffer.alloc(5000),
        ]),
        Buffer.concat([Buffer.from('RpmP'), Buffer.alloc(8200)]),
      ],
      parse: bytes => readRpmDatabase('var/lib/rpm', name => (name === file ? bytes : undefined)),
      refusals: ['Unreadable'],
    }),
  ),
  {
    name: 'tar of a layer',
    seeds: [
      tarOf([
        ['a', 'b'],
        ['c/d', 'e'.repeat(600)],
      ]),
    ],
    parse: readTar,
    refusals: ['Unreadable'],
  },
  {
    name: 'layer, packed',
    seeds: [gzipSync(tarOf([['a', 'b']]))],
    parse: readTar,
    refusals: ['Unreadable'],
  },
]
