import { connect, createServer, type Socket } from 'node:net'

export interface CuttingProxy {
  /** host:port */
  host: string
  /** connections that were cut */
  cuts(): number
  /** bytes that passed, both ways */
  passed(): number
  close(): Promise<void>
}

/** A TCP proxy on loopback that resets all of its connections `times` times, each time after `bytes` more have passed. */
export async function startCuttingProxy(
  target: string,
  { times, bytes }: { times: number; bytes: number },
): Promise<CuttingProxy> {
  const [host, port] = target.split(':') as [string, string]
  const sockets = new Set<Socket>()
  let passed = 0
  let cuts = 0
  const count = (length: number) => {
    passed += length
    if (cuts >= times || passed < (cuts + 1) * bytes) return
    cuts++
    for (const socket of sockets) socket.resetAndDestroy()
  }
  const server = createServer(client => {
    const upstream = connect(Number(port), host)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('data', chunk => count(chunk.length))
      socket.once('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    upstream.pipe(client)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return {
    host: `127.0.0.1:${(server.address() as { port: number }).port}`,
    cuts: () => cuts,
    passed: () => passed,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(done => server.close(done))
    },
  }
}
