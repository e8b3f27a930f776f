import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { buildConnector } from 'undici'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDispatchers } from '../../src/remote/dispatchers.ts'

describe('a SOCKS proxy', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'airgap-socks-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it.each(['http', 'https'])('gets the greeting of SOCKS 5 (RFC 1928), not TLS, for %s', async scheme => {
    const caFile = join(folder, 'ca.pem')
    await writeFile(caFile, rootCertificates[0]!)
    for (const file of [undefined, caFile]) {
      const received: Buffer[] = []
      const proxy = createServer(socket => {
        socket.on('error', () => undefined)
        socket.once('data', bytes => {
          received.push(bytes)
          socket.destroy()
        })
      })
      proxy.listen(0, '127.0.0.1')
      await once(proxy, 'listening')
      const { port } = proxy.address() as AddressInfo
      const dispatchers = createDispatchers({
        connections: 1,
        stallMs: 5_000,
        connectTimeoutMs: 5_000,
        caFile: file,
        env: { ALL_PROXY: `socks5://127.0.0.1:${port}` },
        connector: buildConnector,
      })
      try {
        const url = new URL(`${scheme}://registry.example/v2/`)
        const request = dispatchers
          .for(url)
          .request({ origin: url.origin, path: url.pathname, method: 'GET' })
        await expect(request).rejects.toThrow()
        expect(received[0]?.[0]).toBe(5)
      } finally {
        await dispatchers.close()
        proxy.close()
      }
    }
  })
})
