import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

export interface GitServer {
  /** http://127.0.0.1:PORT */
  url: string
  /** `GET /a.git/info/refs`, each with the user that it came from */
  requests: string[]
}

interface ServerOptions {
  /** files alone, as a server without git has them */
  dumb?: boolean
  /** HTTP Basic; without it anyone may read */
  login?: { user: string; password: string }
  /** protocol version that the server is limited to */
  version?: 0
  /** takes what closes the server; default: at the end of the test */
  finally?: (close: () => void) => void
}

/** Repositories below `root`, by git's own server (git-http-backend(1)) or as files. */
export async function serveRepositories(root: string, options: ServerOptions = {}): Promise<GitServer> {
  const requests: string[] = []
  const server = createServer((request, response) => {
    const [, login] = /^Basic (.*)$/.exec(request.headers.authorization ?? '') ?? []
    const given = login === undefined ? undefined : Buffer.from(login, 'base64').toString('utf8')
    requests.push(
      `${request.method} ${request.url}${given === undefined ? '' : ` as ${given.split(':')[0]}`}`,
    )
    if (options.login && given !== `${options.login.user}:${options.login.password}`) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('no entry')
      return
    }
    const handled = options.dumb
      ? sendFile(root, request, response)
      : runBackend(root, { request, response, options })
    handled.catch(() => response.destroy())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const atEnd = options.finally ?? onTestFinished
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

async function sendFile(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = join(root, new URL(request.url ?? '/', 'http://x').pathname)
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) return void response.writeHead(404).end()
  response.writeHead(200, { 'content-length': found.size })
  createReadStream(path).pipe(response)
}

/** CGI (RFC 3875) */
async function runBackend(
  root: string,
  {
    request,
    response,
    options,
  }: { request: IncomingMessage; response: ServerResponse; options: ServerOptions },
): Promise<void> {
  const { pathname, search } = new URL(request.url ?? '/', 'http://x')
  const { headers } = request
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'],
      HOME: '/nonexistent',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '',
      ...(options.version === 0 ? {} : { GIT_PROTOCOL: headers['git-protocol']?.toString() ?? '' }),
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  request.pipe(child.stdin)
  let head = Buffer.alloc(0)
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    if (response.headersSent) {
      response.write(chunk)
      continue
    }
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) continue
    const fields = head
      .toString('latin1', 0, end)
      .split('\r\n')
      .map(line => line.split(': ') as [string, string])
    const status = fields.find(([name]) => name === 'Status')?.[1] ?? '200'
    response.writeHead(
      Number.parseInt(status, 10),
      Object.fromEntries(fields.filter(([name]) => name !== 'Status')),
    )
    response.write(head.subarray(end + 4))
  }
  response.end()
}
