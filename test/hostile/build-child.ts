import { setTimeout } from 'node:timers/promises'
import { BundleWriter } from '../../src/bundle/writer.ts'
import { AirgapError } from '../../src/core/errors.ts'
import { layoutOf, noise, treeSample } from '../bundle/samples.ts'

/**
 * A build in a separate process, which tests kill, limit and watch. Arguments: output, size of each of the four blobs in KiB,
 * milliseconds to wait between writes. Prints what it fetched and its peak memory as JSON, or the code of its error.
 */
const [path, kib = '1', wait = '0'] = process.argv.slice(2) as [string, string?, string?]
const files = Object.fromEntries([1, 2, 3, 4].map(i => [`f${i}`, noise(Number(kib) * 1024 + i, i)]))
const sample = treeSample('files', files)

try {
  const writer = await BundleWriter.open(path, layoutOf(sample))
  let fetched = 0
  const fill = async (slot: ReturnType<typeof writer.pending>[number]) => {
    const bytes = sample.contents.get(slot.descriptor.digest)!
    while (slot.received < bytes.length) {
      const chunk = bytes.subarray(slot.received, slot.received + 50_000)
      fetched += chunk.length
      await slot.write(chunk)
      if (Number(wait) > 0) await setTimeout(Number(wait))
    }
    await slot.finish()
  }
  process.stdout.write('started\n')
  await Promise.all(writer.pending().map(fill))
  await writer.seal()
  process.stdout.write(`${JSON.stringify({ fetched, maxRssKib: process.resourceUsage().maxRSS })}\n`)
} catch (error) {
  if (!(error instanceof AirgapError)) throw error
  process.stdout.write(`${error.code}\n`)
  process.exitCode = error.exitCode
}
