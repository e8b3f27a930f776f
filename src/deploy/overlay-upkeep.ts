import type { OpenOverlay } from '../overlay/overlay.ts'
import { eventLine, type LogSink } from '../serve/log-sink.ts'
import { errorData } from '../serve/process-messages.ts'

/** Content that was linked within this time may belong to a push that is not finished. */
export const defaultGraceMs = 24 * 60 * 60_000
const everyMs = 24 * 60 * 60_000

/** Removes content that nothing refers to, now and once a day; writes to the log what it did. */
export function keepCollected(
  overlay: Pick<OpenOverlay, 'collect'>,
  { now, log }: { now: () => Date; log: Pick<LogSink, 'line'> },
): { close(): Promise<void> } {
  let running = Promise.resolve()
  async function collect(): Promise<void> {
    try {
      const { blobs, bytes } = await overlay.collect({ before: now().getTime() - defaultGraceMs })
      if (blobs > 0) log.line(eventLine(now(), { removedUnreferenced: { blobs, bytes } }))
    } catch (error) {
      log.line(eventLine(now(), { notCollected: errorData(error) }))
    }
  }
  const start = () => {
    running = running.then(collect)
  }
  start()
  const timer = setInterval(start, everyMs).unref()
  return {
    async close() {
      clearInterval(timer)
      await running
    },
  }
}
