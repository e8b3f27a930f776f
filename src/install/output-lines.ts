import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

/**
 * Calls `take` with each line of a program's output, without its line end. What a line has beyond `maxLine` characters is dropped: a machine
 * that prints without an end of line must not exhaust memory (CWE-400), as readline would.
 */
export function takeLines(
  stream: Readable,
  { maxLine, take }: { maxLine: number; take(line: string): void },
): void {
  const decoder = new StringDecoder('utf8')
  let line = ''
  const add = (text: string) => {
    if (line.length < maxLine) line += text.slice(0, maxLine - line.length)
  }
  const end = () => {
    take(line.endsWith('\r') ? line.slice(0, -1) : line)
    line = ''
  }
  stream.on('data', (bytes: Buffer) => {
    const [first = '', ...rest] = decoder.write(bytes).split('\n')
    add(first)
    for (const text of rest) {
      end()
      add(text)
    }
  })
  stream.on('end', () => {
    add(decoder.end())
    if (line !== '') end()
  })
}
