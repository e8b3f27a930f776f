import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrorCode } from '../../../src/core/errors.ts'
import { type ClosedNetwork, networkPrograms, openClosedNetwork } from '../machines/closed-network.ts'
import { nodePrograms, openNode, type SiteNode } from '../machines/containerd-node.ts'
import { home } from '../places.ts'
import { run } from '../run.ts'
import { debianRoot, debianRootPrograms } from '../upstreams/debian-images.ts'
import { freePort } from '../upstreams/docker-registry.ts'
import { type SiteUnderTest, showAptAsUser, showHelm, showImages, showPip } from './clients.ts'
import { type DemoContext, notShown, obstacle } from './context.ts'
import { showNode } from './node.ts'

/** The closed site: one disk is carried in, one program runs, real clients use it. */
export async function deployInClosedNetwork(context: DemoContext, bundle: string): Promise<void> {
  const { report, work, signal } = context
  const disk = join(work, 'usb')
  await mkdir(disk)
  await report.step('sneakernet: copy the bundle to the site, unpack the program from it', async () => {
    await cp(bundle, join(disk, 'demo-1.0.0.tar'))
    await run(['tar', 'xf', 'demo-1.0.0.tar', 'offline-deploy'], { cwd: disk, signal })
  })
  const network = await openNetwork(context)
  const node = network ? await openNodeIn(network, context) : undefined
  const nodeRoot = node?.root ?? join(work, 'node', 'root')
  // offline-deploy configures apt where a machine has it, with the repository of the machine's release
  await mkdir(join(nodeRoot, 'etc', 'apt'), { recursive: true })
  if (node === undefined) await writeFile(join(nodeRoot, 'etc', 'os-release'), bookworm)
  const address = network?.site.address ?? '127.0.0.1'
  const ports = network
    ? { registry: 35_000, http: 8080 }
    : { registry: await freePort(), http: await freePort() }
  await apply(context, { disk, network, address, ports, nodeRoot })
  await showValues(context)
  const site: SiteUnderTest = {
    registry: `${address}:${ports.registry}`,
    http: `http://${address}:${ports.http}`,
    nodeRoot,
    onNode: network ? network.node.inside : command => [...command],
  }
  const carried = await namesCarried(context, bundle)
  if (carried.charts.length > 0) await showHelm(context, site)
  if (network && node) await showNode(context, { network, node, images: carried.images })
  else {
    if (carried.images.length > 0) await showImages(context, site)
    await showAptAsUser(context, site)
  }
  if (carried.wheels) await showPip(context, site)
  if (network) await showThatNothingLeft(context, network)
}

async function openNetwork({ options, report, resources }: DemoContext): Promise<ClosedNetwork | undefined> {
  const why = options.network
    ? obstacle({ root: true, programs: networkPrograms })
    : 'because of --no-network-namespace'
  if (why === undefined) {
    try {
      const network = resources.use(await openClosedNetwork())
      await report.step(
        'a closed network of two hosts: no way out, no DNS, every attempt to leave is counted',
        () => network.escapeAttempts(),
        attempts => ({
          text: `${network.site.namespace}: ${network.site.address}\n${network.node.namespace}: ${network.node.address}\n${attempts} counted so far`,
        }),
      )
      return network
    } catch (error) {
      // root in a container may not be allowed to make namespaces
      if (!isErrorCode(error, 'STEP_FAILED')) throw error
      report.leftOut('the closed network (everything runs on loopback)', error.message.replaceAll('\n', ' '))
      return undefined
    }
  }
  report.leftOut('the closed network (everything runs on loopback)', why)
  return undefined
}

async function openNodeIn(network: ClosedNetwork, context: DemoContext): Promise<SiteNode | undefined> {
  const { report, cache, work, resources } = context
  const why = obstacle({ root: true, programs: [...nodePrograms, ...debianRootPrograms] })
  if (why !== undefined) {
    report.leftOut('the node: containerd, apt-get in a Debian root', why)
    return undefined
  }
  const rootTar = await debianRoot(cache)
  await mkdir(join(work, 'node'))
  return resources.use(await openNode(network.node, { folder: join(work, 'node'), rootTar }))
}

/** os-release(5) for the folder that stands for a node without network namespaces: the demo carries packages of Debian 12. */
const bookworm = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'

interface Site {
  disk: string
  network: ClosedNetwork | undefined
  address: string
  ports: { registry: number; http: number }
  nodeRoot: string
}

async function apply(context: DemoContext, site: Site): Promise<void> {
  const { report, resources, work, signal } = context
  const options = [
    '--site',
    join(work, 'site'),
    '--env',
    'prod',
    '--address',
    site.address,
    '--registry-port',
    String(site.ports.registry),
    '--http-port',
    String(site.ports.http),
    '--node-root',
    site.nodeRoot,
    '--plain-http',
    ...(site.network ? [] : ['--listen', site.address]),
  ]
  const deploy = (args: [string, ...string[]], stop?: AbortSignal) => {
    const program = join(site.disk, 'offline-deploy', 'offline-deploy')
    const [command, ...more] = args
    // `env -i`: no PATH, no HOME
    const bare = ['env', '-i', program, command, ...options, ...more]
    return run(site.network ? site.network.site.inside(bare) : bare, { signal: stop })
  }
  resources.defer(async () => {
    await deploy(['stop'])
  })
  await report.step(
    'offline-deploy apply, with an empty environment',
    () => deploy(['apply', '--yes'], signal),
    text => ({ text }),
  )
  await report.step(
    'offline-deploy apply again: nothing left to do',
    async () => {
      const text = await deploy(['apply', '--yes', '-o', 'json'], signal)
      const { steps } = JSON.parse(text) as { steps: { id: string; result: string }[] }
      return steps.map(step => `${step.id}: ${step.result}`).join(', ')
    },
    text => ({ text }),
  )
}

async function showValues({ report, work }: DemoContext): Promise<void> {
  const path = 'environments/prod/values.yaml'
  await report.step(
    'values.yaml points at the site; comments and order are unchanged',
    async () => {
      const site = join(work, 'site')
      const found = (await readdir(site, { recursive: true })).find(name => name.endsWith(path))
      if (found === undefined) throw notShown('no values file was written', path)
      const before = (await readFile(join(home, 'bundle', 'demo', path), 'utf8')).split('\n')
      const after = (await readFile(join(site, found), 'utf8')).split('\n')
      const changed = before.flatMap((line, i) => (line === after[i] ? [] : [`- ${line}`, `+ ${after[i]}`]))
      if (before.length !== after.length || changed.length !== 4)
        throw notShown(`other lines than the two expected ones changed:\n${changed.join('\n')}`, path)
      return changed.join('\n')
    },
    text => ({ text }),
  )
}

/** The images of the bundle, as `airgap inspect` lists them. */
async function namesCarried(
  { work, signal }: DemoContext,
  bundle: string,
): Promise<{ images: string[]; charts: string[]; wheels: boolean }> {
  const text = await run(
    [process.execPath, join(home, 'dist', 'airgap.mjs'), 'inspect', bundle, '-o', 'json'],
    {
      cwd: work,
      signal,
    },
  )
  const { items } = JSON.parse(text) as { items: { kind: string; name: string }[] }
  const names = (kind: string) => items.filter(item => item.kind === kind).map(item => item.name)
  return { images: names('image'), charts: names('chart'), wheels: names('wheel').length > 0 }
}

/** Reports the count of attempts to leave, then proves that attempts are counted. */
async function showThatNothingLeft({ report }: DemoContext, network: ClosedNetwork): Promise<void> {
  const attempts = await network.escapeAttempts()
  report.fact('packets that tried to leave', String(attempts), attempts === 0)
  await report.step(
    'counter-check: packets that are sent out on purpose are counted',
    async () => {
      for (const [type, address] of [
        ['udp4', '192.0.2.1'],
        ['udp6', '2001:db8::1'],
      ] as const) {
        const before = await network.escapeAttempts()
        const script = `require('dgram').createSocket('${type}').send('x', 9, '${address}', () => process.exit())`
        await run(network.node.inside([process.execPath, '-e', script]))
        if ((await network.escapeAttempts()) <= before) throw notShown('a packet was not counted', type)
      }
      return `${(await network.escapeAttempts()) - attempts} counted, of IPv4 and IPv6`
    },
    text => ({ text }),
  )
}
