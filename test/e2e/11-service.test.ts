import { spawnSync } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type ClosedNetwork,
  networkPrograms,
  openClosedNetwork,
} from '../../scripts/lib/machines/closed-network.ts'
import {
  debianSshRoot,
  openSshNode,
  type SshNode,
  sshNodePrograms,
} from '../../scripts/lib/machines/ssh-node.ts'
import { cacheFolder } from '../../scripts/lib/places.ts'
import { isRoot, missingPrograms, run } from '../../scripts/lib/run.ts'
import { digestOf } from '../../src/core/digest.ts'
import { combine, imageOf, imageSample, noise, writeBundle } from '../bundle/samples.ts'
import { buildProgram } from '../cli/offline-deploy/support.ts'

const reached = (url: string) =>
  spawnSync('curl', ['--fail', '--silent', '--head', '--max-time', '10', url]).status === 0
const lacking = [
  ...(isRoot ? [] : ['root']),
  ...missingPrograms(['curl', 'ssh-keygen', ...networkPrograms, ...sshNodePrograms]),
  ...(reached('http://deb.debian.org/debian/dists/bookworm/InRelease') ? [] : ['deb.debian.org']),
]
const patience = 420_000
const layer = noise(24 << 20, 5)
const toolsLayer = noise(1 << 20, 6)
const layerPath = `/v2/app/blobs/${digestOf(layer)}`

describe.skipIf(lacking.length > 0)(
  `the servers as a systemd service (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let network: ClosedNetwork
    let node: SshNode
    let registry: string
    let http: string

    beforeAll(async () => {
      const work = await mkdtemp(join(tmpdir(), 'airgap-service-'))
      resources.defer(() => rm(work, { recursive: true, force: true }))
      const rootTar = await debianSshRoot(cacheFolder, { systemd: true })
      await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(work, 'key')])
      const program = await buildProgram()
      resources.defer(() => program.remove())
      const folder = join(work, 'offline-deploy')
      await mkdir(folder)
      await copyFile(program.path, join(folder, 'offline-deploy.mjs'))
      await copyFile(process.execPath, join(folder, 'node'))
      await chmod(join(folder, 'node'), 0o755)
      await mkdir(join(work, 'usb'))
      await writeBundle(
        join(work, 'usb', 'bundle.tar'),
        combine(imageSample(imageOf('registry.example/app:1', [layer]))),
      )
      await chmod(join(work, 'usb', 'bundle.tar'), 0o644)
      await writeBundle(
        join(work, 'usb', 'tools.tar'),
        combine(imageSample(imageOf('registry.example/tools:1', [toolsLayer]))),
        { name: 'tools', version: '1.0.0' },
      )
      await chmod(join(work, 'usb', 'tools.tar'), 0o644)
      network = resources.use(await openClosedNetwork({ nodes: 0 }))
      node = resources.use(
        await openSshNode(network.site, {
          folder: join(work, 'site'),
          rootTar,
          name: 'site',
          authorizedKey: await readFile(join(work, 'key.pub'), 'utf8'),
          systemd: true,
          mounts: [
            { from: folder, to: '/opt/offline-deploy', readonly: true },
            { from: join(work, 'usb'), to: '/media/usb' },
          ],
        }),
      )
      registry = `https://${node.address}:35000`
      http = `https://${node.address}:8080`
    }, patience)
    afterAll(() => resources.disposeAsync(), 60_000)

    const deploy = (...args: string[]) =>
      node.chroot(['/opt/offline-deploy/node', '/opt/offline-deploy/offline-deploy.mjs', ...args])
    const systemctl = (...args: string[]) => node.chroot(['systemctl', ...args])
    const show = async (property: string, unit = 'astrago-site.service') =>
      (await systemctl('show', '--value', '-p', property, unit)).trim()
    const inSite = (...command: string[]) => run(network.site.inside(command))
    const ca = () => join(node.root, 'opt/site/tls/ca.pem')
    const curl = (url: string) =>
      inSite(
        'curl',
        '--cacert',
        join(node.root, 'opt/site/tls/ca.pem'),
        '--silent',
        '--show-error',
        '--fail',
        '--max-time',
        '60',
        url,
      )
    const isActive = async (unit = 'astrago-site.service') =>
      (await systemctl('is-active', unit).catch(() => 'inactive')).trim()
    const site = ['--site', '/opt/site']

    it('is installed, serves, and reports itself', { timeout: patience }, async () => {
      const args = ['--bundle', '/media/usb/bundle.tar', ...site, '--address', node.address]
      // what was pushed before moves with the servers
      await node.chroot(['mkdir', '-p', '-m', '700', '/opt/site', '/opt/site/overlay'])
      expect(await deploy('service', 'install', ...args, '--dry-run')).toContain('would write')
      await deploy('service', 'install', ...args, '--yes').catch(async error => {
        throw new Error(`${error}\n${await node.chroot(['journalctl', '--no-pager', '-n', '60'])}`)
      })
      expect(await curl(`${http}/readyz`)).toMatch(/ready\n$/)
      expect(await show('ActiveState')).toBe('active')
      expect(await show('StatusText')).toContain('/media/usb/bundle.tar')
      expect(await deploy('status', ...site)).toContain('running (systemd unit astrago-site.service)')
      expect(await show('Result')).toBe('success')
    })

    it('runs as a user of its own, which can change nothing but its own folder', {
      timeout: 60_000,
    }, async () => {
      const pid = await show('MainPID')
      const status = await node.chroot(['cat', `/proc/${pid}/status`])
      expect(status).toMatch(/^CapEff:\t0+$/m)
      expect(status).toMatch(/^CapBnd:\t0+$/m)
      expect(status).toMatch(/^NoNewPrivs:\t1$/m)
      expect(status).toMatch(/^Seccomp:\t2$/m)
      expect(status).not.toMatch(/^Uid:\t0/m)
      const own = await node.chroot([
        'stat',
        '-c',
        '%U %a',
        '/var/lib/astrago-site',
        '/var/lib/astrago-site/site-key.asc',
        '/var/lib/astrago-site/overlay',
      ])
      expect(own).toBe('astrago-site 700\nastrago-site 600\nastrago-site 700\n')
      expect(await node.chroot(['ls', '/opt/site'])).not.toContain('overlay')
      expect(await node.chroot(['stat', '-c', '%U %a', '/opt/site'])).toBe('root 700\n')
      const inside = (...command: string[]) =>
        node.chroot(['nsenter', `--target=${pid}`, '--mount', '--', ...command]).then(
          output => output,
          error => String(error),
        )
      expect(await inside('ls', '-A', '/opt/site')).toBe('')
      for (const folder of ['/opt/site', '/etc', '/usr', '/media/usb', '/opt/offline-deploy'])
        expect(await inside('touch', `${folder}/written`)).toMatch(/Read-only file system/)
      const exposure = await node.chroot([
        'systemd-analyze',
        'security',
        '--no-pager',
        'astrago-site.service',
      ])
      const level = Number(/exposure level for astrago-site\.service: ([\d.]+)/.exec(exposure)?.[1])
      expect(level).toBeLessThanOrEqual(2.5)
      expect(
        (
          await node.chroot(['systemd-analyze', 'verify', 'astrago-site.service', 'astrago-site.socket'])
        ).trim(),
      ).toBe('')
    })

    it('refuses no connection while it is restarted', { timeout: 240_000 }, async () => {
      const before = await show('MainPID')
      let requests = 0
      let stop = false
      const client = (async () => {
        while (!stop) {
          await curl(`${registry}/v2/`)
          requests++
        }
      })()
      await systemctl('restart', 'astrago-site.service')
      stop = true
      await client
      expect(requests).toBeGreaterThan(0)
      expect(await show('MainPID')).not.toBe(before)
      const body = await run(
        network.site.inside([
          'sh',
          '-c',
          `curl --cacert ${join(node.root, 'opt/site/tls/ca.pem')} --silent --fail ${registry}${layerPath} | sha256sum`,
        ]),
      )
      expect(`sha256:${body.slice(0, 64)}`).toBe(digestOf(layer))
    })

    it('reads its settings again without a restart, and lets users in and out', {
      timeout: 120_000,
    }, async () => {
      const before = await show('MainPID')
      await node.chroot([
        'sh',
        '-c',
        'echo "correct horse battery staple" >/root/password; chmod 600 /root/password',
      ])
      await deploy('users', 'add', 'anna', '--role', 'push', ...site, '--password-file', '/root/password')
      const login = () =>
        inSite(
          'curl',
          '--cacert',
          ca(),
          '--silent',
          '--output',
          '/dev/null',
          '--write-out',
          '%{http_code}',
          '--user',
          'anna:correct horse battery staple',
          `${registry}/v2/`,
        )
      await expect.poll(login, { timeout: 30_000 }).toBe('200')
      await systemctl('reload', 'astrago-site.service')
      expect(await show('MainPID')).toBe(before)
      await expect.poll(() => show('ActiveState'), { timeout: 30_000 }).toBe('active')
      await deploy('users', 'remove', 'anna', ...site, '--yes')
      await expect.poll(login, { timeout: 30_000 }).toBe('401')
      expect(await show('MainPID')).toBe(before)
    })

    it('serves another bundle without a restart, and the command reports it', {
      timeout: 240_000,
    }, async () => {
      const before = await show('MainPID')
      const tags = () => curl(`${registry}/v2/tools/tags/list`)
      await expect(tags()).rejects.toThrow(/404/)
      const added = await deploy('bundles', 'add', '/media/usb/tools.tar', ...site)
      expect(added).toContain('the servers serve these bundles now')
      expect(await tags()).toContain('"1"')
      expect(await show('MainPID')).toBe(before)
      // the environment of the unit has the new digest: it starts with both, too
      await systemctl('restart', 'astrago-site.service')
      expect(await tags()).toContain('"1"')
      expect(await show('StatusText')).toContain('/media/usb/tools.tar')
      expect(await deploy('bundles', 'remove', 'tools', ...site, '--yes')).toContain(
        'serve these bundles now',
      )
      await expect(tags()).rejects.toThrow(/404/)
    })

    it('is restarted for a bundle that it could not see, and lets a download end meanwhile', {
      timeout: 240_000,
    }, async () => {
      const before = await show('MainPID')
      await node.chroot(['sh', '-c', 'cp /media/usb/tools.tar /root/tools.tar; chmod 644 /root/tools.tar'])
      // about 12 s: longer than servers that no service manager runs let a download go on
      const download = run(
        network.site.inside([
          'sh',
          '-c',
          `curl --cacert ${ca()} --silent --fail --limit-rate 2M ${registry}${layerPath} | sha256sum`,
        ]),
      )
      await sleep(1_500)
      const added = await deploy('bundles', 'add', '/root/tools.tar', ...site)
      expect(added).toContain('the systemd service was restarted')
      expect(await curl(`${registry}/v2/tools/tags/list`)).toContain('"1"')
      expect(await show('MainPID')).not.toBe(before)
      expect(`sha256:${(await download).slice(0, 64)}`).toBe(digestOf(layer))
      // what cannot be served changes nothing
      await node.chroot(['sh', '-c', 'cp /media/usb/tools.tar /root/closed.tar; chmod 600 /root/closed.tar'])
      await expect(deploy('bundles', 'add', '/root/closed.tar', ...site)).rejects.toThrow(
        /user of the servers cannot read/,
      )
      expect(await deploy('bundles', 'remove', 'tools', ...site, '--yes')).toContain(
        'serve these bundles now',
      )
    })

    it('reloads when apply changes what only the service knows', { timeout: 240_000 }, async () => {
      const before = await show('MainPID')
      const copied = async () =>
        JSON.parse(await node.chroot(['cat', '/var/lib/astrago-site/config.json'])).verify
      const apply = (mode: string) =>
        deploy('apply', ...site, '--verify', mode, '--node-root', 'none', '--yes')
      await apply('always')
      expect(await copied()).toBe('always')
      expect(await show('MainPID')).toBe(before)
      await apply('once')
      expect(await copied()).toBe('once')
      expect(await show('MainPID')).toBe(before)
      expect(await curl(`${http}/readyz`)).toMatch(/ready\n$/)
      // the bundle of the tools again: what apply serves, and in another unit
      const applyBundles = (...paths: string[]) => {
        const bundles = paths.flatMap(path => ['--bundle', path])
        return deploy('apply', ...site, ...bundles, '--node-root', 'none', '--yes')
      }
      await applyBundles('/media/usb/bundle.tar', '/root/tools.tar')
      expect(await curl(`${registry}/v2/tools/tags/list`)).toContain('"1"')
      expect(await show('MainPID')).not.toBe(before)
      await applyBundles('/media/usb/bundle.tar')
      await expect(curl(`${registry}/v2/tools/tags/list`)).rejects.toThrow(/404/)
    })

    it('is what the commands report, whose user could plant links', { timeout: 240_000 }, async () => {
      const login = [
        'curl',
        '--cacert',
        ca(),
        '--silent',
        '--output',
        '/dev/null',
        '--user',
        'eve:wrong',
        `${registry}/v2/`,
      ]
      await inSite(...login)
      // the servers' log and that of the commands, by time
      const audit = async () => JSON.parse(await deploy('audit', ...site, '-o', 'json'))
      await expect
        .poll(async () => JSON.stringify((await audit()).events), { timeout: 10_000 })
        .toMatch(/bundles add.*eve/)
      expect(await deploy('status', ...site)).toMatch(/\d+ requests answered/)
      expect(await deploy('verify', ...site)).toBeTruthy()
      const shown = async () =>
        JSON.parse(await deploy('certificates', 'show', ...site, '-o', 'json')).certificates.find(
          ({ of }: { of: string }) => of === 'server',
        ).fingerprint
      const presented = async () =>
        await inSite(
          'sh',
          '-c',
          `openssl s_client -connect ${node.address}:35000 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256`,
        )
      const first = await shown()
      expect(await presented()).toContain(first)
      await deploy('certificates', 'renew', ...site)
      expect(await shown()).not.toBe(first)
      await expect.poll(presented, { timeout: 30_000 }).toContain(await shown())
      // as the servers' user could do it
      const folder = '/var/lib/astrago-site'
      await node.chroot([
        'sh',
        '-c',
        `mkdir /root/elsewhere; mv ${folder}/audit/audit.jsonl /root/elsewhere; ln -s /root/elsewhere/audit.jsonl ${folder}/audit/; mkfifo ${folder}/audit/audit.jsonl.0`,
      ])
      await expect(deploy('audit', ...site)).rejects.toThrow(/symbolic link|regular file/)
      await node.chroot([
        'sh',
        '-c',
        `rm ${folder}/audit/audit.jsonl*; rmdir ${folder}/audit; ln -s /root/elsewhere ${folder}/audit`,
      ])
      expect(JSON.stringify(await audit())).not.toContain('"eve"')
      await node.chroot(['rm', `${folder}/audit`])
    })

    it('starts again after it was killed, and connections wait', { timeout: 240_000 }, async () => {
      const before = await show('MainPID')
      // 0 would be the process group of this test
      expect(Number(before)).toBeGreaterThan(1)
      await node.chroot(['kill', '-KILL', before])
      expect(await curl(`${http}/healthz`)).toBe('ok\n')
      expect(await show('MainPID')).not.toBe(before)
      expect(Number(await show('NRestarts'))).toBeGreaterThan(0)
    })

    it('starts with the first connection where only its socket is open', { timeout: 240_000 }, async () => {
      await systemctl('stop', 'astrago-site.service')
      expect(await isActive()).toBe('inactive')
      expect(await curl(`${http}/healthz`)).toBe('ok\n')
      // the first answer is sent before systemd knows that it serves
      await expect.poll(() => isActive(), { timeout: 10_000 }).toBe('active')
    })

    it('is stopped, started and shown by this program', { timeout: 240_000 }, async () => {
      expect(await deploy('stop', ...site)).toContain('stopped (astrago-site.service)')
      expect([await isActive(), await isActive('astrago-site.socket')]).toEqual(['inactive', 'inactive'])
      await expect(curl(`${http}/healthz`)).rejects.toThrow()
      expect(await deploy('status', ...site)).toContain('not running: systemd unit astrago-site.service')
      await systemctl('start', 'astrago-site.service')
      expect(await curl(`${http}/readyz`)).toMatch(/ready\n$/)
      expect(await deploy('service', 'show', ...site)).toContain(
        'astrago-site.service active, astrago-site.socket active',
      )
    })

    it('is removed, and keeps what belongs to the site', { timeout: 240_000 }, async () => {
      expect(await deploy('service', 'remove', ...site, '--dry-run')).toContain('would remove')
      await deploy('service', 'remove', ...site, '--yes')
      expect(await isActive()).toBe('inactive')
      expect(await node.chroot(['ls', '/etc/systemd/system'])).not.toContain('astrago-site')
      expect(await node.chroot(['ls', '/var/lib/astrago-site'])).toContain('site-key.asc')
      expect(await deploy('service', 'show', ...site)).toContain('not installed')
    })
  },
)
