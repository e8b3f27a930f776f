import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import type { ClientFile } from '../../../src/kinds/client-file.ts'
import { createHttpServer } from '../../../src/serve/files.ts'
import { createRegistryServer } from '../../../src/serve/registry.ts'
import type { SiteAddress } from '../../../src/site/address.ts'
import { mergedStore, type SiteContent } from '../../../src/site/content.ts'
import type { SiteKey } from '../../../src/site/site-key.ts'
import { httpView, registryView } from '../../../src/site/site-view.ts'
import { must } from '../../kinds/deb/support/programs.ts'

/** A CA made by openssl, and a certificate for 127.0.0.1 of it. All PEM. */
export interface TestCa {
  ca: string
  certificate: string
  key: string
}

export async function makeCa(folder: string, name: string): Promise<TestCa> {
  const at = (file: string) => join(folder, `${name}-${file}`)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  await writeFile(at('names'), 'subjectAltName=IP:127.0.0.1\n')
  await must('openssl', [
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.crt'),
    '-subj',
    `/CN=${name}`,
    '-days',
    '30',
  ])
  await must('openssl', ['req', ...newKey, '-keyout', at('key'), '-out', at('csr'), '-subj', '/CN=server'])
  const signing = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '30']
  await must('openssl', [
    'x509',
    '-req',
    '-in',
    at('csr'),
    '-out',
    at('crt'),
    '-extfile',
    at('names'),
    ...signing,
  ])
  const [ca = '', certificate = '', key = ''] = await Promise.all(
    ['ca.crt', 'crt', 'key'].map(file => readFile(at(file), 'utf8')),
  )
  return { ca, certificate, key }
}

/** Both servers of a site with TLS on loopback, and the files for its machines. */
export interface SecuredSite extends AsyncDisposable {
  address: SiteAddress
  clients: ClientFile[]
}

/** Serves the bundles behind a program that ends TLS. */
export async function serveSecured(
  contents: SiteContent[],
  { key, ca }: { key: SiteKey; ca: TestCa },
): Promise<SecuredSite> {
  const resources = new AsyncDisposableStack()
  const [registryEnd, httpEnd] = [await endTls(ca), await endTls(ca)]
  resources.use(registryEnd)
  resources.use(httpEnd)
  const address: SiteAddress = {
    scheme: 'https',
    host: '127.0.0.1',
    registryPort: registryEnd.port,
    httpPort: httpEnd.port,
  }
  const { images, mirrors } = await registryView(contents, { address })
  const now = () => new Date()
  const view = await httpView(contents, { address, key, site: 'test', mirrors, now, ca: ca.ca })
  const store = mergedStore(contents)
  const servers = [
    { end: registryEnd, server: createRegistryServer(store, images) },
    { end: httpEnd, server: createHttpServer(store, view.mounts) },
  ]
  for (const { end, server } of servers) {
    await server.listen({ port: 0, host: '127.0.0.1' })
    resources.defer(() => server.close())
    end.target((server.server.address() as AddressInfo).port)
  }
  return { address, clients: view.clients, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

async function endTls({ certificate, key }: TestCa) {
  let port = 0
  const server = createTlsServer({ cert: certificate, key }, socket => {
    const onward = connect(port, '127.0.0.1')
    const destroy = () => {
      socket.destroy()
      onward.destroy()
    }
    for (const end of [socket, onward]) end.on('error', destroy)
    socket.pipe(onward).pipe(socket)
  })
  // a client that does not trust the certificate ends the handshake
  server.on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    target(to: number) {
      port = to
    },
    async [Symbol.asyncDispose]() {
      await new Promise(resolve => server.close(resolve))
    },
  }
}
