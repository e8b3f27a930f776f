import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import type { Progress } from '../core/progress.ts'

/** A registry login. `identityToken` is an OAuth2 refresh token. Never logged, never part of an error. */
export type Credentials =
  | { type: 'basic'; username: string; password: string }
  | { type: 'identity-token'; identityToken: string }

/** Finds credentials; undefined for a registry without a login. */
export interface CredentialStore {
  find(host: string): Promise<Credentials | undefined>
}

const entrySchema = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
})
const configSchema = z.object({
  auths: z.record(z.string(), entrySchema).nullish(),
  credsStore: z.string().optional(),
  credHelpers: z.record(z.string(), z.string()).nullish(),
})
type DockerConfig = z.infer<typeof configSchema>

const helperTimeoutMs = 30_000
const maxHelperOutput = 1 << 20 /* bytes */

/**
 * Reads the credentials of `docker login`: config.json in DOCKER_CONFIG or ~/.docker, read when first needed, with its credential
 * helpers (docker/docker-credential-helpers, protocol of `get`). A missing or failing helper is noted and counts as no login.
 */
export function dockerCredentials(options: {
  env?: Record<string, string | undefined>
  progress: Progress
}): CredentialStore {
  const env = options.env ?? process.env
  let loading: Promise<DockerConfig> | undefined
  const answers = new Map<string, Promise<Credentials | undefined>>()
  const find = async (host: string) => {
    loading ??= load(configPath(env))
    const config = await loading
    const key = configKey(host)
    const helper = config.credHelpers?.[key] ?? config.credHelpers?.[host] ?? config.credsStore
    const fromHelper = helper ? await askHelper(helper, { key, env, progress: options.progress }) : undefined
    return fromHelper ?? fromEntry(config, host)
  }
  return {
    find(host) {
      const answer = answers.get(host) ?? find(host)
      answers.set(host, answer)
      return answer
    },
  }
}

function configPath(env: Record<string, string | undefined>): string {
  const folder = env['DOCKER_CONFIG'] || join(env['HOME'] || homedir(), '.docker')
  return join(folder, 'config.json')
}

async function load(path: string): Promise<DockerConfig> {
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

/** Returns the key in config.json; Docker Hub's is a URL of its API v1. */
function configKey(host: string): string {
  return host === 'docker.io' ? 'https://index.docker.io/v1/' : host
}

function fromEntry(config: DockerConfig, host: string): Credentials | undefined {
  const auths = config.auths ?? {}
  const exact = auths[configKey(host)]
  // older versions of docker wrote https://host/v1/ and the like
  const entry = exact ?? Object.entries(auths).find(([key]) => bareHost(key) === host)?.[1]
  if (entry === undefined) return undefined
  if (entry.identitytoken) return { type: 'identity-token', identityToken: entry.identitytoken }
  if (entry.username && entry.password !== undefined) return basic(entry.username, entry.password)
  if (!entry.auth) return undefined
  const pair = Buffer.from(entry.auth, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = pair.indexOf(':')
  return colon > 0 ? basic(pair.slice(0, colon), pair.slice(colon + 1)) : undefined
}

function bareHost(key: string): string {
  const host = key.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host
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
