import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { networkPrograms } from '../../scripts/lib/machines/closed-network.ts'
import { nodePrograms } from '../../scripts/lib/machines/containerd-node.ts'
import { isRoot, missingPrograms, withSbin } from '../../scripts/lib/run.ts'
import { debianRootPrograms } from '../../scripts/lib/upstreams/debian-images.ts'

const demo = resolve(import.meta.dirname, '..', '..', 'scripts', 'lib', 'demo', 'demo.ts')
const archive = 'http://deb.debian.org/debian/dists/bookworm/InRelease'
const reached = (url: string) =>
  spawnSync('curl', ['--fail', '--silent', '--head', '--max-time', '10', url]).status === 0
const always = [
  ...missingPrograms(['curl', 'docker-registry', 'skopeo', 'apt-get', 'dpkg-deb', 'helm', 'gpgv']),
  ...(reached(archive) ? [] : ['deb.debian.org']),
]
const forNetwork = [
  ...always,
  ...(reached('https://pypi.org/simple/netaddr/') ? [] : ['pypi.org']),
  ...(isRoot ? [] : ['root']),
  ...missingPrograms([...networkPrograms, ...nodePrograms, ...debianRootPrograms]),
]

/** The first run on a machine makes a Debian root, which takes another half minute. */
const patience = 300_000

/** The main job, as scripts/demo runs it: each step fails the demo where its claim does not hold. */
describe('the demo', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'airgap-e2e-demo-'))
  })

  afterEach(async () => {
    for (const pid of processesOf(folder)) process.kill(pid, 'SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })

  function startDemo(args: string[]): {
    child: ChildProcess
    output: () => string
    ended: Promise<number | null>
  } {
    const env = withSbin({ ...process.env, TMPDIR: folder })
    const child = spawn(process.execPath, [demo, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', chunk => {
        output += chunk
      })
    }
    return { child, output: () => output, ended: new Promise(done => child.once('close', done)) }
  }

  async function expectNothingLeft(): Promise<void> {
    expect(await readdir(folder)).toEqual([])
    expect(processesOf(folder)).toEqual([])
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(folder)
  }

  const needs = (lacking: string[]) => `needs ${lacking.join(', ') || 'nothing more'}`

  it.skipIf(forNetwork.length > 0)(
    `deploys in a closed network, where nothing tries to leave (${needs(forNetwork)})`,
    async () => {
      const { ended, output } = startDemo([])
      expect([await ended, output()]).toEqual([0, expect.not.stringMatching(/FAILED|left out/)])
      for (const shown of [
        /offline-deploy apply, with an empty environment/,
        /values\.yaml points at the site/,
        /helm pulls the chart from the registry/,
        /containerd pulls docker\.io\/library\/debian:12-slim through the mirror/,
        /containerd runs a container/,
        /apt-get refuses the same repository if another key/,
        /apt-get installs jq and socat/,
        /pip installs netaddr/,
        /packets that tried to leave +0$/,
      ]) {
        expect(table(output())).toContainEqual(expect.stringMatching(shown))
      }
      await expectNothingLeft()
      expectNetworkGone(output())
    },
    patience,
  )

  it.skipIf(always.length > 0)(
    `reports what it leaves out without a network namespace, and runs the rest on loopback (${needs(always)})`,
    async () => {
      const { ended, output } = startDemo(['--no-network-namespace'])
      expect([await ended, output()]).toEqual([0, expect.stringMatching(/left out {2}the closed network/)])
      expect(table(output())).toContainEqual(expect.stringMatching(/this machine’s apt downloads a package/))
      await expectNothingLeft()
    },
    patience,
  )

  it.skipIf(forNetwork.length > 0)(
    `leaves nothing behind where it is interrupted while it deploys (${needs(forNetwork)})`,
    async () => {
      const { child, ended, output } = startDemo([])
      const deploying = expect.poll(output, { timeout: patience, interval: 20 })
      await deploying.toContain('▸ offline-deploy apply, with an empty environment')
      child.kill('SIGINT')
      expect([await ended, output()]).toEqual([130, expect.stringContaining('stopped by SIGINT')])
      await expectNothingLeft()
      expectNetworkGone(output())
    },
    patience,
  )

  it('refuses an unknown option', async () => {
    const { ended, output } = startDemo(['--ofline'])
    expect([await ended, output()]).toEqual([2, expect.stringContaining('--ofline')])
  })
})

/** The lines of the table at the end. */
function table(output: string): string[] {
  return output.split('\n').filter(line => line.startsWith('shown '))
}

/** Checks the demo's own network only: other tests have theirs at the same time. */
function expectNetworkGone(output: string): void {
  const named = [...output.matchAll(/^ +(airgap-\w+-(?:site|node)): /gm)].map(match => match[1])
  expect(named).toHaveLength(2)
  const list = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8', env: withSbin() })
  for (const name of named) expect(list.stdout).not.toContain(name)
}

/** Processes that name the folder in their command line. */
function processesOf(folder: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => pid !== process.pid && commandLine(pid).includes(folder))
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    // it has ended meanwhile
    return ''
  }
}
