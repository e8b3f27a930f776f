import { mkdir, readdir, readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { digestOf, hexOf } from '../../../src/core/digest.ts'
import { chartTgz, indexYaml } from '../../kinds/chart/support.ts'
import { Gpg, makeArchive, signArchive } from '../../kinds/deb/support/archive.ts'
import { tempFolder } from '../../kinds/deb/support/programs.ts'
import { wheelFile } from '../../kinds/wheel/support/wheel-file.ts'

/** What a publisher has: an apt archive, charts, a Python index and a file. */
export interface Publisher {
  /** an empty folder, with a folder `home` */
  work: string
  /** path → content */
  files: Map<string, Buffer>
  /** path of the key that signs the archive */
  keys: string
}

export const chartFile = chartTgz({ name: 'web', version: '1.2.3' })
export const wheel = wheelFile({ name: 'pear', version: '1.0' }).bytes

export async function makePublisher(
  resources: AsyncDisposableStack,
  links: { chart: string; wheel: string } = {
    chart: 'web-1.2.3.tgz',
    wheel: '../../packages/pear-1.0-py3-none-any.whl',
  },
): Promise<Publisher> {
  const work = resources.use(await tempFolder()).path
  await mkdir(join(work, 'home'))
  const gpg = resources.use(await Gpg.open(join(work, 'gnupg')))
  await gpg.makeKey('publisher')
  const keys = await gpg.exportTo(join(work, 'publisher.asc'), 'publisher')
  const archive = join(work, 'archive')
  await makeArchive(archive, { suite: 'stable', packages: [{ name: 'app' }] })
  await signArchive(archive, { gpg, suite: 'stable', users: ['publisher'] })
  const files = new Map<string, Buffer>()
  for (const entry of await readdir(archive, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile()) files.set(`/debs${path.slice(archive.length)}`, await readFile(path))
  }
  const digest = hexOf(digestOf(chartFile))
  files.set('/charts/web-1.2.3.tgz', chartFile)
  files.set(
    '/charts/index.yaml',
    Buffer.from(indexYaml({ web: [{ version: '1.2.3', url: links.chart, digest }] })),
  )
  files.set('/packages/pear-1.0-py3-none-any.whl', wheel)
  files.set(
    '/simple/pear/',
    Buffer.from(
      `<a href="${links.wheel.replaceAll('&', '&amp;')}#sha256=${hexOf(digestOf(wheel))}">pear-1.0-py3-none-any.whl</a>`,
    ),
  )
  files.set('/tools/tool', Buffer.from('a tool'))
  return { work, files, keys }
}

/** Starts a server on loopback that ends with the resources. Returns its origin. */
export async function serveOn(
  resources: AsyncDisposableStack,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  resources.defer(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export function send(request: IncomingMessage, response: ServerResponse, found: Buffer | undefined): void {
  if (found === undefined) response.writeHead(404).end()
  else
    response
      .writeHead(200, { 'content-length': found.length, 'content-type': 'application/octet-stream' })
      .end(request.method === 'HEAD' ? undefined : found)
}

/** Every file of a folder, whole. */
export async function contentOf(folder: string): Promise<Buffer[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return await Promise.all(
    entries.filter(entry => entry.isFile()).map(entry => readFile(join(entry.parentPath, entry.name))),
  )
}
