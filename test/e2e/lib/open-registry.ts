import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

/** The push side of an in-memory registry that accepts any manifest, also sparse indexes (which the distribution-spec allows). */
export interface OpenRegistry {
  host: string
  /** method and path of every request so far */
  requests: string[]
  /** digest of a tag or digest in a repository */
  digest(repository: string, reference: string): string | undefined
  close(): Promise<void>
}

/** `gate` answers a request itself (and returns true) before the registry does. */
export async function startOpenRegistry(
  gate: (request: IncomingMessage, response: ServerResponse) => boolean = () => false,
): Promise<OpenRegistry> {
  const content = new Map<string, { bytes: Buffer; type: string }>()
  const tags = new Map<string, string>()
  const requests: string[] = []
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://registry')
    requests.push(`${request.method} ${url.pathname}`)
    if (gate(request, response)) return
    const [, repository = '', what = '', last = ''] =
      /^\/v2\/(.+)\/(manifests|blobs\/uploads|blobs)\/(.*)$/.exec(url.pathname) ?? []
    const at = (reference: string) => `${repository}@${reference}`
    if (request.method === 'POST') return answer(response, 202, { location: `${url.pathname}one` })
    if (request.method === 'PUT') {
      const bytes = await bodyOf(request)
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
      const named = url.searchParams.get('digest') ?? (last.includes(':') ? last : digest)
      if (named !== digest) return answer(response, 400)
      content.set(at(digest), { bytes, type: request.headers['content-type'] ?? 'application/octet-stream' })
      if (what === 'manifests') tags.set(at(last), digest)
      return answer(response, 201, { location: url.pathname, 'docker-content-digest': digest })
    }
    const digest = tags.get(at(last)) ?? last
    const found = content.get(at(digest))
    if (found === undefined) return answer(response, url.pathname === '/v2/' ? 200 : 404)
    const headers = { 'content-type': found.type, 'content-length': String(found.bytes.length) }
    const body = request.method === 'HEAD' ? undefined : found.bytes
    return answer(response, 200, { ...headers, 'docker-content-digest': digest }, body)
  }
  const server = createServer((request, response) => {
    // the client has disconnected
    handle(request, response).catch(() => response.destroy())
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return {
    host: `127.0.0.1:${(server.address() as { port: number }).port}`,
    requests,
    digest: (repository, reference) => tags.get(`${repository}@${reference}`),
    async close() {
      server.closeAllConnections()
      await new Promise(done => server.close(done))
    },
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function answer(
  response: ServerResponse,
  status: number,
  headers: Record<string, string> = {},
  body?: Buffer,
): void {
  response.writeHead(status, { ...(body ? {} : { 'content-length': '0' }), ...headers })
  response.end(body)
}
