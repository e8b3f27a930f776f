import { join } from 'node:path'
import { BundleWriter } from '../../src/bundle/writer.ts'
import { localSample } from '../bundle/local-sample.ts'
import { layoutOf } from '../bundle/samples.ts'

/**
 * A build of local files by threads, in a separate process, which tests kill. Arguments: output, folder of the files. Prints how many
 * blobs it copied.
 */
const [path, folder] = process.argv.slice(2) as [string, string]
const { sample, paths } = await localSample(folder)
const writer = await BundleWriter.open(path, layoutOf(sample))
process.stdout.write('started\n')
let copied = 0
const copies = writer.pending().map(slot => {
  const file = join(folder, paths.get(slot.descriptor.digest)!)
  return { slot, from: { path: file, size: slot.descriptor.size } }
})
await writer.copy(copies, { signal: undefined, copied: () => void copied++ })
await writer.seal()
process.stdout.write(`${copied}\n`)
