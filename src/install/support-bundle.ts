import { execFile } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { open, readFile, rename, rm, stat, statfs } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { createGzip } from 'node:zlib'
import { Header } from 'tar'
import { syncFolder, temporaryPathOf } from '../core/atomic-file.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { printableLine } from '../core/printable.ts'
import { namesIn } from '../core/read-folder.ts'
import { readYaml, readYamlStream } from '../document/parse-yaml.ts'
import type { SiteState } from '../site/state.ts'
import { secretValues } from '../values/secret-values.ts'
import { type Cluster, clusterEnvironment } from './kube.ts'
import { Redactor } from './redaction.ts'

export interface SupportOptions {
  state: SiteState
  /** queried, if there is one */
  cluster: Cluster | undefined
  /** facts about the program and the site: file name → JSON value */
  facts: ReadonlyMap<string, unknown>
  /** passed to this run, besides those in the site's files */
  secrets: readonly string[]
  signal: AbortSignal
}

/** One file of the archive. */
export interface SupportFile {
  path: string
  size: number
}

const maxLines = 2_000
/** characters of a line of kubectl */
const maxTableLine = 10_000
/** A secret may span lines: more lines are redacted than are kept. */
const linesBefore = 200
const maxTail = 8 << 20 /* bytes at the end of a log */
const maxSecrets = 1 << 20 /* bytes */

/**
 * Writes an archive with what support needs to know about a site, without its secrets. Memory is bounded by the largest file.
 * Throws VALUES_INVALID if the site's secrets cannot be read: secrets that are not known cannot be removed.
 */
export async function writeSupportBundle(path: string, options: SupportOptions): Promise<SupportFile[]> {
  const redactor = new Redactor([...(await siteSecrets(options.state)), ...options.secrets])
  const files: SupportFile[] = []
  const temporary = temporaryPathOf(path)
  try {
    const target = createWriteStream(temporary, { flags: 'wx', mode: 0o600, flush: true })
    const entries = archive(contentsOf(options, redactor), { files, redactor, signal: options.signal })
    await pipeline(Readable.from(entries, { objectMode: false }), createGzip(), target)
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true })
    throw fromSystemError(error, path)
  }
  return files
}

interface Content {
  path: string
  text: string
}

async function* archive(
  contents: AsyncIterable<Content>,
  { files, redactor, signal }: { files: SupportFile[]; redactor: Redactor; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  for await (const { path, text } of contents) {
    signal.throwIfAborted()
    const name = redactor.text(path)
    const bytes = Buffer.from(text)
    files.push({ path: name, size: bytes.length })
    yield* entry(name, bytes)
  }
  const list = files.map(({ path, size }) => `${String(size).padStart(10)} ${path}\n`).join('')
  yield* entry('contents.txt', Buffer.from(list))
  yield Buffer.alloc(1024)
}

/** The header contains no time and no user. */
function* entry(path: string, bytes: Buffer): Generator<Buffer> {
  const header = new Header({
    path: `support/${path}`,
    type: 'File',
    mode: 0o600,
    size: bytes.length,
    uid: 0,
    gid: 0,
    mtime: new Date(0),
  })
  const block = Buffer.alloc(512)
  if (header.encode(block, 0))
    throw new AirgapError('INTERNAL', 'a name is too long for a tar header', { item: path })
  yield block
  yield bytes
  yield Buffer.alloc((512 - (bytes.length % 512)) % 512)
}

/** Yields the files in a fixed order. */
async function* contentsOf(
  { state: { paths, folder }, cluster, facts, signal }: SupportOptions,
  redactor: Redactor,
): AsyncGenerator<Content> {
  for (const [name, value] of facts)
    yield { path: name, text: `${JSON.stringify(redactor.value(value), null, 2)}\n` }
  for (const [path, from, format] of [
    ['config.json', paths.config, 'json'],
    ['site.yaml', paths.siteFile, 'yaml'],
    ['inventory/hosts.yaml', join(paths.inventory, 'hosts.yaml'), 'yaml'],
  ] as const) {
    const text = await textOf(from)
    if (text !== undefined) yield { path, text: redactor.document(text, format) }
  }
  for (const [path, from] of [
    ['journal.jsonl', paths.journal],
    ['serve.log', paths.serveLog],
    ...(await logsIn(paths.logs)),
  ] as const) {
    const text = await tailOf(from)
    if (text === undefined) continue
    yield { path, text: lastLines(redacted(lastLines(text, maxLines + linesBefore), redactor)) }
  }
  yield { path: 'machine.txt', text: redactor.text(await machineFacts(folder)) }
  if (cluster === undefined) return
  for (const [what, ...more] of [
    ['nodes'],
    ['pods', '--all-namespaces'],
    ['events', '--all-namespaces', '--sort-by=.metadata.creationTimestamp'],
  ] as const) {
    const { answers, text } = await queryText(cluster, ['get', what, ...more, '--output', 'wide'], signal)
    yield { path: `cluster/${what}.txt`, text: lastLines(redactor.text(text)) }
    // the next query would wait in vain again
    if (!answers) return
  }
}

/** Redacts lines of JSON by their keys, and others as text. */
function redacted(text: string, redactor: Redactor): string {
  return redactor
    .text(text)
    .split('\n')
    .map(line => {
      if (!line.startsWith('{')) return line
      try {
        return JSON.stringify(redactor.value(JSON.parse(line)))
      } catch {
        return line
      }
    })
    .join('\n')
}

/** Returns all secrets of the site: those of every environment's files and of site.yaml, and the passwords and keys of the nodes. */
async function siteSecrets({ paths }: SiteState): Promise<string[]> {
  const secrets: string[] = []
  for (const tree of await namesIn(paths.deploy)) {
    const environments = join(paths.deploy, tree, 'environments')
    for (const environment of await namesIn(environments))
      for (const name of await namesIn(join(environments, environment)))
        if (name.startsWith('secrets.'))
          secrets.push(...valuesIn(await secretText(join(environments, environment, name)), name))
        else secrets.push(...secretValues((await textOf(join(environments, environment, name))) ?? ''))
  }
  const site = (await textOf(paths.siteFile)) ?? ''
  secrets.push(...secretValues(site), ...valuesIn(secretsOfSite(site), 'site.yaml'))
  for (const name of await namesIn(paths.access)) secrets.push(await secretText(join(paths.access, name)))
  for (const path of [paths.kubeconfig, paths.fetchedKubeconfig])
    for (const [, value = ''] of ((await textOf(path)) ?? '').matchAll(
      // also in JSON, or in YAML on one line
      /\b(?:token|password|client-key-data)["']?\s*:\s*["']?([^\s"',}]+)/g,
    ))
      secrets.push(value)
  return secrets
}

/** The part `secrets` of site.yaml, as YAML; empty where there is none. An invalid file is redacted as plain text. */
function secretsOfSite(text: string): string {
  const { value } = readYaml(text, { tags: 'ignore' })
  const secrets =
    typeof value === 'object' && value !== null && 'secrets' in value ? value.secrets : undefined
  return secrets === undefined ? '' : JSON.stringify(secrets)
}

/** Returns all scalars of a YAML text. */
function valuesIn(text: string, item: string): string[] {
  const found: string[] = []
  const walk = (value: unknown): void => {
    if (typeof value === 'string' || typeof value === 'number') found.push(String(value))
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(walk)
  }
  const { values, faults } = readYamlStream(text, { tags: 'ignore' })
  if (faults.length > 0)
    throw new AirgapError(
      'VALUES_INVALID',
      'the secrets cannot be read, and so cannot be removed from the archive',
      {
        item,
        likely: 'the file was edited and is no longer valid YAML',
        next: 'correct the file, then run the same command again',
      },
    )
  walk(values)
  return found
}

async function secretText(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size <= maxSecrets) return await readFile(path, 'utf8')
  } catch (error) {
    throw fromSystemError(error, path)
  }
  throw new AirgapError('VALUES_INVALID', 'the file of secrets is larger than 1 MiB', {
    item: path,
    likely: 'another file was copied over it',
    next: 'restore it from a backup of the state folder',
  })
}

async function logsIn(folder: string): Promise<[string, string][]> {
  const names = (await namesIn(folder)).filter(name => /^[\w.-]{1,80}$/.test(name))
  return names.map(name => [`logs/${name}`, join(folder, name)])
}

async function textOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined || !found.isFile() || found.size > maxTail) return undefined
  return await readFile(path, 'utf8')
}

/** Returns the whole lines at the end of a file. */
async function tailOf(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, 'r')
    const found = await file.stat()
    if (!found.isFile()) return undefined
    const start = Math.max(0, found.size - maxTail)
    const bytes = Buffer.alloc(found.size - start)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, start)
    const text = bytes.toString('utf8', 0, bytesRead)
    // the first line may be half of one
    return start === 0 ? text : text.slice(text.indexOf('\n') + 1)
  } catch {
    return undefined
  }
}

function lastLines(text: string, count = maxLines): string {
  const lines = text.split('\n')
  return lines.length <= count + 1 ? text : lines.slice(-count - 1).join('\n')
}

/** Returns what df, free, uname and ip would show. File systems on the network are left out: statfs on one may hang. */
async function machineFacts(folder: string): Promise<string> {
  const read = async (path: string) => (await readFile(path, 'utf8').catch(() => '')).trimEnd()
  const mounts: string[] = []
  for (const line of (await read('/proc/mounts')).split('\n')) {
    const [device = '', path = '', type = ''] = line.split(' ')
    if (/^(?:nfs|cifs|smb|fuse|ceph|9p|gluster)/.test(type)) mounts.push(`${device} ${path} ${type}`)
    else if (/^(?:ext|xfs|btrfs|zfs|vfat|exfat|overlay|tmpfs|f2fs)/.test(type)) {
      const space = await statfs(path).catch(() => undefined)
      if (space !== undefined) mounts.push(`${device} ${path} ${type} ${sizes(space)}`)
    }
  }
  const own = await statfs(folder).catch(() => undefined)
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, list = []]) =>
    list.map(({ cidr }) => `${name} ${cidr ?? ''}`),
  )
  const memory = (await read('/proc/meminfo')).split('\n').filter(line => /^(?:Mem|Swap|Huge)/.test(line))
  return [
    '# system',
    await read('/proc/version'),
    await read('/etc/os-release'),
    '',
    '# uptime and load',
    await read('/proc/uptime'),
    await read('/proc/loadavg'),
    '',
    '# memory',
    ...memory,
    '',
    '# file systems',
    ...mounts,
    `state folder ${folder} ${own === undefined ? '' : sizes(own)}`,
    '',
    '# addresses',
    ...addresses,
    '',
    '# routes',
    await read('/proc/net/route'),
    '',
  ].join('\n')
}

function sizes({ blocks, bavail, bsize }: { blocks: number; bavail: number; bsize: number }): string {
  const gib = (count: number) => ((count * bsize) / 2 ** 30).toFixed(1)
  return `${gib(bavail)} GiB free of ${gib(blocks)} GiB`
}

async function queryText(
  { bin, ...cluster }: Cluster,
  args: readonly string[],
  signal: AbortSignal,
): Promise<{ answers: boolean; text: string }> {
  try {
    const { stdout } = await promisify(execFile)(`${bin}/kubectl`, [...args, '--request-timeout=20s'], {
      signal,
      timeout: 25_000,
      maxBuffer: 32 << 20,
      env: clusterEnvironment({ bin, ...cluster }),
    })
    return {
      answers: true,
      text: stdout
        .split('\n')
        .map(line => printableLine(line, maxTableLine))
        .join('\n'),
    }
  } catch (error) {
    signal.throwIfAborted()
    const { stderr = '', message } = error as { stderr?: string; message: string }
    const reason = printableLine((stderr.trim() || message).split('\n').at(-1) ?? '', 1_000)
    return { answers: false, text: `the cluster does not answer: ${reason}\n` }
  }
}
