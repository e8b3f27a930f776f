import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { defined } from '../core/defined.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import type { Progress } from '../core/progress.ts'
import type { Reference } from '../core/reference.ts'
import { withoutTrailing } from '../core/trim.ts'

/** A registry login. `identityToken` is an OAuth2 refresh token. Never logged, never part of an error. */
export type Credentials =
  | { type: 'basic'; username: string; password: string }
  | { type: 'identity-token'; identityToken: string }

/** Finds credentials for a repository; undefined where there is no login. */
export interface CredentialStore {
  find(place: RegistryPlace): Promise<Credentials | undefined>
}

/** A repository of a registry, as a login is looked up for it. */
export type RegistryPlace = Pick<Reference, 'host' | 'repository'>

const entrySchema = z.object({
  auth: z.string().nullish(),
  username: z.string().nullish(),
  password: z.string().nullish(),
  identitytoken: z.string().nullish(),
})
const configSchema = z.object({
  auths: z.record(z.string(), entrySchema.nullable()).nullish(),
  credsStore: z.string().nullish(),
  credHelpers: z.record(z.string(), z.string().nullable()).nullish(),
})
type DockerConfig = z.infer<typeof configSchema>

const helperTimeoutMs = 30_000
const maxHelperOutput = 1 << 20 /* bytes */

/**
 * Reads the credentials of `docker login` and `podman login`: config.json in DOCKER_CONFIG or ~/.docker, read when first needed, with
 * its credential helpers (docker/docker-credential-helpers, protocol of `get`). A missing or failing helper is noted and counts as no
 * login. A key with a path is for the repositories below it; the longest one applies (containers-auth.json(5)).
 */
export function dockerCredentials(options: {
  env?: Record<string, string | undefined>
  /** another config.json */
  path?: string
  progress: Progress
}): CredentialStore {
  const env = options.env ?? process.env
  let loading: Promise<DockerConfig> | undefined
  const answers = new Map<string, Promise<Credentials | undefined>>()
  const ask = (helper: string, key: string) => {
    const question = `${helper} ${key}`
    const answer = answers.get(question) ?? askHelper(helper, { key, env, progress: options.progress })
    answers.set(question, answer)
    return answer
  }
  return {
    async find(place) {
      loading ??= loadDockerConfig(options.path ?? dockerConfigPath(env))
      for (const { key, entry, helper } of loginsFor(await loading, place)) {
        const found = (helper === undefined ? undefined : await ask(helper, key)) ?? fromEntry(entry)
        if (found !== undefined) return found
      }
      return undefined
    },
  }
}

export function dockerConfigPath(env: Record<string, string | undefined>): string {
  const folder = env['DOCKER_CONFIG'] || join(env['HOME'] || homedir(), '.docker')
  return join(folder, 'config.json')
}

/** Returns an empty configuration if there is no file. Throws USAGE for a damaged one, without quoting it. */
export async function loadDockerConfig(path: string): Promise<DockerConfig> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return {}
    throw fromSystemError(error, path)
  }
  try {
    return configSchema.parse(JSON.parse(text))
  } catch {
    // neither the text nor the parser's message, which quotes it, may reach a log: it contains passwords
    throw new AirgapError('USAGE', 'the docker configuration is invalid', {
      item: path,
      likely: 'it was edited by hand; it must be JSON with `auths` as `docker login` writes it',
      next: 'correct it, or move it away and run `docker login REGISTRY` again',
    })
  }
}

/** A login of the configuration that covers a place: of its entry, its helper, or both. */
interface Login {
  /** the key in config.json, also what its helper is queried for */
  key: string
  entry?: z.infer<typeof entrySchema>
  helper?: string
}

/**
 * Returns the logins that cover a repository, the longest path first and the host last. A login of another path is never among them:
 * it would send one team's password to the repositories of another.
 */
function loginsFor(config: DockerConfig, { host, repository }: RegistryPlace): Login[] {
  const wanted = usualHost(host)
  const entries = Object.entries(config.auths ?? {})
    .map(([key, entry]) => ({ key, entry: entry ?? {}, place: placeOf(key) }))
    .filter(({ place }) => place.host === wanted && isBelow(repository, place.path))
    // the longest path; of several spellings of the host, the usual one
    .sort(
      (a, b) =>
        b.place.path.length - a.place.path.length ||
        Number(b.key === hostKey(wanted)) - Number(a.key === hostKey(wanted)),
    )
  const helperOf = (key: string) =>
    config.credHelpers?.[key] || config.credHelpers?.[hostKey(wanted)] || config.credHelpers?.[wanted]
  const logins = entries.map(({ key, entry, place }): Login => {
    // an empty entry says that a helper has the login
    const helper = place.path !== '' && !isEmpty(entry) ? undefined : helperOf(key) || config.credsStore
    const asked = place.path === '' ? hostKey(wanted) : key
    return defined({ key: asked, entry, helper: helper || undefined })
  })
  const ofHost = helperOf(hostKey(wanted)) || config.credsStore
  const hasHost = entries.some(({ place }) => place.path === '')
  return ofHost && !hasHost ? [...logins, { key: hostKey(wanted), helper: ofHost }] : logins
}

function isEmpty(entry: z.infer<typeof entrySchema>): boolean {
  return !entry.auth && !entry.username && !entry.identitytoken
}

/**
 * Splits a key of `auths`: `HOST`, `HOST/PATH` (podman, OpenShift's pull secrets), or an address of a registry's API as old versions of
 * docker wrote it: `https://HOST/v1/`.
 */
function placeOf(key: string): { host: string; path: string } {
  const [, scheme = '', host = '', rest = ''] = /^(https?:\/\/)?([^/]*)(.*)/s.exec(key) ?? []
  const path = withoutTrailing(rest.replace(/^\/+/, ''), '/')
  const isApi = /^v[12]$/.test(path) && (scheme !== '' || rest.endsWith('/'))
  return { host: usualHost(host), path: isApi ? '' : path }
}

function usualHost(host: string): string {
  const lower = host.toLowerCase()
  return lower === 'index.docker.io' || lower === 'registry-1.docker.io' ? 'docker.io' : lower
}

function isBelow(repository: string, path: string): boolean {
  return path === '' || repository === path || repository.startsWith(`${path}/`)
}

/** Returns the key of a host in config.json; Docker Hub's is an address of its API v1. */
function hostKey(host: string): string {
  return host === 'docker.io' ? 'https://index.docker.io/v1/' : host
}

/**
 * Returns a config.json with the one login that covers a repository, for a program that knows hosts only: given the whole file, oras
 * would take the first key of the host, whatever its path (oras-project/oras#1597). Undefined where the file has no key with a path for
 * this host: then every program finds the right login.
 */
export function configForHost(config: DockerConfig, place: RegistryPlace): object | undefined {
  const host = usualHost(place.host)
  const places = Object.keys(config.auths ?? {}).map(placeOf)
  if (!places.some(one => one.host === host && one.path !== '')) return undefined
  const [login] = loginsFor(config, place)
  if (login === undefined) return { auths: {} }
  const key = hostKey(host)
  if (login.helper === undefined) return { auths: { [key]: login.entry ?? {} } }
  return { auths: { [key]: login.entry ?? {} }, credHelpers: { [key]: login.helper } }
}

function fromEntry(entry: z.infer<typeof entrySchema> | undefined): Credentials | undefined {
  if (entry === undefined) return undefined
  if (entry.identitytoken) return { type: 'identity-token', identityToken: entry.identitytoken }
  if (entry.username && typeof entry.password === 'string') return basic(entry.username, entry.password)
  if (!entry.auth) return undefined
  const pair = withoutTrailing(Buffer.from(entry.auth, 'base64').toString('utf8'), '\0')
  const colon = pair.indexOf(':')
  return colon > 0 ? basic(pair.slice(0, colon), pair.slice(colon + 1)) : undefined
}

function basic(username: string, password: string): Credentials {
  return { type: 'basic', username, password }
}

const helperAnswer = z.object({ Username: z.string(), Secret: z.string() })

async function askHelper(
  name: string,
  options: { key: string; env: Record<string, string | undefined>; progress: Progress },
): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`
  // the name becomes part of a program's name: a config.json with `../x` must not run another program (CWE-22)
  if (!/^[A-Za-z0-9_.-]{1,100}$/.test(name)) {
    options.progress.note('config.json names an invalid credential helper; it is not used')
    return undefined
  }
  try {
    const { code, output } = await runHelper(program, options)
    if (code !== 0) {
      // "credentials not found in native keychain" means that there is no login
      if (!/not found/i.test(output))
        options.progress.note(`${program} failed (exit code ${code}); continuing without a login`)
      return undefined
    }
    const { Username, Secret } = helperAnswer.parse(JSON.parse(output))
    if (Secret === '') return undefined
    return Username === '<token>'
      ? { type: 'identity-token', identityToken: Secret }
      : basic(Username, Secret)
  } catch (error) {
    const why = errnoOf(error) === 'ENOENT' ? 'is not on PATH' : 'returned an invalid answer'
    options.progress.note(
      `${program}, named in docker's config.json, ${why}; continuing without a login for ${options.key}`,
    )
    return undefined
  }
}

async function runHelper(
  program: string,
  options: { key: string; env: Record<string, string | undefined> },
): Promise<{ code: number | null; output: string }> {
  return await new Promise((resolve, reject) => {
    const child = spawn(program, ['get'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: options.env,
      timeout: helperTimeoutMs,
      shell: false,
    })
    const chunks: Buffer[] = []
    let size = 0
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= maxHelperOutput) chunks.push(chunk)
      else child.kill()
    })
    child.once('error', reject)
    child.once('close', code => resolve({ code, output: Buffer.concat(chunks).toString('utf8') }))
    // a helper that exits without reading breaks the pipe; its exit code says more
    child.stdin.on('error', () => {})
    child.stdin.end(options.key)
  })
}
