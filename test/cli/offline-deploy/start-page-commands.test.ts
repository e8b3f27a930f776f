import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { hasTool } from '../../bundle/has-tool.ts'
import { run as runTool } from '../../kinds/deb/support/programs.ts'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, start, type TestSite, testSite } from './support.ts'

/**
 * The commands of the start page, taken from the page and run as they are, with the stock clients. They change the machine: each run has its
 * own mounts, where what is written below /etc, /usr/local and /var/lib/apt is in memory.
 */

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

const needed = ['unshare', 'curl', 'openssl', 'apt-get', 'update-ca-certificates', 'helm', 'skopeo']
const lacking = needed.filter(tool => !hasTool(tool))
const isRoot = process.getuid?.() === 0

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }

/** id → commands */
async function commandsOf(site: TestSite, url: string): Promise<Map<string, string>> {
  const page = await runTool('curl', ['-fsSk', '-H', 'Accept: text/html', url], { cwd: site.work })
  expect([page.status, page.stderr]).toEqual([0, ''])
  const blocks = [...page.stdout.matchAll(/<pre id="([^"]+)"[^>]*>([^<]*)<\/pre>/g)]
  return new Map(
    blocks.map(([, id, text]) => [
      id!,
      text!.replace(/&([a-z]+|#39);/g, (written, name: string) => entities[name] ?? written),
    ]),
  )
}

const ownMounts = `
mkdir -p "$WORK/mounts"
mount -t tmpfs tmpfs "$WORK/mounts"
for folder in etc usr/local var/lib/apt var/cache; do
  mkdir -p "$WORK/mounts/$folder/upper" "$WORK/mounts/$folder/work"
  mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$WORK/mounts/$folder/upper,workdir=$WORK/mounts/$folder/work" "/$folder"
done
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d
`

describe.skipIf(!isRoot || lacking.length > 0)(
  `commands of the start page (needs root, ${lacking.join(', ') || 'nothing more'})`,
  () => {
    it.each([
      { tls: false, scheme: 'http' },
      { tls: true, scheme: 'https' },
    ])(
      'set up apt, containerd, skopeo, helm and curl over $scheme',
      async ({ tls, scheme }) => {
        const site = await testSite({ tls })
        await writeBundle(site.bundle, await sampleStack())
        const running = start(['serve', ...site.serving])
        onTestFinished(() => void running.child.kill('SIGKILL'))
        await running.said('stop with Ctrl-C')
        const commands = await commandsOf(site, site.http.replace('http:', `${scheme}:`))
        const block = (id: string) => commands.get(id) ?? `echo 'the page has no block ${id}'; exit 1`
        expect(commands.has('ca-fetch')).toBe(tls)
        // the sample's layers are no archives: images are inspected, not unpacked
        const [, inspect = ''] = block('podman-use').split('\n')
        const script = [
          ...(tls ? [block('ca-fetch'), block('ca-debian')] : []),
          block('containerd-configure'),
          'cat /etc/containerd/certs.d/docker.io/hosts.toml',
          block('podman-configure'),
          inspect,
          block('apt-debian-12'),
          'apt-cache policy jq',
          // helm takes any registry on loopback for one with plain HTTP
          ...(tls ? [] : [block('helm-use')]),
          block('helm-classic'),
          block('curl-use'),
          block('check-key'),
        ].join('\n')
        const bin = join(site.work, 'bin')
        await mkdir(bin)
        await writeFile(join(bin, 'sudo'), '#!/bin/sh\nexec "$@"\n')
        await chmod(join(bin, 'sudo'), 0o755)
        await writeFile(join(site.work, 'script'), `set -e\n${ownMounts}\n${script}\n`)
        const ran = await runTool('unshare', ['-m', 'sh', 'script'], {
          cwd: site.work,
          env: { PATH: `${bin}:${process.env['PATH']}`, HOME: site.work, WORK: site.work },
        })
        expect(ran.status, ran.stdout + ran.stderr).toBe(0)
        expect(ran.stdout).toContain(`server = "${scheme}://${site.registry}"`)
        expect(ran.stdout).toContain(`${scheme}://127.0.0.1`)
        expect(ran.stdout).toContain('Candidate: 1.6')
        expect(ran.stdout).toContain('large.txt: OK')
        expect(await readFile(join(site.work, 'demo-1.0.0+x.tgz'), 'utf8')).toContain('a chart')
      },
      120_000,
    )
  },
)
