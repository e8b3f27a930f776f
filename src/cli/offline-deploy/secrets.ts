import { readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import type { Command } from 'commander'
import { writeAtomically } from '../../content/layout-store.ts'
import { AirgapError, errnoOf, fromSystemError } from '../../core/errors.ts'
import { completeSecrets, parseDeclaration, type SecretsDeclaration } from '../../site/secrets.ts'
import type { Shell } from '../shell/run.ts'
import { defaults } from './options.ts'

interface SecretsOptions {
  env: string
  ask?: boolean
}

const prefix = 'OFFLINE_DEPLOY_SECRET_'
const maxFile = 1 << 20 /* bytes */

export function secretsCommand(program: Command, shell: Shell): void {
  program
    .command('secrets')
    .description(
      'makes environments/NAME/secrets.yaml of a deployment tree (mode 0600): keeps what is there, takes what is given, generates the rest; shows none of them',
    )
    .argument('[tree]', 'the deployment tree', '.')
    .option('--env <name>', 'the environment', defaults.environment)
    .option(
      '--ask',
      `ask for each on the terminal (default: from ${prefix}KEYCLOAK_ADMINPASSWORD and the like, else generated)`,
    )
    .action(async (tree: string, options: SecretsOptions) => {
      if (!/^[a-z0-9][a-z0-9-]{0,40}$/.test(options.env))
        throw new AirgapError('USAGE', 'not the name of an environment', {
          item: options.env,
          next: 'such as prod',
        })
      const environments = join(resolve(tree), 'environments')
      const list = join(environments, 'secrets.schema.yaml')
      const declaration = parseDeclaration(await textOf(list), list)
      const path = join(environments, options.env, 'secrets.yaml')
      await refuseOpenFile(path)
      const before = await textOf(path).catch(error => {
        if (error instanceof AirgapError && error.code === 'FILE_NOT_FOUND') return ''
        throw error
      })
      const given = fromEnvironment(declaration)
      if (options.ask) await askFor(declaration, { given, signal: shell.signal })
      const { text, origins } = completeSecrets(declaration, { before, item: path, given })
      const written = text !== before
      if (written) await writeAtomically(path, text, 0o600)
      shell.print({ path, written, secrets: origins }, () =>
        [
          ...origins.map(
            ({ path: name, description, origin }) => `${origin.padEnd(10)} ${name.padEnd(40)} ${description}`,
          ),
          `${path}: ${written ? 'written, mode 0600' : 'unchanged'}`,
        ].join('\n'),
      )
    })
}

async function textOf(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size <= maxFile) return await readFile(path, 'utf8')
  } catch (error) {
    throw fromSystemError(error, path)
  }
  throw new AirgapError('VALUES_INVALID', 'too large', { item: path, next: 'look at it' })
}

/** Secrets that others may have read are none any more. */
async function refuseOpenFile(path: string): Promise<void> {
  const found = await stat(path).catch(error => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  })
  if (found === undefined || (found.mode & 0o077) === 0) return
  throw new AirgapError('PERMISSION', 'others may read the secrets', {
    item: path,
    likely: 'it was copied, or written by an editor with another mode',
    next: `chmod 600 ${path}; change secrets that somebody may have seen`,
  })
}

/** `keycloak.adminPassword` → OFFLINE_DEPLOY_SECRET_KEYCLOAK_ADMINPASSWORD */
function fromEnvironment({ secrets }: SecretsDeclaration): Map<string, string> {
  const given = new Map<string, string>()
  for (const { path } of secrets) {
    const value = process.env[`${prefix}${path.replaceAll('.', '_').toUpperCase()}`]
    if (value !== undefined && value !== '') given.set(path, value)
  }
  return given
}

/** Nothing of what is typed is shown; an empty answer means: generate it. */
async function askFor(
  { secrets }: SecretsDeclaration,
  { given, signal }: { given: Map<string, string>; signal: AbortSignal },
): Promise<void> {
  if (!process.stdin.isTTY)
    throw new AirgapError('USAGE', 'nobody can be asked: there is no terminal', {
      item: '--ask',
      next: `give secrets in ${prefix}… variables, or have them generated`,
    })
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true })
  try {
    for (const { path, description } of secrets) {
      if (given.has(path)) continue
      process.stderr.write(`${description} (${path}), empty to generate it: `)
      const answer = await lines.question('', { signal })
      process.stderr.write('\n')
      if (answer !== '') given.set(path, answer)
    }
  } finally {
    lines.close()
  }
}
