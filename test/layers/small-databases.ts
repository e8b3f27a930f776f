import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { berkeleyValues } from '../../src/layers/berkeley-hash.ts'
import { ndbBlobs } from '../../src/layers/ndb.ts'
import { tableBlobs } from '../../src/layers/sqlite.ts'
import { hasTool } from '../bundle/has-tool.ts'

interface SmallDatabase {
  bytes: Buffer
  read(bytes: Buffer): Iterable<unknown>
}

/** A database of each format, with a few blobs, some larger than a page. Without db_load, there is none of Berkeley DB. */
export function readDatabases(): SmallDatabase[] {
  const folder = mkdtempSync(join(tmpdir(), 'airgap-databases-'))
  try {
    return [sqlite(folder), ndb(), ...(hasTool('db_load') ? [berkeley(folder)] : [])]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const blobs = [100, 3_000, 9_000].map((size, i) => Buffer.alloc(size, `blob ${i} `))

function sqlite(folder: string): SmallDatabase {
  const path = join(folder, 'rpmdb.sqlite')
  const database = new DatabaseSync(path)
  database.exec('CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)')
  const insert = database.prepare('INSERT INTO Packages (blob) VALUES (?)')
  for (const blob of blobs) insert.run(blob)
  database.close()
  return { bytes: readFileSync(path), read: bytes => tableBlobs(bytes, 'Packages') }
}

function ndb(): SmallDatabase {
  const header = Buffer.alloc(4096)
  header.write('RpmP')
  header.writeUInt32LE(1, 12)
  const parts = [header]
  let at = 4096
  for (const [i, blob] of blobs.entries()) {
    const slot = 32 + 16 * i
    header.write('Slot', slot)
    header.writeUInt32LE(i + 1, slot + 4)
    header.writeUInt32LE(at / 16, slot + 8)
    const size = Math.ceil((16 + blob.length) / 16) * 16
    const part = Buffer.alloc(size)
    part.write('BlbS')
    part.writeUInt32LE(i + 1, 4)
    part.writeUInt32LE(blob.length, 12)
    blob.copy(part, 16)
    parts.push(part)
    at += size
  }
  for (let slot = 32 + 16 * blobs.length; slot < 4096; slot += 16) header.write('Slot', slot)
  return { bytes: Buffer.concat(parts), read: ndbBlobs }
}

function berkeley(folder: string): SmallDatabase {
  const rows = blobs.flatMap((blob, i) => [` 0${i + 1}000000`, ` ${blob.toString('hex')}`])
  const text = [
    'VERSION=3',
    'format=bytevalue',
    'type=hash',
    'db_pagesize=4096',
    'HEADER=END',
    ...rows,
    'DATA=END',
    '',
  ]
  const path = join(folder, 'Packages')
  execFileSync('db_load', [path], { input: text.join('\n') })
  return { bytes: readFileSync(path), read: berkeleyValues }
}
