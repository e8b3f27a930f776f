import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { join, resolve } from 'node:path'

/**
 * Runs in a network namespace with the addresses of requests-inside.test.ts: a hostile upstream on a public address, services inside that
 * count what reaches them, and `airgap lock` of each manifest. Arguments: a folder. Prints the results as JSON.
 */
const [folder = ''] = process.argv.slice(2)
const airgap = resolve(import.meta.dirname, '../../src/cli/airgap.ts')

const hits: string[] = []
const listening = async (address: string, port: number, answer: RequestListener) => {
  const server = createServer(answer)
  await new Promise<void>(done => server.listen(port, address, done))
}
const inside =
  (name: string): RequestListener =>
  (request, response) => {
    hits.push(`${name}${request.url}`)
    response.end('the content of a service inside')
  }
await listening('169.254.169.254', 80, inside('metadata'))
await listening('127.0.0.1', 8000, inside('loopback'))
await listening('10.9.8.7', 8000, (request, response) => {
  hits.push(`private${request.url}`)
  if (request.url === '/charts/index.yaml') response.end(index('http://sibling.example:8000/app-1.0.0.tgz'))
  else response.end('the content of a service inside')
})
await listening('10.9.8.8', 8000, inside('sibling'))

const index = (url: string) =>
  `apiVersion: v1\nentries:\n  app:\n  - {name: app, version: 1.0.0, urls: ["${url}"]}\n`
const link = (host: string) =>
  `<a href="http://${host}/a-1.0-py3-none-any.whl#sha256=${'a'.repeat(64)}">a-1.0-py3-none-any.whl</a>`
const pages: Record<string, string> = {
  '/metadata/index.yaml': index('http://metadata.example/latest/app-1.0.0.tgz'),
  '/loopback/index.yaml': index('http://localhost.example:8000/app-1.0.0.tgz'),
  '/private/index.yaml': index('http://inside.example:8000/app-1.0.0.tgz'),
  '/simple/a/': link('metadata.example'),
  '/simple6/a/': link('[64:ff9b::a9fe:a9fe]'),
  '/mirrors': 'http://inside.example:8000/repo\n',
}
await listening('203.0.113.10', 8080, (request, response) => {
  const url = request.url ?? ''
  const page = pages[url]
  if (page !== undefined) {
    response.setHeader('content-type', url.startsWith('/simple') ? 'text/html' : 'text/plain')
    response.end(page)
  } else if (url.startsWith('/to/'))
    response.writeHead(302, { location: `http://${url.slice('/to/'.length)}` }).end()
  else response.writeHead(404).end()
})

/** A repository of this host with one submodule. */
function repository(submodule: string): string {
  const path = join(folder, 'parent')
  const git = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync('git', ['-C', path, ...args], { encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr)
    return stdout.trim()
  }
  mkdirSync(path)
  git('init', '--quiet', '--initial-branch=main')
  writeFileSync(join(path, '.gitmodules'), `[submodule "s"]\n\tpath = s\n\turl = ${submodule}\n`)
  git('add', '.gitmodules')
  git('update-index', '--add', '--cacheinfo', `160000,${'a'.repeat(40)},s`)
  git('-c', 'user.name=t', '-c', 'user.email=t@example', 'commit', '--quiet', '-m', 'a submodule')
  return path
}

const upstream = 'http://public.example:8080'
const chart = (repo: string) => `charts:\n- {name: app, repo: "${repo}", version: 1.0.0}\n`
const wheel = (page: string) =>
  `wheels:\n- {name: w, indexes: ["${upstream}/${page}/"], packages: [a], pythons: ['3.11']}\n`
const file = (url: string) =>
  `files:\n- {url: "${url}", sha256: "${createHash('sha256').update('the content of a service inside').digest('hex')}"}\n`
const manifests: Record<string, string> = {
  'index of charts → metadata': chart(`${upstream}/metadata`),
  'index of charts → loopback': chart(`${upstream}/loopback`),
  'index of charts → private': chart(`${upstream}/private`),
  'page of wheels → metadata': wheel('simple'),
  'page of wheels → NAT64': wheel('simple6'),
  'redirect → metadata': file(`${upstream}/to/metadata.example/latest`),
  'redirect → redirect → private': file(`${upstream}/to/public.example:8080/to/inside.example:8000/x`),
  'redirect of git → private': `git:\n- {name: r, url: "${upstream}/to/inside.example:8000/r.git", ref: main}\n`,
  'submodule → private': `git:\n- {name: r, url: "file://${repository('http://inside.example:8000/x.git')}", ref: main, submodules: follow}\n`,
  'list of mirrors → private': `rpms:\n- {name: el9, packages: [x], repositories: [{id: r, mirrorlist: "${upstream}/mirrors", keys: [${resolve(import.meta.dirname, '../../manifests/keys/debian-archive.asc')}]}]}\n`,
  'the person’s own private server': file('http://inside.example:8000/own'),
  'the person’s own loopback': file('http://127.0.0.1:8000/own'),
  'a remapped source': `sources:\n- {from: "https://files.example/", to: ["http://127.0.0.1:8000/"]}\n${file('https://files.example/own')}`,
  'private index → private': chart('http://inside.example:8000/charts'),
}
const results: Record<string, { code: string; hits: string[] }> = {}
for (const [name, text] of Object.entries(manifests)) {
  hits.length = 0
  const work = join(folder, String(Object.keys(results).length))
  mkdirSync(work)
  writeFileSync(join(work, 'stack.yaml'), `apiVersion: airgap/v1\nname: t\nversion: "1"\n${text}`)
  const child = spawn(process.execPath, [airgap, 'lock', '-f', 'stack.yaml', '--log-format', 'text'], {
    cwd: work,
    env: { PATH: process.env['PATH'], HOME: work, NODE_NO_WARNINGS: '1' },
  })
  let errors = ''
  child.stderr.on('data', part => {
    errors += part
  })
  const status = await new Promise<number | null>(done => child.once('close', done))
  results[name] = {
    code: /error ([A-Z_]+)/.exec(errors)?.[1] ?? (status === 0 ? 'done' : errors.slice(-300)),
    hits: [...hits],
  }
}
process.stdout.write(JSON.stringify(results))
process.exit(0)
