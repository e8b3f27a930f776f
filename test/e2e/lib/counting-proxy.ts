import { connect, createServer, type Socket } from 'node:net'

/** A TCP proxy on loopback that counts the bytes from upstream, and can be slowed down. */
export interface CountingProxy {
  host: string
  /** bytes received from upstream so far */
  received(): number
  close(): Promise<void>
}

export async function startCountingProxy(
  target: string,
  bytesPerSecond = Number.POSITIVE_INFINITY,
): Promise<CountingProxy> {
  const [host, port] = target.split(':') as [string, string]
  const sockets = new Set<Socket>()
  let received = 0
  const started = performance.now()
  const server = createServer(client => {
    const upstream = connect(Number(port), host)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.once('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
      socket.on('error', () => socket.destroy())
    }
    client.pipe(upstream)
    upstream.on('data', chunk => {
      received += chunk.length
      const due = (received / bytesPerSecond) * 1000 - (performance.now() - started)
      const room = client.write(chunk)
      if (room && due <= 0) return
      upstream.pause()
      if (due > 0) setTimeout(() => upstream.resume(), due)
      else client.once('drain', () => upstream.resume())
    })
    upstream.once('end', () => client.end())
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return {
    host: `127.0.0.1:${(server.address() as { port: number }).port}`,
    received: () => received,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(done => server.close(done))
    },
  }
}
