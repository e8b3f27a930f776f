import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type ClosedNetwork, openClosedNetwork } from './closed-network.ts'
import { debianRoot } from './debian-images.ts'
import { Report } from './demo-report.ts'
import { freePort } from './docker-registry.ts'
import { openNode, type SiteNode } from './node.ts'
import { has, run } from './run.ts'
import { startUpstream } from './upstream.ts'

/** `scripts/demo`: the main job from end to end. Every line of the report was really done. */

const home = resolve(import.meta.dirname, '..', '..')
const online = process.argv.includes('--online')
const keep = process.argv.includes('--keep')
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'airgap-demo')
const report = new Report()

const needs = {
  upstream: ['docker-registry', 'skopeo', 'mmdebstrap', 'dpkg-deb', 'apt-get', 'helm'],
  network: ['ip', 'iptables', 'sysctl'],
  node: ['mmdebstrap', 'containerd', 'ctr', 'runc', 'mount'],
}
const isRoot = process.getuid?.() === 0

/** Whether a part can be shown here; if not, says why. */
function possible(part: keyof typeof needs, what: string): boolean {
  const missing = needs[part].filter(program => !has(program))
  if (isRoot && missing.length === 0) return true
  report.leftOut(what, missing.length > 0 ? `missing: ${missing.join(', ')}` : 'not root')
  return false
}

async function main(): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'airgap-demo-'))
  const cleanUp: (() => Promise<void>)[] = []
  const end = async () => {
    for (const step of cleanUp.reverse())
      await step().catch(error => process.stderr.write(`clean-up: ${error}\n`))
    cleanUp.length = 0
    if (keep) process.stdout.write(`\nkept: ${work}\n`)
    else await rm(work, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void end().then(() => process.exit(signal === 'SIGINT' ? 130 : 143)))
  }
  try {
    const bundle = await buildOnConnectedHost(work, cleanUp)
    await deployInClosedNetwork({ work, bundle, cleanUp })
  } finally {
    await end()
  }
  process.stdout.write(report.text())
  process.exitCode = report.failed ? 1 : 0
}

/** Connected host: manifest → lock → bundle, verified. */
async function buildOnConnectedHost(work: string, cleanUp: (() => Promise<void>)[]): Promise<string> {
  const options = [
    '-f',
    join(home, 'manifests', 'demo.yaml'),
    '--lock',
    join(work, 'demo.lock.json'),
    '--cache',
    join(work, 'cache'),
  ]
  if (!online && possible('upstream', 'images, chart and file (they need an upstream here, or --online)')) {
    const upstream = await report.step('upstream on loopback, images made of Debian packages', () =>
      startUpstream(cache),
    )
    cleanUp.push(upstream.close)
    options.push(...upstream.remap.flatMap(remap => ['--remap', remap]))
  } else if (!online) {
    options[1] = await debsOnly(work)
  }
  const airgap = (args: string[]) =>
    run([process.execPath, join(home, 'dist', 'airgap.mjs'), ...args], { cwd: work })
  await report.step(
    'airgap lock: every item to an exact digest',
    () => airgap(['lock', ...options]),
    text => text,
  )
  const bundle = join(work, 'demo-1.0.0.tar')
  await report.step(
    'airgap build',
    () => airgap(['build', ...options, '--frozen', '--out', bundle]),
    text => text,
  )
  await report.step(
    'airgap verify',
    () => airgap(['verify', bundle]),
    text => text,
  )
  await report.step(
    'skopeo and tar read the bundle without this tool',
    async () => {
      const names = (await run(['tar', 'tf', bundle])).trim().split('\n').length
      if (!has('skopeo') || (!online && !isRoot)) return `tar: ${names} entries`
      const image = `oci-archive:${bundle}:docker.io/library/busybox:1.36.1`
      const { Digest } = JSON.parse(await run(['skopeo', 'inspect', image])) as { Digest: string }
      return `tar: ${names} entries; skopeo: busybox ${Digest.slice(0, 19)}…`
    },
    text => text,
  )
  report.size('bundle', (await stat(bundle)).size)
  return bundle
}

/** Without root there is no upstream to make: Debian's archive is still real. */
async function debsOnly(work: string): Promise<string> {
  const text = await readFile(join(home, 'manifests', 'demo.yaml'), 'utf8')
  const kept = text
    .replace(/^images:\n(?: .*\n)+/m, '')
    .replace(/^charts:\n(?: .*\n)+/m, '')
    .replace(/^files:\n(?: .*\n)+/m, '')
  const folder = join(work, 'manifests')
  await mkdir(folder)
  for (const name of ['package-lists', 'bundle'])
    await cp(join(home, name), join(work, name), { recursive: true })
  await cp(join(home, 'manifests', 'keys'), join(folder, 'keys'), { recursive: true })
  await writeFile(join(folder, 'demo.yaml'), kept)
  return join(folder, 'demo.yaml')
}

interface Deployment {
  work: string
  bundle: string
  cleanUp: (() => Promise<void>)[]
}

/** The closed site: one folder carried in, one program run. */
async function deployInClosedNetwork({ work, bundle, cleanUp }: Deployment): Promise<void> {
  const disk = join(work, 'usb')
  await mkdir(disk)
  await report.step(
    'sneakernet: the bundle is copied to the site, the program unpacked from it',
    async () => {
      await cp(bundle, join(disk, 'demo-1.0.0.tar'))
      await run(['tar', 'xf', 'demo-1.0.0.tar', 'offline-deploy'], { cwd: disk })
    },
  )
  const network = possible('network', 'the closed network (done on loopback instead)')
    ? await openClosedNetwork()
    : undefined
  if (network) cleanUp.push(network.close)
  const nodeRoot = join(work, 'node', 'root')
  const node =
    network && possible('node', 'the node: containerd, apt-get')
      ? await openNodeOf(network, { work, cleanUp })
      : undefined
  const address = network?.site.address ?? '127.0.0.1'
  const ports = network
    ? { registry: 35000, http: 8080 }
    : { registry: await freePort(), http: await freePort() }
  const deploy = offlineDeploy({
    disk,
    network,
    address,
    ports,
    nodeRoot: node?.root ?? nodeRoot,
    site: join(work, 'site'),
  })
  cleanUp.push(async () => {
    await deploy(['stop'])
  })
  await report.step(
    'offline-deploy apply, with an empty environment',
    () => deploy(['apply', '--yes']),
    text => text,
  )
  await report.step(
    'offline-deploy apply once more: nothing left to do',
    () => deploy(['apply', '--yes']),
    text => lastLine(text),
  )
  const registry = `${address}:${ports.registry}`
  const http = `http://${address}:${ports.http}`
  await showValues(join(work, 'site'))
  const inside = network ? network.node.inside : (command: string[]) => command
  if (has('helm')) await showHelm({ inside, registry, http, work })
  if (network && node) await showNode({ network, node, registry })
  if (network) {
    const attempts = await network.escapeAttempts()
    report.fact('packets that tried to leave', String(attempts), attempts === 0)
    await report.step(
      'the counter counts: one packet is sent out on purpose',
      async () => {
        await run(
          network.node.inside([
            'sh',
            '-c',
            'echo x > /dev/udp/192.0.2.1/9 2>/dev/null || bash -c "echo x > /dev/udp/192.0.2.1/9"',
          ]),
        ).catch(() => '')
        const now = await network.escapeAttempts()
        if (now <= attempts) throw new Error('the packet was not counted')
        return `${now - attempts} counted`
      },
      text => text,
    )
  }
}

function offlineDeploy(site: {
  disk: string
  network: ClosedNetwork | undefined
  address: string
  ports: { registry: number; http: number }
  nodeRoot: string
  site: string
}): (args: string[]) => Promise<string> {
  const options = [
    ...['--site', site.site, '--env', 'prod', '--address', site.address, '--node-root', site.nodeRoot],
    ...['--registry-port', String(site.ports.registry), '--http-port', String(site.ports.http)],
  ]
  return args => {
    const program = [
      join(site.disk, 'offline-deploy', 'offline-deploy'),
      args[0]!,
      ...options,
      ...args.slice(1),
    ]
    // `env -i`: no PATH, no HOME, nothing
    return run(site.network ? site.network.site.inside(['env', '-i', ...program]) : ['env', '-i', ...program])
  }
}

async function openNodeOf(
  network: ClosedNetwork,
  options: { work: string; cleanUp: (() => Promise<void>)[] },
): Promise<SiteNode> {
  const rootTar = await debianRoot(cache)
  const folder = join(options.work, 'node')
  await mkdir(folder)
  const node = await openNode(network.node, { folder, rootTar })
  options.cleanUp.push(node.close)
  return node
}

async function showValues(site: string): Promise<void> {
  await report.step(
    'values.yaml points at the site; comments and order are as they were',
    async () => {
      const found = (await readdir(site, { recursive: true })).find(name =>
        name.endsWith('environments/prod/values.yaml'),
      )
      if (!found) throw new Error('no values.yaml was laid down')
      const before = (await readFile(join(home, 'bundle/demo/environments/prod/values.yaml'), 'utf8')).split(
        '\n',
      )
      const after = (await readFile(join(site, found), 'utf8')).split('\n')
      if (before.length !== after.length) throw new Error('lines came or went')
      const changed = before.flatMap((line, i) => (line === after[i] ? [] : [`- ${line}`, `+ ${after[i]}`]))
      if (changed.length !== 4) throw new Error(`not two lines were changed:\n${changed.join('\n')}`)
      return changed.join('\n')
    },
    text => text,
  )
}

async function showHelm(at: {
  inside: (command: string[]) => string[]
  registry: string
  http: string
  work: string
}): Promise<void> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: join(at.work, 'helm-home') }
  await mkdir(env.HOME, { recursive: true })
  const helm = (args: string[]) => run(at.inside(['helm', ...args]), { env, cwd: env.HOME })
  await report.step(
    'helm pulls the chart from the registry (OCI)',
    () => helm(['pull', `oci://${at.registry}/charts/csi-driver-nfs`, '--version', 'v4.7.0', '--plain-http']),
    text => text,
  )
  await report.step('helm pulls the chart from the repository (HTTP)', async () => {
    await helm(['repo', 'add', 'site', `${at.http}/charts`])
    return await helm(['pull', 'site/csi-driver-nfs', '--version', 'v4.7.0', '--untar'])
  })
}

async function showNode({
  network,
  node,
  registry,
}: {
  network: ClosedNetwork
  node: SiteNode
  registry: string
}): Promise<void> {
  const certs = join(node.root, 'etc', 'containerd', 'certs.d')
  await report.step('containerd on the node starts with the mirror configuration', () =>
    node.startContainerd(certs),
  )
  for (const image of [
    'docker.io/library/busybox:1.36.1',
    'docker.io/astrago/toolbox:1.36.1',
    'docker.io/library/debian:12-slim',
    'registry.k8s.io/pause:3.9',
  ]) {
    await report.step(
      `containerd pulls ${image} through the mirror`,
      () => node.ctr(['images', 'pull', '--hosts-dir', certs, image]),
      lastLine,
    )
  }
  await report.step(
    'containerd runs a container of it',
    async () => {
      const said = await node.ctr([
        'run',
        '--rm',
        'docker.io/library/busybox:1.36.1',
        'demo',
        '/bin/sh',
        '-c',
        'echo "hello from $(uname -m) in a closed network"',
      ])
      if (!said.includes('closed network')) throw new Error(said)
      return said
    },
    text => text,
  )
  await report.step(
    'apt-get on the node: signed repository of the site',
    () => node.chroot(['apt-get', 'update']),
    text => text,
  )
  await report.step(
    'apt-get installs jq and socat with their dependencies',
    () => node.chroot(['apt-get', 'install', '-y', '--no-install-recommends', 'jq', 'socat']),
    text => countInstalled(text),
  )
  await report.step(
    'jq runs',
    () => node.chroot(['sh', '-c', 'echo \'{"site":"closed"}\' | jq -r .site']),
    text => text,
  )
  void network
  void registry
}

function countInstalled(text: string): string {
  return /\d+ upgraded, \d+ newly installed.*/.exec(text)?.[0] ?? lastLine(text)
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}

await main()
