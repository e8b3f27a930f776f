import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { defined } from '../core/defined.ts'
import { secretVariable } from '../core/environment.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { completeSecrets, parseDeclaration, type SecretOrigin, type SecretsDeclaration } from './secrets.ts'

/** The file in a deployment tree that declares its secrets. */
export const declarationPath = 'environments/secrets.schema.yaml'

const maxFile = 1 << 20 /* bytes */

/** secrets.yaml of one environment, in a deployment tree that is laid down. */
export interface Secrets {
  path: string
  /** the file that declares them */
  list: string
  declaration(): Promise<SecretsDeclaration>
  /**
   * Completes the file: keeps what it has, takes what is given, generates the rest. `check` writes nothing. Returns no secret.
   * Throws VALUES_INVALID, PERMISSION (other users can read the file).
   */
  complete(
    purpose: 'check' | 'write',
    given?: ReadonlyMap<string, string>,
  ): Promise<{ written: boolean; origins: SecretOrigin[] }>
}

/** `site`: secrets that site.yaml sets. */
export function secretsOf(
  tree: string,
  environment: string,
  { site }: { site?: ReadonlyMap<string, string> } = {},
): Secrets {
  const list = join(tree, declarationPath)
  const path = join(tree, 'environments', environment, 'secrets.yaml')
  const declaration = async () => parseDeclaration(await textOf(list), list)
  return {
    path,
    list,
    declaration,
    async complete(purpose, given) {
      const declared = await declaration()
      await refuseOpenFile(path)
      const before = await textOf(path).catch(error => {
        if (error instanceof AirgapError && error.code === 'FILE_NOT_FOUND') return undefined
        throw error
      })
      if (before !== undefined) refuseBlank(before, path)
      const { text, origins } = completeSecrets(declared, {
        before: before ?? '',
        item: path,
        given: given ?? secretsFromEnvironment(declared),
        ...defined({ site }),
      })
      const written = text !== before
      if (written && purpose === 'write') await writeAtomically(path, text, 0o600)
      return { written, origins }
    },
  }
}

/** Reads secrets from the environment: `keycloak.adminPassword` is OFFLINE_DEPLOY_SECRET_KEYCLOAK_ADMINPASSWORD. */
export function secretsFromEnvironment({ secrets }: SecretsDeclaration): Map<string, string> {
  const given = new Map<string, string>()
  for (const { path } of secrets) {
    const value = process.env[`${secretVariable}${path.replaceAll('.', '_').toUpperCase()}`]
    if (value !== undefined && value !== '') given.set(path, value)
  }
  return given
}

async function textOf(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size <= maxFile) return await readFile(path, 'utf8')
  } catch (error) {
    throw fromSystemError(error, path)
  }
  throw new AirgapError('VALUES_INVALID', 'the file of secrets is larger than 1 MiB', {
    item: path,
    likely: 'another file was copied over it',
    next: 'restore it from a backup of the state folder',
  })
}

/** Secrets that others could read are not secret. */
async function refuseOpenFile(path: string): Promise<void> {
  const found = await stat(path).catch(error => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  })
  if (found === undefined || (found.mode & 0o077) === 0) return
  throw new AirgapError('PERMISSION', 'other users can read the secrets', {
    item: path,
    likely: 'it was copied, or written by an editor with another mode',
    next: `chmod 600 ${path}, and change the secrets that somebody may have read`,
  })
}

/** An editor on a full disk and a power cut leave an empty file: new secrets would lock applications out of their databases. */
function refuseBlank(text: string, path: string): void {
  if (!/^[\s\0\uFEFF]*$/.test(text)) return
  throw new AirgapError('VALUES_INVALID', 'the file of secrets is empty', {
    item: path,
    likely: 'an editor on a full disk or a power cut damaged it',
    next: `restore it from a backup; if no application has been installed with its secrets yet, rm ${path} to generate new ones`,
  })
}
