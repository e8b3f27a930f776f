import { createReadStream, existsSync } from 'node:fs'
import { copyFile, cp, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join, normalize } from 'node:path'
import { debianRoot, makeBusybox, makeDebian } from './debian-images.ts'
import { startDockerRegistry } from './docker-registry.ts'
import { run } from './run.ts'

/** Stands in for the public registries, chart repositories and download hosts that the demo's manifest names. */
export interface Upstream {
  /** `--remap` arguments that send the manifest there */
  remap: string[]

  close(): Promise<void>
}

const home = join(import.meta.dirname, '..', '..')

/** `cache` keeps what is slow to make (the Debian root). Root only, for mmdebstrap. */
export async function startUpstream(cache: string): Promise<Upstream> {
  const work = await mkdtemp(join(tmpdir(), 'airgap-upstream-'))
  const registry = await startDockerRegistry(join(work, 'registry'))
  try {
    const busybox = join(work, 'busybox')
    await makeBusybox(busybox)
    const debian = await cachedDebian(cache)
    registry.push(`${busybox}:busybox`, 'docker.io/library/busybox:1.36.1', ['--all'])
    registry.push(`${debian}:debian`, 'docker.io/library/debian:12-slim')
    registry.push(`${busybox}:pause`, 'registry.k8s.io/pause:3.9', ['--format', 'v2s2'])
    const files = join(work, 'files')
    await makeCharts(join(files, 'csi-driver-nfs'))
    await makeHelmArchive(join(files, 'get.helm.sh'))
    const server = await serveFolder(files)
    const { port } = server.address() as { port: number }
    return {
      remap: [
        `docker.io=http://${registry.host}/docker.io`,
        `registry.k8s.io=http://${registry.host}/registry.k8s.io`,
        `https://raw.githubusercontent.com/kubernetes-csi/csi-driver-nfs/master/charts=http://127.0.0.1:${port}/csi-driver-nfs`,
        `https://get.helm.sh=http://127.0.0.1:${port}/get.helm.sh`,
      ],
      async close() {
        server.closeAllConnections()
        await new Promise(done => server.close(done))
        await registry.close()
        await rm(work, { recursive: true, force: true })
      },
    }
  } catch (error) {
    await registry.close()
    await rm(work, { recursive: true, force: true })
    throw error
  }
}

async function cachedDebian(cache: string): Promise<string> {
  const layout = join(cache, 'debian-image')
  if (existsSync(layout)) return layout
  const part = `${layout}.${process.pid}`
  try {
    await makeDebian(part, await debianRoot(cache))
    await rename(part, layout)
  } finally {
    await rm(part, { recursive: true, force: true })
  }
  return layout
}

/** A real chart repository, made by helm from a chart of ours under the public one's name and version. */
async function makeCharts(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const chart = join(folder, 'csi-driver-nfs')
  await cp(join(home, 'bundle', 'demo', 'charts', 'csi-driver-nfs'), chart, { recursive: true })
  await run(['helm', 'package', chart, '--destination', folder])
  await rm(chart, { recursive: true })
  await run(['helm', 'repo', 'index', folder])
}

/** The archive that helm's publisher gives out, made from the helm that is here. */
async function makeHelmArchive(folder: string): Promise<void> {
  const inside = join(folder, 'linux-amd64')
  await mkdir(inside, { recursive: true })
  const helm = (await run(['sh', '-c', 'command -v helm'])).trim()
  await copyFile(helm, join(inside, 'helm'))
  await writeFile(join(inside, 'README.md'), 'helm, as this demo found it\n')
  const archive = join(folder, 'helm-v3.16.4-linux-amd64.tar.gz')
  await run([
    'tar',
    '--sort=name',
    '--mtime=@0',
    '--owner=0',
    '--group=0',
    '-czf',
    archive,
    '-C',
    folder,
    'linux-amd64',
  ])
  await rm(inside, { recursive: true })
}

/** A plain file server on loopback, with sizes. */
async function serveFolder(folder: string): Promise<Server> {
  const server = createServer(async (request, response) => {
    const path = join(folder, normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname)))
    const found = await stat(path).catch(() => undefined)
    if (!found?.isFile() || !path.startsWith(folder)) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { 'content-length': found.size, 'content-type': 'application/octet-stream' })
    if (request.method === 'HEAD') response.end()
    else createReadStream(path).pipe(response)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return server
}
