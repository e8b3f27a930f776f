import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { passedSockets, withoutService } from '../../src/service/activation.ts'
import { needsRestart, type UnitOptions, unitFiles } from '../../src/service/units.ts'
import { hasTool } from '../bundle/has-tool.ts'

const options: UnitOptions = {
  name: 'astrago-site',
  site: '/opt/site',
  self: [process.execPath, '/opt/offline-deploy/offline-deploy.mjs'],
  reads: ['/media/usb/bundle.tar', '/opt/offline-deploy'],
  listen: '0.0.0.0',
  ports: { registry: 35000, http: 8080 },
}
const serviceOf = (changed: Partial<UnitOptions>) => unitFiles({ ...options, ...changed }).at(-1)!.text

async function written(changed: Partial<UnitOptions>): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-units-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await mkdir(folder, { recursive: true })
  const units = unitFiles({ ...options, ...changed }).filter(({ path }) => path.startsWith('/etc/systemd/'))
  const paths = units.map(({ path }) => join(folder, basename(path)))
  for (const [i, { text }] of units.entries()) await writeFile(paths[i]!, text)
  return paths
}

describe('the units of the servers', () => {
  const variants: [string, Partial<UnitOptions>][] = [
    ['ports above 1023', {}],
    ['ports below 1024', { ports: { registry: 443, http: 80 } }],
    ['an IPv6 address', { listen: '::' }],
    ['paths with spaces and percent signs', { site: '/srv/my site 100%', reads: ['/media/my disk/$a.tar'] }],
  ]
  it.skipIf(!hasTool('systemd-analyze')).each(variants)(
    'are accepted by systemd with %s, and well isolated (needs systemd-analyze)',
    async (_, changed) => {
      const paths = await written(changed)
      const verified = spawnSync('systemd-analyze', ['verify', ...paths], { encoding: 'utf8' })
      expect(verified.stderr).toBe('')
      const security = spawnSync(
        'systemd-analyze',
        ['security', '--offline=yes', '--no-pager', '--threshold=25', paths[1]!],
        { encoding: 'utf8' },
      )
      expect([security.status, /exposure level.*/.exec(security.stdout)?.[0]]).toEqual([
        0,
        expect.stringMatching(/: [0-2]\.\d OK/),
      ])
    },
  )

  it('grant no capability but that for ports below 1024', () => {
    expect(serviceOf({})).toContain('\nCapabilityBoundingSet=\n')
    expect(serviceOf({ ports: { registry: 35000, http: 80 } })).toContain(
      '\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n',
    )
  })

  it('show the servers nothing of the site but the bundles and the program that are in it', () => {
    const text = serviceOf({
      reads: ['/opt/site/bundles/a.tar', '/media/usb/b.tar', '/opt/site/offline-deploy'],
    })
    expect(text.match(/^(?:TemporaryFileSystem|BindReadOnlyPaths)=.*$/gm)).toEqual([
      'TemporaryFileSystem=/opt/site:ro',
      'BindReadOnlyPaths=/opt/site/bundles/a.tar',
      'BindReadOnlyPaths=/opt/site/offline-deploy',
    ])
  })

  it('require a restart for a bundle that the servers could not see, and no other', () => {
    const { reads } = options
    const restarts = (before: readonly string[], after: readonly string[]) =>
      needsRestart(serviceOf({ reads: before }), serviceOf({ reads: after }))
    expect(restarts(reads, [...reads, '/media/usb/b.tar'])).toBe(false)
    for (const hidden of ['/opt/site/bundles/b.tar', '/root/b.tar', '/home/anna/b.tar', '/tmp/b.tar']) {
      expect(restarts(reads, [...reads, hidden])).toBe(true)
      expect(restarts([...reads, hidden], reads)).toBe(false)
    }
    expect(needsRestart(serviceOf({}), serviceOf({ self: ['/usr/bin/other'] }))).toBe(true)
    expect(needsRestart('', serviceOf({}))).toBe(true)
  })

  it('wait longer for the servers to stop than these let downloads go on', () => {
    const text = serviceOf({})
    const timeout = Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1])
    const grace = Number(/--stop-timeout (\d+)/.exec(text)?.[1])
    expect(grace).toBeGreaterThanOrEqual(60)
    // a serving process that hangs is killed a second later, the supervisor five
    expect(timeout).toBeGreaterThan(grace + 5)
  })

  it('wait for the mounts of the bundles', () => {
    expect(serviceOf({})).toContain(
      '\nRequiresMountsFor=/opt/site /media/usb/bundle.tar /opt/offline-deploy\n',
    )
  })
})

describe('sockets of the service manager', () => {
  it('are taken by the process that they are for, and no other', () => {
    expect(passedSockets({ LISTEN_PID: '7', LISTEN_FDS: '2' }, 7)).toEqual([3, 4])
    expect(passedSockets({ LISTEN_PID: '7', LISTEN_FDS: '2' }, 8)).toEqual([])
    expect(passedSockets({}, 7)).toEqual([])
    for (const LISTEN_FDS of ['-1', 'x', '1.5', '100000'])
      expect(passedSockets({ LISTEN_PID: '7', LISTEN_FDS }, 7)).toEqual([])
  })

  it('are unknown to the programs that it starts', () => {
    expect(withoutService({ LISTEN_PID: '7', LISTEN_FDS: '2', NOTIFY_SOCKET: '/n', PATH: '/bin' })).toEqual({
      PATH: '/bin',
    })
  })
})
