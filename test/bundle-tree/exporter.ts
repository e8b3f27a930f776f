// Debian's node-exporter, with the textfile collector only.
import { spawn } from 'node:child_process'
import { once } from 'node:events'

export const program = 'prometheus-node-exporter'

export interface Exporter {
  /** everything that it exposes now; throws for any status but 200 */
  scrape(): Promise<string>
  /** its log so far */
  said(): string
  stop(): Promise<void>
}

export async function startExporter(textfileFolder: string): Promise<Exporter> {
  const child = spawn(
    program,
    [
      '--collector.disable-defaults',
      '--collector.textfile',
      `--collector.textfile.directory=${textfileFolder}`,
      '--web.disable-exporter-metrics',
      // a free port, which its log names
      '--web.listen-address=127.0.0.1:0',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  const ended = once(child, 'exit')
  const address = await new Promise<string>((found, failed) => {
    const look = () => {
      const match = /msg="Listening on" address=(\S+)/.exec(log)
      if (match) found(match[1]!)
    }
    child.stderr.on('data', look)
    child.on('error', failed)
    child.on('exit', status => failed(new Error(`${program} ended with ${status}: ${log}`)))
  })
  return {
    async scrape() {
      const answer = await fetch(`http://${address}/metrics`)
      const text = await answer.text()
      if (answer.status !== 200) throw new Error(`${answer.status}: ${text}`)
      return text
    },
    said: () => log,
    async stop() {
      child.kill()
      await ended
    },
  }
}
