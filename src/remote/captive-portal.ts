import type { Readable } from 'node:stream'
import { AirgapError } from '../core/errors.ts'
import type { SentResponse } from './transport.ts'

/**
 * Refuses the login page that a captive portal or a proxy serves with status 200 instead of the requested content. HTML is accepted
 * where it is what was requested (a page, an index of links). Returns the body, still complete. Throws UPSTREAM_INVALID.
 */
export async function refuseHtml(response: SentResponse, options: { wanted: string }): Promise<Readable> {
  const { body } = response
  if (
    !/^text\/html|^application\/xhtml|^$/i.test(response.headers['content-type'] ?? '') ||
    wantsHtml(options.wanted)
  )
    return body
  if (response.status !== 200) return body
  const start = await firstChunk(body)
  if (start === undefined) return body
  const text = Buffer.from(start.subarray(0, 1024))
    .toString('latin1')
    .replace(/^\u00ef\u00bb\u00bf/, '')
  if (/^\s*(?:<!--(?:(?!-->)[\s\S])*-->\s*)*<(?:!doctype\s+html|html)\b/i.test(text)) {
    body.destroy()
    throw new AirgapError('UPSTREAM_INVALID', 'the answer is a web page instead of the content', {
      item: response.url,
      likely: 'a captive portal or a proxy requires a login, or the address is that of a page about the file',
      next: 'open the address in a browser on this machine and log in if requested, then run the same command again',
    })
  }
  return body
}

/** Returns whether HTML is expected: a folder, or a name that ends in .html. */
function wantsHtml(url: string): boolean {
  const path = new URL(url).pathname
  return path.endsWith('/') || /\.x?html?$/i.test(path)
}

/** Reads the first chunk and puts it back, in one turn of the event loop: nothing can be put back into a stream that has ended. */
async function firstChunk(body: Readable): Promise<Uint8Array | undefined> {
  return await new Promise(resolve => {
    const events = ['readable', 'end', 'error', 'close']
    const settle = () => {
      for (const event of events) body.off(event, settle)
      const chunk: unknown = body.destroyed ? null : body.read()
      if (!(chunk instanceof Uint8Array)) return resolve(undefined)
      body.unshift(chunk)
      resolve(chunk)
    }
    for (const event of events) body.on(event, settle)
  })
}
