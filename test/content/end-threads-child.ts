import { open } from 'node:fs/promises'
import { hashPool } from '../../src/content/hash-pool.ts'
import { hashStreams } from '../../src/content/hash-streams.ts'

// Ends threads with nothing else left to do, and says so; the answer to their last request may arrive while they are ended.
const file = await open(import.meta.filename)
const extent = { fd: file.fd, start: 0, end: 1 }
for (let round = 0; round < 40; round++) {
  const pool = hashPool({ size: 1 })
  await pool.hash([extent])
  pool.hash([extent]).catch(() => {})
  await pool.close()
  const streams = hashStreams()
  const stream = streams.open()
  await stream.read(extent)
  stream.close()
  await streams.close()
}
await file.close()
process.stdout.write('all ended\n')
