import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join, normalize } from 'node:path'

/** Starts a plain file server on loopback that sends Content-Length. */
export async function serveFolder(folder: string): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    const requested = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname))
    const path = join(folder, requested.endsWith('/') ? `${requested}index.html` : requested)
    const found = await stat(path).catch(() => undefined)
    if (!found?.isFile() || !path.startsWith(folder)) {
      response.writeHead(404).end()
      return
    }
    const type = path.endsWith('.html') ? 'text/html' : 'application/octet-stream'
    response.writeHead(200, { 'content-length': found.size, 'content-type': type })
    if (request.method === 'HEAD') response.end()
    else createReadStream(path).pipe(response)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections()
      await new Promise(done => server.close(done))
    },
  }
}
