import { createReadStream, statSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

/** What a path answers instead of the file of that name. */
type Override = Buffer | string | 'missing' | ((response: ServerResponse) => void)

export interface FileServer extends AsyncDisposable {
  url: string
  /** paths asked for, with the leading slash, decoded */
  requests: string[]
  overrides: Map<string, Override>
}

/** Serves a folder on loopback. */
export async function serveFolder(folder: string): Promise<FileServer> {
  const requests: string[] = []
  const overrides = new Map<string, Override>()
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname)
    requests.push(path)
    const override = overrides.get(path)
    if (typeof override === 'function') return override(response)
    if (override !== undefined && override !== 'missing') return response.end(override)
    const file = join(folder, path)
    const found = statSync(file, { throwIfNoEntry: false })
    if (override === 'missing' || !found?.isFile()) {
      response.statusCode = 404
      return response.end()
    }
    response.setHeader('content-length', found.size)
    createReadStream(file).pipe(response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    overrides,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
