import { spawn } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { renderReport } from '../../../src/cli/shell/images-report.ts'
import { AirgapError } from '../../../src/core/errors.ts'
import type { UsedImage } from '../../../src/discover/pair.ts'
import type { ImageReport } from '../../../src/discover/report.ts'
import { home } from '../places.ts'
import { requirePrograms, run } from '../run.ts'
import { answering, freePort } from '../upstreams/docker-registry.ts'
import { stackPrograms, startStackUpstream } from './stack-upstream.ts'

/** See scripts/rehearsal. */

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      charts: { type: 'string' },
      with: { type: 'string', multiple: true, default: [] },
      manifest: { type: 'string', default: join(home, 'manifests', 'astrago.yaml') },
    },
  })
  requirePrograms(stackPrograms, '--with-clients --with-tools --with-stack')
  await using resources = new AsyncDisposableStack()
  const work = await mkdtemp(join(tmpdir(), 'airgap-rehearsal-'))
  resources.defer(() => rm(work, { recursive: true, force: true }))
  const started = performance.now()
  const say = (text: string) =>
    console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${text}`)
  const manifest = resolve(values.manifest)
  const upstream = await startStackUpstream({
    manifest,
    variants: values.with,
    charts: values.charts,
    work,
    resources,
  })
  const { images, charts, files, wheels } = upstream
  say(`upstream: ${images} images, ${charts} charts, ${files} files, ${wheels} wheels`)
  const stack = [
    ...values.with.flatMap(name => ['--with', name]),
    '-f',
    manifest,
    '--lock',
    join(work, 'lock.json'),
    '--cache',
    join(work, 'cache'),
  ]
  const airgap = (...args: string[]) =>
    run([process.execPath, join(home, 'src', 'cli', 'airgap.ts'), ...args, '--test-upstream', upstream.layer])
  await airgap('lock', ...stack)
  say('airgap lock')
  const bundle = join(work, 'stack.tar')
  await airgap('build', ...stack, '--frozen', '--out', bundle)
  say(`airgap build: ${(await stat(bundle)).size} bytes`)
  const report = JSON.parse(await airgap('images', ...stack, '-o', 'json')) as ImageReport & {
    findings: number
  }
  const used = report.agreed.flatMap(image => image.used)
  say(`airgap images: ${report.findings} findings\n\n${renderReport(report, images)}\n`)
  const registry = await serve(bundle, { work, resources })
  const missing = await unanswered(used, registry)
  say(
    `${used.length - missing.length} of ${used.length} references of the rendered releases are in the served bundle`,
  )
  if (missing.length > 0 || used.length === 0) {
    throw new AirgapError('INCOMPLETE', 'the served bundle lacks images of the rendered releases', {
      item: missing.join(', '),
    })
  }
}

async function serve(
  bundle: string,
  options: { work: string; resources: AsyncDisposableStack },
): Promise<string> {
  const [port, http] = [await freePort(), await freePort()]
  const child = spawn(
    process.execPath,
    [
      join(home, 'src', 'cli', 'airgap.ts'),
      'serve',
      '--bundle',
      bundle,
      '--site',
      join(options.work, 'site'),
      '--address',
      '127.0.0.1',
      '--registry-port',
      `${port}`,
      '--http-port',
      `${http}`,
      '--plain-http',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  options.resources.defer(async () => {
    const ended = new Promise(done => child.once('close', done))
    child.kill('SIGTERM')
    await ended
  })
  await answering(`http://127.0.0.1:${port}/v2/`)
  return `http://127.0.0.1:${port}`
}

/** Requests images as a machine of the site does: the manifest by tag, then every layer. */
async function unanswered(used: readonly UsedImage[], registry: string): Promise<string[]> {
  const missing: string[] = []
  const accept = [
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.oci.image.index.v1+json',
    'application/vnd.docker.distribution.manifest.v2+json',
  ].join(', ')
  for (const { onSite } of used) {
    const name = onSite.slice(onSite.indexOf('/') + 1)
    const colon = name.lastIndexOf(':')
    const [repository, tag] = [name.slice(0, colon), name.slice(colon + 1)]
    const answer = await fetch(`${registry}/v2/${repository}/manifests/${tag}`, { headers: { accept } })
    const manifest = answer.ok ? ((await answer.json()) as { layers?: { digest: string }[] }) : undefined
    const layers = manifest?.layers ?? []
    const found = await Promise.all(
      layers.map(layer => fetch(`${registry}/v2/${repository}/blobs/${layer.digest}`, { method: 'HEAD' })),
    )
    if (layers.length === 0 || found.some(layer => !layer.ok)) missing.push(onSite)
  }
  return missing
}

try {
  await main()
} catch (error) {
  if (!(error instanceof AirgapError)) throw error
  console.error(
    `error ${error.code}: ${error.message}\n  item: ${error.item ?? ''}\n  next: ${error.next ?? ''}`,
  )
  process.exitCode = error.exitCode
}
