import { existsSync } from 'node:fs'
import { copyFile, cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { home } from '../places.ts'
import { run } from '../run.ts'
import { busyboxLayout, debianImageLayout, debianRoot, makeBusybox, makeDebian } from './debian-images.ts'
import { startDockerRegistry } from './docker-registry.ts'
import { serveFolder } from './serve-folder.ts'

/** Local servers in place of the public registries, chart repositories and download hosts that the demo's manifest names. */
export interface Upstream extends AsyncDisposable {
  /** arguments of `--remap` that redirect the manifest's hosts to these servers */
  remap: string[]
  close(): Promise<void>
}

/** What to serve; each part needs other programs. */
export interface UpstreamParts {
  /** busybox and pause, in docker-registry */
  images: boolean
  /** also the Debian image */
  debian: boolean
  /** the chart, and helm's own archive as a file */
  helm: boolean
}

/** `cache` keeps the images, which are slow to make. */
export async function startUpstream(options: {
  cache: string
  parts: UpstreamParts
  signal?: AbortSignal
}): Promise<Upstream> {
  const { cache, parts, signal } = options
  await using opened = new AsyncDisposableStack()
  const work = await mkdtemp(join(tmpdir(), 'airgap-upstream-'))
  opened.defer(() => rm(work, { recursive: true, force: true }))
  const remap: string[] = []
  if (parts.images) {
    const registry = await startDockerRegistry(join(work, 'registry'))
    opened.defer(() => registry.close())
    const busybox = await cached(busyboxLayout(cache), makeBusybox)
    signal?.throwIfAborted()
    registry.push(`${busybox}:busybox`, 'docker.io/library/busybox:1.36.1', ['--all'])
    registry.push(`${busybox}:pause`, 'registry.k8s.io/pause:3.9', ['--format', 'v2s2'])
    if (parts.debian) registry.push(`${await cachedDebian(cache)}:debian`, 'docker.io/library/debian:12-slim')
    for (const host of ['docker.io', 'registry.k8s.io']) remap.push(`${host}=http://${registry.host}/${host}`)
  }
  signal?.throwIfAborted()
  if (parts.helm) {
    const files = join(work, 'files')
    await makeCharts(join(files, 'csi-driver-nfs'))
    await makeHelmArchive(join(files, 'get.helm.sh'))
    const server = await serveFolder(files)
    opened.defer(() => server.close())
    remap.push(
      `https://raw.githubusercontent.com/kubernetes-csi/csi-driver-nfs/master/charts=${server.url}/csi-driver-nfs`,
      `https://get.helm.sh=${server.url}/get.helm.sh`,
    )
  }
  signal?.throwIfAborted()
  const resources = opened.move()
  const close = () => resources.disposeAsync()
  return { remap, close, [Symbol.asyncDispose]: close }
}

function cachedDebian(cache: string): Promise<string> {
  return cached(debianImageLayout(cache), async folder => await makeDebian(folder, await debianRoot(cache)))
}

/** Makes a layout once: under its final name it is complete. */
async function cached(layout: string, make: (folder: string) => Promise<void>): Promise<string> {
  if (existsSync(layout)) return layout
  const part = `${layout}.${process.pid}`
  try {
    await make(part)
    // another run may have finished first, with the same content
    await rename(part, layout).catch(error => {
      if (!existsSync(layout)) throw error
    })
  } finally {
    await rm(part, { recursive: true, force: true })
  }
  return layout
}

/** Makes a chart repository with helm, from our own chart under the public chart's name and version. */
async function makeCharts(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const chart = join(folder, 'csi-driver-nfs')
  await cp(join(home, 'bundle', 'demo', 'charts', 'csi-driver-nfs'), chart, { recursive: true })
  await run(['helm', 'package', chart, '--destination', folder])
  await rm(chart, { recursive: true })
  await run(['helm', 'repo', 'index', folder])
}

/** Packs the helm of this host as its publisher does. */
async function makeHelmArchive(folder: string): Promise<void> {
  const inside = join(folder, 'linux-amd64')
  await mkdir(inside, { recursive: true })
  const helm = (await run(['sh', '-c', 'command -v helm'])).trim()
  await copyFile(helm, join(inside, 'helm'))
  await writeFile(join(inside, 'README.md'), 'helm of the host that ran this demo\n')
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
