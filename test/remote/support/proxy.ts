import { connect } from 'node:net'
import { type Handler, startUpstream, type Upstream } from './upstream.ts'

/**
 * A forward proxy. `http://name/…` is answered by `plain`; CONNECT to any name is joined to `tunnelTo` (a local port), or
 * answered with `refuse`. What was asked of it is in `seen`, CONNECT included.
 */
export async function startProxy(options: {
  plain?: Handler
  tunnelTo?: number
  refuse?: number
  authorization?: string
}): Promise<Upstream> {
  const proxy = await startUpstream((request, response, upstream) => {
    if (options.authorization && request.headers['proxy-authorization'] !== options.authorization) {
      response.writeHead(407, { 'proxy-authenticate': 'Basic realm="proxy"' }).end('who are you?')
    } else if (options.plain) options.plain(request, response, upstream)
    else response.writeHead(502).end()
  })
  proxy.server.on('connect', (request, socket) => {
    proxy.seen.push({ method: 'CONNECT', url: request.url ?? '', headers: request.headers, body: '' })
    socket.on('error', () => {})
    const unknown = options.authorization && request.headers['proxy-authorization'] !== options.authorization
    if (unknown || options.refuse) {
      socket.end(`HTTP/1.1 ${unknown ? 407 : options.refuse} No\r\nContent-Length: 0\r\n\r\n`)
      return
    }
    const onward = connect(options.tunnelTo ?? 0, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      onward.pipe(socket)
      socket.pipe(onward)
    })
    onward.on('error', () => socket.destroy())
    socket.on('close', () => onward.destroy())
  })
  return proxy
}
