import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseDocument } from 'yaml'
import { home } from '../places.ts'
import { has, isRoot, run } from '../run.ts'
import { debianImageCached, debianRootPrograms } from '../upstreams/debian-images.ts'
import { startUpstream, type UpstreamParts } from '../upstreams/public-hosts.ts'
import { type DemoContext, obstacle } from './context.ts'

/** The connected host: manifest → lock → bundle, verified. Returns the path of the bundle. */
export async function buildOnConnectedHost(context: DemoContext): Promise<string> {
  const { report, work, signal } = context
  const stack = await stackOf(context)
  const options = [
    '-f',
    stack.manifest,
    '--lock',
    join(work, 'demo.lock.json'),
    '--cache',
    join(work, 'cache'),
    ...stack.remap.flatMap(remap => ['--remap', remap]),
  ]
  const airgap = (args: string[]) =>
    run([process.execPath, join(home, 'dist', 'airgap.mjs'), ...args], { cwd: work, signal })
  await report.step(
    'airgap lock: every item to an exact digest',
    () => airgap(['lock', ...options]),
    text => ({ text }),
  )
  const bundle = join(work, 'demo-1.0.0.tar')
  await report.step(
    'airgap build',
    async () => ({
      text: await airgap(['build', ...options, '--frozen', '--out', bundle]),
      bytes: (await stat(bundle)).size,
    }),
    shown => shown,
  )
  await report.step(
    'airgap verify',
    () => airgap(['verify', bundle]),
    text => ({ text }),
  )
  await showWithoutThisTool(context, { bundle, hasImages: stack.parts.images })
  return bundle
}

async function showWithoutThisTool(
  { report, work, signal }: DemoContext,
  { bundle, hasImages }: { bundle: string; hasImages: boolean },
): Promise<void> {
  const image = 'docker.io/library/busybox:1.36.1'
  const withSkopeo = hasImages && has('skopeo')
  await report.step(
    withSkopeo
      ? 'tar and skopeo read the bundle without this tool'
      : 'tar reads the bundle without this tool',
    async () => {
      const entries = (await run(['tar', 'tf', bundle], { signal })).trim().split('\n').length
      if (!withSkopeo) return `tar: ${entries} entries`
      // without root, skopeo cannot unpack a tar: it tries to change the owner of the files to root, as recorded
      const unpacked = join(work, 'unpacked')
      if (!isRoot) {
        await mkdir(unpacked)
        await run(['tar', 'xf', bundle, '-C', unpacked], { signal })
      }
      const source = isRoot ? `oci-archive:${bundle}` : `oci:${unpacked}`
      const found: unknown = JSON.parse(await run(['skopeo', 'inspect', `${source}:${image}`], { signal }))
      await rm(unpacked, { recursive: true, force: true })
      const digest =
        typeof found === 'object' && found !== null && 'Digest' in found ? found.Digest : undefined
      return `tar: ${entries} entries; skopeo: ${image} is ${digest}`
    },
    text => ({ text }),
  )
}

interface Stack {
  manifest: string
  remap: string[]
  parts: UpstreamParts
}

/** The demo's manifest, and what it is fetched from; without the parts that this machine cannot provide. */
async function stackOf(context: DemoContext): Promise<Stack> {
  const { report, options, cache, resources, signal } = context
  const manifest = join(home, 'manifests', 'demo.yaml')
  const everything: UpstreamParts = { images: true, debian: true, helm: true }
  if (options.online) return { manifest, remap: [], parts: everything }
  const parts = { ...everything }
  const leaveOut = (part: keyof UpstreamParts, what: string, why: string | undefined) => {
    if (why === undefined) return
    parts[part] = false
    report.leftOut(what, `${why} (--online fetches the public one)`)
  }
  leaveOut(
    'images',
    'images',
    obstacle({ root: false, programs: ['docker-registry', 'skopeo', 'apt-get', 'dpkg-deb', 'tar', 'gzip'] }),
  )
  if (!parts.images) parts.debian = false
  else if (!debianImageCached(cache))
    leaveOut('debian', 'the image debian:12-slim', obstacle({ root: true, programs: debianRootPrograms }))
  const wheels = await pypiAnswers()
  if (!wheels) report.leftOut('Python wheels', 'pypi.org cannot be reached')
  leaveOut('helm', 'the chart and the file', obstacle({ root: false, programs: ['helm', 'tar', 'gzip'] }))
  const upstream = await report.step(
    'upstream on loopback, with images made from Debian packages',
    async () => resources.use(await startUpstream({ cache, parts, signal })),
  )
  const whole = parts.images && parts.debian && parts.helm && wheels
  return {
    manifest: whole ? manifest : await reducedManifest(context.work, { ...parts, wheels }),
    remap: upstream.remap,
    parts,
  }
}

/** Debian's archive is required; PyPI cannot be reached from everywhere. */
async function pypiAnswers(): Promise<boolean> {
  const ask = ['curl', '--fail', '--silent', '--head', '--max-time', '10', 'https://pypi.org/simple/netaddr/']
  return await run(ask).then(
    () => true,
    () => false,
  )
}

/** Copies the stack with its lists, keys and trees, without the parts that have no upstream. */
async function reducedManifest(work: string, parts: UpstreamParts & { wheels: boolean }): Promise<string> {
  const folder = join(work, 'stack')
  await mkdir(folder)
  for (const name of ['manifests', 'image-lists', 'package-lists', 'bundle']) {
    if (existsSync(join(home, name))) await cp(join(home, name), join(folder, name), { recursive: true })
  }
  const manifest = join(folder, 'manifests', 'demo.yaml')
  const document = parseDocument(await readFile(manifest, 'utf8'))
  if (!parts.images) document.delete('images')
  if (!parts.wheels) document.delete('wheels')
  if (!parts.helm) for (const key of ['charts', 'files']) document.delete(key)
  await writeFile(manifest, document.toString())
  if (!parts.debian) {
    const list = join(folder, 'image-lists', 'demo.txt')
    const lines = (await readFile(list, 'utf8')).split('\n')
    await writeFile(list, lines.filter(line => !line.includes('/debian:')).join('\n'))
  }
  return manifest
}
