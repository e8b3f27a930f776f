import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { has, run } from '../run.ts'
import { type DemoContext, notShown, obstacle } from './context.ts'

/** The site as its clients reach it. */
export interface SiteUnderTest {
  /** host:port */
  registry: string
  /** http://host:port */
  http: string
  /** folder that holds the client configuration which offline-deploy wrote */
  nodeRoot: string
  /** wraps a command line so that it runs on another machine of the site than the server, where there is one */
  onNode(command: readonly string[]): string[]
}

const chart = { name: 'csi-driver-nfs', version: 'v4.7.0' }
const helmFile = 'files/get.helm.sh/helm-v3.16.4-linux-amd64.tar.gz'

/** Downloads helm from the site, and with it the chart, both from the registry and by HTTP. */
export async function showHelm({ report, work, signal }: DemoContext, site: SiteUnderTest): Promise<void> {
  const folder = join(work, 'helm')
  await mkdir(folder)
  const archive = join(folder, 'helm.tar.gz')
  const program = join(folder, 'linux-amd64', 'helm')
  await report.step(
    'curl downloads helm from the site',
    async () => {
      await run(site.onNode([process.execPath, '-e', download(`${site.http}/${helmFile}`, archive)]), {
        signal,
      })
      await run(['tar', '-xzf', archive, '-C', folder], { signal })
      return (await stat(archive)).size
    },
    bytes => ({ bytes }),
  )
  // only HOME is set: helm keeps its settings and caches there
  const helm = (args: string[]) =>
    run(site.onNode([program, ...args]), { env: { HOME: folder }, cwd: folder, signal })
  const pulled = async () => {
    const name = (await readdir(folder)).find(entry => entry.startsWith(chart.name) && entry.endsWith('.tgz'))
    if (name === undefined) throw notShown('helm pulled nothing', chart.name)
    return (await stat(join(folder, name))).size
  }
  await report.step(
    'helm pulls the chart from the registry (OCI)',
    async () => {
      const from = `oci://${site.registry}/charts/${chart.name}`
      return {
        text: await helm(['pull', from, '--version', chart.version, '--plain-http']),
        bytes: await pulled(),
      }
    },
    shown => shown,
  )
  await report.step(
    'helm pulls the chart from the repository (HTTP) and renders it',
    async () => {
      await helm(['repo', 'add', 'site', `${site.http}/charts`])
      await helm(['pull', `site/${chart.name}`, '--version', chart.version, '--untar'])
      const rendered = await helm(['template', 'demo', join(folder, chart.name)])
      return rendered.split('\n').filter(line => /^kind: /.test(line))
    },
    kinds => ({ text: [...new Set(kinds)].join('\n') }),
  )
}

function download(url: string, path: string): string {
  return `fetch(${JSON.stringify(url)}).then(answer => {
    if (!answer.ok) throw new Error(answer.status + ' ' + answer.url)
    return require('stream/promises').pipeline(answer.body, require('fs').createWriteStream(${JSON.stringify(path)}))
  })`
}

/** In place of containerd: another stock registry client. */
export async function showImages({ report, work, signal }: DemoContext, site: SiteUnderTest): Promise<void> {
  if (!has('skopeo')) {
    report.leftOut('pulling an image from the site', 'missing: skopeo')
    return
  }
  const image = `docker://${site.registry}/library/busybox:1.36.1`
  const target = join(work, 'pulled')
  await report.step(
    'skopeo pulls an image from the site and verifies every digest',
    async () => {
      await run(['skopeo', 'copy', '-q', '--src-tls-verify=false', image, `dir:${target}`], { signal })
      const sizes = await Promise.all(
        (await readdir(target)).map(async name => (await stat(join(target, name))).size),
      )
      return sizes.reduce((sum, size) => sum + size, 0)
    },
    bytes => ({ bytes }),
  )
}

/** Installs into a new virtual environment, with only the pip.conf that was written for the node. */
export async function showPip({ report, work, signal }: DemoContext, site: SiteUnderTest): Promise<void> {
  const what = 'pip installs netaddr from the site’s index'
  const settings = join(site.nodeRoot, 'etc', 'pip.conf')
  const why = obstacle({ root: false, programs: ['python3'] })
  if (why !== undefined || !existsSync(settings)) {
    report.leftOut(what, why ?? 'no pip.conf was written')
    return
  }
  const folder = join(work, 'venv')
  await report.step(
    what,
    async () => {
      await run(['python3', '-m', 'venv', folder], { signal })
      const env = { PATH: '/usr/bin:/bin', HOME: work, PIP_CONFIG_FILE: settings, PIP_NO_CACHE_DIR: '1' }
      const pip = site.onNode([join(folder, 'bin', 'pip'), '--disable-pip-version-check'])
      const text = await run([...pip, 'install', 'netaddr==0.9.0'], { env, signal })
      const script = "import netaddr; print(netaddr.IPNetwork('10.77.0.0/24').size)"
      const size = await run([join(folder, 'bin', 'python'), '-c', script], { signal })
      if (size.trim() !== '256') throw notShown(`unexpected output of netaddr: ${size}`, 'netaddr')
      return text.trim().split('\n').at(-1) ?? ''
    },
    text => ({ text }),
  )
}

/** In place of a node: this machine's apt with a private configuration, and the sources and key that were written for the node. */
export async function showAptAsUser(
  { report, work, signal }: DemoContext,
  site: SiteUnderTest,
): Promise<void> {
  const what = 'this machine’s apt downloads a package from the signed repository of the site'
  const why = obstacle({ root: false, programs: ['apt-get', 'gpgv'] })
  const sources = join(site.nodeRoot, 'etc', 'apt', 'sources.list.d')
  if (why !== undefined || !existsSync(sources)) {
    report.leftOut(what, why ?? 'no source was written')
    return
  }
  const folder = join(work, 'apt')
  const parts = join(folder, 'sources.list.d')
  for (const path of ['state/lists/partial', 'cache/archives/partial', 'sources.list.d', 'download'])
    await mkdir(join(folder, path), { recursive: true })
  for (const name of await readdir(sources)) {
    const text = await readFile(join(sources, name), 'utf8')
    await writeFile(join(parts, name), text.replace(/^Signed-By: \//m, `Signed-By: ${site.nodeRoot}/`))
  }
  const apt = (args: string[]) => {
    const options = [
      `Dir::Etc::SourceList=${join(folder, 'none.list')}`,
      `Dir::Etc::SourceParts=${parts}`,
      `Dir::State=${join(folder, 'state')}`,
      'Dir::State::status=/dev/null',
      `Dir::Cache=${join(folder, 'cache')}`,
      'APT::Architecture=amd64',
      'APT::Architectures=amd64',
      'APT::Sandbox::User=',
      'Acquire::http::Proxy=DIRECT',
    ].flatMap(option => ['-o', option])
    return run(['apt-get', ...options, ...args], { cwd: join(folder, 'download'), signal })
  }
  await report.step(
    what,
    async () => {
      const text = await apt(['update'])
      await apt(['-qq', 'download', 'jq'])
      const name = (await readdir(join(folder, 'download'))).find(entry => entry.startsWith('jq_'))
      if (name === undefined) throw notShown('apt-get downloaded nothing', 'jq')
      return { text, bytes: (await stat(join(folder, 'download', name))).size }
    },
    shown => shown,
  )
}
