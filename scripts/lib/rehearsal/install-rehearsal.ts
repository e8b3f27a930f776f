import { type ChildProcess, spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { AirgapError } from '../../../src/core/errors.ts'
import { ended } from '../machines/background-process.ts'
import { networkPrograms } from '../machines/closed-network.ts'
import { controlPlanePrograms, openControlPlane } from '../machines/control-plane.ts'
import { type InstallSite, openInstallSite, siteFolder } from '../machines/install-site.ts'
import { debianSshRoot, sshNodePrograms } from '../machines/ssh-node.ts'
import { cacheFolder } from '../places.ts'
import { programPath, requirePrograms, withSbin } from '../run.ts'
import { buildRehearsalBundle } from './stack-bundle.ts'
import { stackPrograms } from './stack-upstream.ts'

/** See scripts/install-rehearsal. */

const machines = ['master-1', 'gpu-1', 'gpu-2']
const started = performance.now()
const say = (text: string) =>
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${text}`)

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      charts: { type: 'string' },
      kubespray: { type: 'string' },
      'random-kills': { type: 'string', default: '0' },
      skip: { type: 'string' },
    },
  })
  if (values.kubespray === undefined) {
    throw new AirgapError('USAGE', '--kubespray is required', {
      next: 'scripts/install-rehearsal --kubespray FOLDER (an unpacked v2.24.1) [--charts FOLDER]',
    })
  }
  requirePrograms(
    [...stackPrograms, 'kubeadm', ...controlPlanePrograms, ...networkPrograms, ...sshNodePrograms],
    '--with-clients --with-tools --with-stack --with-cluster',
  )
  await using resources = new AsyncDisposableStack()
  const work = await mkdtemp(join(tmpdir(), 'airgap-install-'))
  resources.defer(() => rm(work, { recursive: true, force: true }))
  const bundle = await buildRehearsalBundle({
    work,
    resources,
    charts: values.charts,
    kubespray: resolve(values.kubespray),
  })
  say(`the bundle of the whole stack: ${(await stat(bundle.path)).size} bytes`)
  const rootTar = await debianSshRoot(cacheFolder)
  const site = await openInstallSite({ bundle: bundle.path, work, rootTar, machines, resources })
  const [first] = site.network.nodes
  const cluster = resources.use(
    await openControlPlane({
      folder: join(work, 'cluster'),
      nodes: machines.map(name => (name.startsWith('gpu') ? { name, gpus: 8 } : { name })),
      address: first!.address,
      inside: command => first!.inside(command),
    }),
  )
  await copyFile(cluster.kubeconfig, join(site.control.root, siteFolder, 'cluster.conf'))
  say('a site: the deployment host, three machines, and a control plane with simulated kubelets')
  await site.writeSiteFile(siteFile(site))
  await randomKills(site, Number(values['random-kills']))
  await deploy(site, ['apply', '--yes', ...(values.skip === undefined ? [] : ['--skip', values.skip])])
  await deploy(site, ['status'])
  await downloads(site, { checksums: bundle.checksums, resources })
  say(`pods:\n${await cluster.kubectl(['get', 'pods', '-A', '--no-headers'])}`)
  const escapes = await site.network.escapeAttempts()
  say(`packets that tried to leave: ${escapes}`)
  if (escapes > 0) process.exitCode = 1
}

function siteFile(site: InstallSite) {
  const node = (name: string, ...roles: string[]) => ({
    name,
    roles,
    address: site.nodes[machines.indexOf(name)]!.address,
  })
  return {
    apiVersion: 'airgap-site/v1',
    externalIP: site.nodes[0]!.address,
    nfs: { server: 'master-1' },
    ssh: { user: 'astrago', privateKey: '/root/.ssh/id_ed25519' },
    // kubespray's playbook needs systemd, which these machines lack
    kubeconfig: `${siteFolder}/cluster.conf`,
    switches: { kubernetes: false },
    nodes: [
      node('master-1', 'control-plane', 'worker', 'nfs'),
      node('gpu-1', 'worker', 'gpu'),
      node('gpu-2', 'worker', 'gpu'),
    ],
  }
}

const common = (site: InstallSite) => [
  '--bundle',
  '/media/usb/astrago.tar',
  '--site',
  siteFolder,
  '--address',
  site.network.site.address,
]

async function deploy(site: InstallSite, args: readonly string[]): Promise<void> {
  say(`$ offline-deploy ${args.join(' ')}`)
  const ran = await site.deploy([...args, ...common(site)], {
    onLine: line => say(`  ${line.slice(0, 200)}`),
  })
  if (ran.code !== 0)
    throw new AirgapError('STEP_FAILED', `offline-deploy ended with ${ran.code}`, { item: args.join(' ') })
}

/** Kills runs (`kill -9`) at random moments; the last, undisturbed run must end in the same state as a single run. */
async function randomKills(site: InstallSite, count: number): Promise<void> {
  for (let i = 1; i <= count; i++) {
    const afterMs = 500 + Math.floor(Math.random() * 14_000)
    let last = ''
    const ran = await site.deploy(['apply', '--yes', ...common(site)], {
      killAfterMs: afterMs,
      onLine: line => {
        last = line
      },
    })
    say(`kill ${i} after ${(afterMs / 1000).toFixed(1)} s (${ran.code}): ${last.trim().slice(0, 100)}`)
  }
}

/** Runs kubespray's role `download` on the machines, against the site's servers, and checks the syntax of its playbooks. */
async function downloads(
  site: InstallSite,
  { checksums, resources }: { checksums: Record<string, string>; resources: AsyncDisposableStack },
): Promise<void> {
  const containerds: ChildProcess[] = []
  resources.defer(async () => {
    for (const child of containerds) await ended(child)
  })
  for (const node of site.nodes) {
    for (const name of ['containerd', 'ctr'])
      await copyFile(await programPath(name), join(node.root, 'usr/local/bin', name))
    const config = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
    await mkdir(join(node.root, 'etc/containerd'), { recursive: true })
    await writeFile(join(node.root, 'etc/containerd/config.toml'), config)
    const [program, ...args] = node.inside(['/usr/local/bin/containerd'])
    containerds.push(spawn(program!, args, { stdio: 'ignore', env: withSbin() }))
  }
  const variables = {
    // the machines' binaries are placeholders, so their checksums differ
    ...checksums,
    image_info_command: "/usr/local/bin/ctr -n k8s.io images ls -q | tr '\\n' ','",
    skip_kubeadm_images: false,
  }
  const folder = join(site.control.root, siteFolder)
  await writeFile(join(folder, 'made-up.json'), JSON.stringify(variables))
  // kubespray finds its roles and modules beside its playbooks
  await writeFile(
    join(folder, 'tools/kubespray/download.yml'),
    JSON.stringify([
      {
        hosts: 'k8s_cluster:etcd',
        gather_facts: true,
        become: true,
        // normally created by kubespray's role preinstall
        pre_tasks: [{ name: 'Folder', file: { path: '/etc/kubernetes', state: 'directory' } }],
        roles: ['kubespray-defaults', 'download'],
      },
    ]),
  )
  const ansible = async (...args: string[]) => {
    const environment = [
      'PATH=/opt/site/tools/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'ANSIBLE_NOCOLOR=1',
      'ANSIBLE_CALLBACKS_ENABLED=',
      'LC_ALL=C.UTF-8',
    ]
    // the failure is printed before the recap, which may be long
    const script =
      'cd /opt/site/tools/kubespray && "$@" > /tmp/said 2>&1 || { grep -B 1 "^fatal" /tmp/said >&2; tail -n 5 /tmp/said >&2; exit 1; }; cat /tmp/said'
    const inventory = ['-i', '/opt/site/inventory/hosts.yaml', '-e', '@/opt/site/made-up.json']
    const command = ['/opt/site/tools/venv/bin/ansible-playbook', ...inventory, ...args]
    return await site.control.chroot(['env', ...environment, 'sh', '-c', script, 'sh', ...command])
  }
  for (const playbook of ['cluster.yml', 'upgrade-cluster.yml', 'reset.yml']) {
    await ansible('--syntax-check', playbook)
    const tasks = (await ansible('--list-tasks', playbook))
      .split('\n')
      .filter(line => line.includes('TAGS:')).length
    say(`kubespray’s ${playbook}: valid syntax, ${tasks} tasks and plays`)
  }
  const said = await ansible('download.yml')
  const recap = said.split('\n').filter(line => /ok=\d+/.test(line))
  say(`kubespray’s role download:\n${recap.join('\n')}`)
  for (const node of site.nodes) {
    const images = await node.chroot(['/usr/local/bin/ctr', '-n', 'k8s.io', 'images', 'ls', '-q'])
    const files = await node.chroot(['sh', '-c', 'find /tmp/releases -maxdepth 1 -type f | wc -l'])
    say(
      `${node.name}: ${
        images
          .trim()
          .split('\n')
          .filter(name => !name.startsWith('sha256')).length
      } images, ${files.trim()} files`,
    )
  }
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
