import { spawn, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { allCommands, commandTree, type ProgramName } from '../programs.ts'

const dist = resolve(import.meta.dirname, '../../dist')

/**
 * Every command of the built programs: those that end with 0 here, and those that must refuse here, with their exit code. The tests run
 * `src`, and a fault of the bundler (fault 126: `Document is not a constructor`) shows in what is built only.
 */
const airgapCommands: Record<string, number> = {
  'init --dry-run': 0,
  'lock -f STACK --cache CACHE': 0,
  'lock -f STACK --cache CACHE --check': 0,
  'plan -f STACK --cache CACHE': 0,
  'build -f STACK --cache CACHE --frozen --out COPY': 0,
  'compat -f STACK': 2,
  'images -f STACK': 2,
  'keygen --dry-run': 0,
  'sign BUNDLE': 2,
  'rotate NOTHING': 2,
  'verify BUNDLE': 0,
  'inspect BUNDLE': 0,
  'inspect BUNDLE images': 0,
  'inspect BUNDLE packages': 0,
  'inspect BUNDLE why site': 0,
  'inspect BUNDLE sbom': 0,
  'inspect BUNDLE sbom --layers': 0,
  'inspect BUNDLE spdx': 0,
  'inspect BUNDLE layers': 0,
  'inspect BUNDLE report --out REPORT': 0,
  'scan BUNDLE --scanner NOTHING': 2,
  'inspect BUNDLE lock': 0,
  'inspect BUNDLE left-out': 0,
  'diff BUNDLE LOCK': 0,
  'extract BUNDLE FOLDER': 0,
  'push BUNDLE 127.0.0.1:1 --dry-run': 0,
  'pull NOTHING': 2,
  'serve NOTHING': 2,
  doctor: 0,
  'completion bash': 0,
  version: 0,
}

const site = '--site SITE --bundle BUNDLE'
const served = `${site} --address 127.0.0.1 --registry-port REGISTRY --http-port HTTP --listen 127.0.0.1 --node-root none`

const siteCommands: Record<string, number> = {
  version: 0,
  probe: 0,
  'verify BUNDLE': 0,
  [`inspect ${site}`]: 0,
  [`inspect sbom ${site}`]: 0,
  [`inspect sbom --layers ${site}`]: 0,
  [`scan --scanner NOTHING ${site}`]: 2,
  [`compat ${site}`]: 2,
  [`init --dry-run ${site}`]: 0,
  'serve NOTHING': 2,
  [`preflight ${served}`]: 2,
  [`plan ${served}`]: 0,
  [`apply ${served} --yes`]: 0,
  [`upgrade ${served} --yes --dry-run`]: 2,
  [`configure ${served} --dry-run`]: 0,
  [`status ${served}`]: 0,
  [`receipt ${site}`]: 0,
  [`support-bundle ${served} --out SUPPORT`]: 0,
  [`nodes list ${site}`]: 2,
  [`nodes add gpu-1 10.0.0.9 ${site}`]: 2,
  [`nodes remove gpu-1 ${site}`]: 2,
  [`nodes check ${site}`]: 2,
  [`nodes forget gpu-1 ${site}`]: 2,
  'bundles list --site SITE': 0,
  'bundles add NOTHING --site SITE': 2,
  'bundles remove NOTHING --site SITE': 2,
  'images list --site SITE': 0,
  'images delete team/app:1 --site SITE': 2,
  'images prune --keep 3 --site SITE --yes': 0,
  'certificates show --site SITE': 0,
  'certificates renew --site SITE': 0,
  'users list --site SITE': 0,
  'users add ci --site SITE': 2,
  'users password ci --site SITE': 2,
  'users remove ci --site SITE': 2,
  'audit --site SITE': 0,
  'keys list --site SITE': 0,
  'keys add NOTHING --site SITE': 2,
  'keys remove release --site SITE': 2,
  'keys threshold 2 --site SITE': 2,
  'keys rotate NOTHING --site SITE': 2,
  [`service show ${site} --address 127.0.0.1`]: 0,
  [`service install ${site} --address 127.0.0.1 --dry-run`]: 0,
  'service remove --site SITE --yes': 2,
  'service sync --site SITE --name none': 7,
  [`destroy ${site} --dry-run`]: 2,
  [`reset ${site} --dry-run`]: 2,
  [`rollback-app web ${site} --dry-run`]: 2,
  'secrets NOTHING': 2,
  [`rollback ${served} --dry-run`]: 0,
  [`stop ${served} --dry-run`]: 0,
  [`stop ${served}`]: 0,
}

let work: string
let places: Record<string, string>

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise(done => server.close(done))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'airgap-every-'))
  await mkdir(join(work, 'tree'))
  await mkdir(join(work, 'usb'))
  await writeFile(join(work, 'tree', 'a.txt'), 'a file')
  await writeFile(
    join(work, 'stack.yaml'),
    'apiVersion: airgap/v1\nname: tiny\nversion: 1.0.0\ntrees: [{name: site, from: tree}]\n',
  )
  // the real one has 120 MB, and is not tested here
  await writeFile(join(work, 'node'), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 })
  places = {
    STACK: join(work, 'stack.yaml'),
    LOCK: join(work, 'stack.lock.json'),
    CACHE: join(work, 'cache'),
    BUNDLE: join(work, 'usb', 'tiny.tar'),
    COPY: join(work, 'copy.tar'),
    FOLDER: join(work, 'extracted'),
    REPORT: join(work, 'report.html'),
    SITE: join(work, 'site'),
    SUPPORT: join(work, 'support.tar.gz'),
    NOTHING: join(work, 'nothing'),
    REGISTRY: String(await freePort()),
    HTTP: String(await freePort()),
  }
  for (const words of ['lock -f STACK --cache CACHE', 'build -f STACK --cache CACHE --frozen --out BUNDLE'])
    expect(run(process.execPath, [join(dist, 'airgap.mjs'), ...argumentsOf(words)])).toMatchObject({
      status: 0,
    })
  expect(
    spawnSync('tar', ['xf', places['BUNDLE']!, 'offline-deploy'], { cwd: join(work, 'usb') }).status,
  ).toBe(0)
})
afterAll(async () => {
  run(process.execPath, [join(dist, 'offline-deploy.mjs'), ...argumentsOf(`stop ${served}`)])
  await rm(work, { recursive: true, force: true })
})

function argumentsOf(words: string): string[] {
  return words.split(' ').map(word => places[word] ?? word)
}

function run(file: string, args: readonly string[]) {
  return spawnSync(file, args, {
    cwd: work,
    encoding: 'utf8',
    timeout: 120_000,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: work,
      AIRGAP_NODE_RUNTIME: join(work, 'node'),
      KUBECONFIG: join(work, 'no-kubeconfig'),
    },
  })
}

function checkFormats(file: string, args: readonly string[], status: number): void {
  const [text, json, yaml] = ['text', 'json', 'yaml'].map(format => {
    const ran = run(file, [...args, '-o', format])
    expect(ran, `${args.join(' ')} -o ${format}`).toMatchObject({ status })
    // no stack trace and no minified source
    expect(ran.stderr).not.toMatch(/^\s+at .*:\d+:\d+\)?$/m)
    for (const line of ran.stderr.split('\n')) expect(line.length).toBeLessThan(2_000)
    return ran
  })
  if (status !== 0) {
    expect(text!.stderr).toMatch(/^error [A-Z_]+: .+\n/m)
    expect(text!.stderr).toMatch(/^ {2}next: /m)
    const { error } = JSON.parse(json!.stderr.trimEnd().split('\n').at(-1)!)
    expect(error).toMatchObject({ exit: status, code: expect.not.stringMatching(/^INTERNAL$/) })
    return
  }
  expect(text!.stdout).not.toBe('')
  // an escaped line end: lines that were joined before each was made printable
  expect(text!.stdout + text!.stderr).not.toContain('\\n')
  // the same members: values differ from run to run
  const [a, b] = [JSON.parse(json!.stdout), parse(yaml!.stdout)]
  expect(Array.isArray(b)).toBe(Array.isArray(a))
  expect(typeof b).toBe(typeof a)
  if (!Array.isArray(a)) expect(Object.keys(Object(b))).toEqual(Object.keys(Object(a)))
}

/** commands with commands of their own: `nodes add` for `nodes add gpu-1 …` */
const groups = ['bundles', 'certificates', 'images', 'keys', 'nodes', 'service', 'users']

function commandOf(words: string): string {
  const [first = '', second = ''] = words.split(' ')
  // `airgap images` has no commands of its own
  return groups.includes(first) && !second.startsWith('-') ? `${first} ${second}` : first
}

describe.each<[ProgramName, Record<string, number>]>([
  ['airgap', airgapCommands],
  ['offline-deploy', siteCommands],
])('dist/%s.mjs', (name, table) => {
  it('has no command that is missing here', async () => {
    const known = allCommands(await commandTree(name))
      .filter(command => command.parent !== null && command.commands.length === 0)
      .map(command =>
        [command.parent!.parent === null ? '' : command.parent!.name(), command.name()]
          .filter(Boolean)
          .join(' '),
      )
    expect([...new Set(Object.keys(table).map(commandOf))].sort()).toEqual([...new Set(known)].sort())
  })

  it.each(Object.entries(table))('%s: exit %i with text, JSON and YAML', async (words, status) => {
    if (words.startsWith('extract')) await rm(places['FOLDER']!, { recursive: true, force: true })
    checkFormats(process.execPath, [join(dist, `${name}.mjs`), ...argumentsOf(words)], status)
  })
})

describe('the offline-deploy of a bundle', () => {
  it.each(Object.entries(siteCommands))('%s: exit %i with text, JSON and YAML', (words, status) => {
    checkFormats(join(work, 'usb', 'offline-deploy', 'offline-deploy'), argumentsOf(words), status)
  })

  it('serves until it is stopped', async () => {
    const program = join(work, 'usb', 'offline-deploy', 'offline-deploy')
    const ports = [
      '--registry-port',
      places['REGISTRY']!,
      '--http-port',
      places['HTTP']!,
      '--listen',
      '127.0.0.1',
    ]
    const child = spawn(program, ['serve', places['BUNDLE']!, ...ports], { cwd: work, env: { HOME: work } })
    let output = ''
    const started = new Promise<void>(done => {
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', chunk => {
          output += chunk
          if (output.includes(places['HTTP']!)) done()
        })
    })
    const ended = new Promise<number | null>(done => child.once('close', done))
    await Promise.race([started, ended])
    child.kill('SIGTERM')
    expect(await ended).toBe(143)
    expect(output).toContain(places['REGISTRY']!)
  })
})

it('the bundle of the test carries the program that was built', async () => {
  const [carried, built] = await Promise.all([
    readFile(join(work, 'usb', 'offline-deploy', 'offline-deploy.mjs')),
    readFile(join(dist, 'offline-deploy.mjs')),
  ])
  expect(carried.equals(built)).toBe(true)
})
