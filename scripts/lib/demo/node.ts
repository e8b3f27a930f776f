import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrorCode } from '../../../src/core/errors.ts'
import type { ClosedNetwork } from '../machines/closed-network.ts'
import type { SiteNode } from '../machines/containerd-node.ts'
import { type DemoContext, notShown } from './context.ts'
import type { Shown } from './report.ts'

export interface NodeUnderTest {
  network: ClosedNetwork
  node: SiteNode
  /** references of the images that the bundle carries */
  images: string[]
}

/** Runs stock clients on a node, with the files that offline-deploy wrote into its root: containerd pulls and runs, apt-get installs. */
export async function showNode(context: DemoContext, site: NodeUnderTest): Promise<void> {
  if (site.images.length > 0) await showContainerd(context, site)
  await showApt(context, site)
}

/** Bytes that the node received meanwhile. */
async function measured({ network }: NodeUnderTest, action: () => Promise<string>): Promise<Shown> {
  const before = await network.node.received()
  const text = await action()
  return { text, bytes: (await network.node.received()) - before }
}

async function showContainerd({ report }: DemoContext, site: NodeUnderTest): Promise<void> {
  const { node, images } = site
  const certs = join(node.root, 'etc', 'containerd', 'certs.d')
  await report.step('containerd starts on the node, with the mirror configuration', () =>
    node.startContainerd(certs),
  )
  for (const image of images) {
    await report.step(
      `containerd pulls ${image} through the mirror`,
      () =>
        measured(site, async () => lastLine(await node.ctr(['images', 'pull', '--hosts-dir', certs, image]))),
      shown => shown,
    )
  }
  const image = images.find(name => name.includes('/busybox:'))
  if (image === undefined) return
  await report.step(
    'containerd runs a container of busybox',
    async () => {
      const script = 'echo "hello from $(uname -m) in a closed network"'
      const output = await node.ctr(['run', '--rm', image, 'airgap-demo', '/bin/sh', '-c', script])
      if (!output.includes('in a closed network'))
        throw notShown(`unexpected output of the container: ${output}`, image)
      return output
    },
    text => ({ text }),
  )
}

async function showApt({ report }: DemoContext, site: NodeUnderTest): Promise<void> {
  const { node, network } = site
  await report.step(
    'apt-get update on the node: the site’s repository only, its signature verified',
    () =>
      measured(site, async () => {
        const text = await node.chroot(['apt-get', 'update'])
        const configured = (await node.chroot(['apt-get', 'indextargets', '--format', '$(SITE)']))
          .trim()
          .split('\n')
        const others = configured.filter(place => !place.startsWith(`http://${network.site.address}:`))
        if (others.length > 0) throw notShown('apt also uses other repositories', others.join(', '))
        return text
      }),
    shown => shown,
  )
  await report.step(
    'apt-get refuses the same repository if another key is configured',
    () => refusedWithOtherKey(site),
    text => ({ text }),
  )
  await report.step(
    'apt-get installs jq and socat with their dependencies',
    () =>
      measured(site, async () => {
        const text = await node.chroot(['apt-get', 'install', '-y', '--no-install-recommends', 'jq', 'socat'])
        return /\d+ upgraded, \d+ newly installed.*/.exec(text)?.[0] ?? lastLine(text)
      }),
    shown => shown,
  )
  await report.step(
    'jq runs',
    async () => {
      const output = await node.chroot(['sh', '-c', 'echo \'{"site":"closed"}\' | jq -r .site'])
      if (output.trim() !== 'closed') throw notShown(`unexpected output of jq: ${output}`, 'jq')
      return output
    },
    text => ({ text }),
  )
}

/** Counter-check: with Debian's key in place of the site's, apt must refuse. */
async function refusedWithOtherKey({ node }: NodeUnderTest): Promise<string> {
  const text = await node.chroot(['sh', '-c', 'cat /etc/apt/sources.list.d/*.sources'])
  const other = text.replace(/^Signed-By: .*$/m, 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg')
  if (other === text) throw notShown('the source names no key', '/etc/apt/sources.list.d')
  // below /root, because /tmp is a separate mount inside
  const folder = join(node.root, 'root', 'other-key')
  await mkdir(join(folder, 'lists', 'partial'), { recursive: true })
  await writeFile(join(folder, 'other.sources'), other)
  try {
    await node.chroot([
      'apt-get',
      '-o',
      'Dir::Etc::SourceList=/root/other-key/other.sources',
      '-o',
      'Dir::Etc::SourceParts=/dev/null',
      '-o',
      'Dir::State::lists=/root/other-key/lists',
      '-o',
      'APT::Sandbox::User=root',
      'update',
    ])
  } catch (error) {
    const output = isErrorCode(error, 'STEP_FAILED') ? error.message.split('\n') : []
    const reason = output.find(line => /NO_PUBKEY|not signed/.test(line))
    if (reason === undefined) throw error
    return reason
  }
  throw notShown('apt-get accepted a repository that another key signed', 'apt-get update')
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
