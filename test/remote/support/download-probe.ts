/** Run as a process of its own: downloads a blob from the URL given, and prints its pace and peak memory as JSON. */
import type { DownloadSink } from '../../../src/content/sink.ts'
import { download } from '../../../src/remote/download.ts'
import { createHttpClient } from '../../../src/remote/http-client.ts'

const [url = '', size = '0', streams = '1'] = process.argv.slice(2)
const http = createHttpClient({ env: {} })
const before = process.memoryUsage.rss()
let peak = before

/** Counts and forgets: what is measured is the download alone. */
function countingSink(): DownloadSink {
  let received = 0
  let chunks = 0
  return {
    descriptor: { mediaType: 'x', digest: `sha256:${'0'.repeat(64)}`, size: Number(size) },
    get received() {
      return received
    },
    async write(chunk) {
      received += chunk.length
      if (chunks++ % 64 === 0) peak = Math.max(peak, process.memoryUsage.rss())
    },
    async restart() {
      received = 0
    },
    async finish() {},
  }
}

const begun = performance.now()
await Promise.all(
  Array.from({ length: Number(streams) }, () =>
    download({ openers: http.openers(url), sink: countingSink() }),
  ),
)
const seconds = (performance.now() - begun) / 1000
await http.close()
export interface Measured {
  /** MiB a second, all streams together */
  speed: number
  /** MiB of memory beyond what loading the modules took */
  grown: number
  peak: number
}

const mib = (bytes: number) => Math.round(bytes / 2 ** 20)
const speed = Math.round((mib(Number(size)) * Number(streams)) / seconds)
const measured: Measured = { speed, grown: mib(peak - before), peak: mib(peak) }
process.stdout.write(JSON.stringify(measured))
