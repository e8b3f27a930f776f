import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHttpClient } from '../../src/remote/http-client.ts'
import { missing, must } from '../kinds/deb/support/programs.ts'

const lacking = missing('openssl')

describe.skipIf(lacking.length > 0)(
  `entitlement certificates (needs ${lacking.join() || 'nothing more'})`,
  () => {
    let folder: string
    const servers: Server[] = []
    /** who was seen, by port */
    const seen: Record<number, string[]> = {}
    let home: string
    let other: string

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'airgap-mtls-'))
      const make = async (name: string) => {
        await must('openssl', [
          'req',
          '-x509',
          '-newkey',
          'rsa:2048',
          '-nodes',
          '-days',
          '2',
          '-subj',
          `/CN=${name}`,
          '-addext',
          'subjectAltName=DNS:localhost,IP:127.0.0.1',
          '-keyout',
          join(folder, `${name}.key`),
          '-out',
          join(folder, `${name}.crt`),
        ])
      }
      await make('server')
      await make('entitlement')
      const start = async (answer: (path: string) => { status: number; location?: string }) => {
        const server = createServer(
          {
            key: await readFile(join(folder, 'server.key')),
            cert: await readFile(join(folder, 'server.crt')),
            requestCert: true,
            rejectUnauthorized: false,
          },
          (request, response) => {
            const { CN } = (request.socket as TLSSocket).getPeerCertificate().subject ?? {}
            const { port } = server.address() as AddressInfo
            ;(seen[port] ??= []).push(`${request.url} ${CN ?? 'nobody'}`)
            const { status, location } = answer(request.url ?? '')
            response.writeHead(status, location === undefined ? {} : { location }).end('content')
          },
        )
        await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
        servers.push(server)
        return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
      }
      other = await start(() => ({ status: 200 }))
      home = await start(path =>
        path.endsWith('/away') ? { status: 302, location: `${other}/landed` } : { status: 200 },
      )
    })
    afterAll(async () => {
      for (const server of servers) {
        server.closeAllConnections()
        server.close()
      }
      await rm(folder, { recursive: true, force: true })
    })

    it('are presented under their prefix only: not on another path, and not after a redirect to another host', async () => {
      const certificate = join(folder, 'entitlement.crt')
      const http = createHttpClient({
        caFile: join(folder, 'server.crt'),
        clients: [{ prefix: `${home}/content/rhel9`, certificate, key: join(folder, 'entitlement.key') }],
        env: {},
      })
      try {
        for (const path of ['/content/rhel9/a', '/content/rhel9x/b', '/content/rhel9/away'])
          await http.get(`${home}${path}`, { maxBytes: 100 })
      } finally {
        await http.close()
      }
      expect(seen[Number(new URL(home).port)]).toEqual([
        '/content/rhel9/a entitlement',
        '/content/rhel9x/b nobody',
        '/content/rhel9/away entitlement',
      ])
      expect(seen[Number(new URL(other).port)]).toEqual(['/landed nobody'])
    })

    it('are reported at once if a file is missing', () => {
      expect(() =>
        createHttpClient({
          clients: [{ prefix: home, certificate: '/none.pem', key: '/none.key' }],
          env: {},
        }),
      ).toThrow(expect.objectContaining({ code: 'FILE_NOT_FOUND', item: '/none.pem' }))
    })
  },
)
