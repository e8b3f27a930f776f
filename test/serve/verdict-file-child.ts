import { createHash } from 'node:crypto'
import { openVerdictFile } from '../../src/serve/verdict-file.ts'

/** Adds findings to the file named by its argument until it is killed. */
const file = await openVerdictFile(process.argv[2]!, JSON.parse(process.argv[3]!))
for (let i = 0; ; i++) {
  const digest = `sha256:${createHash('sha256').update(String(i)).digest('hex')}` as const
  file.add({ type: 'right', digest, at: '' })
  if (i % 500 === 0) await new Promise(resolve => setTimeout(resolve, 5))
  if (i % 20_000 === 0) file.add({ type: 'scrubbed', at: new Date().toISOString() })
}
