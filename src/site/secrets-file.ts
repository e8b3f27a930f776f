import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { secretVariable } from '../core/environment.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { completeSecrets, parseDeclaration, type SecretOrigin, type SecretsDeclaration } from './secrets.ts'

/** Where a deployment tree says which secrets it needs. */
export const declarationPath = 'environments/secrets.schema.yaml'

const maxFile = 1 << 20 /* bytes */

/** secrets.yaml of one environment of a tree that is laid down. */
export interface Secrets {
  path: string
  /** the file that lists them */
  list: string
  declaration(): Promise<SecretsDeclaration>
  /** Never shows one. Throws VALUES_INVALID, PERMISSION (others may read it). */
  complete(
    purpose: 'check' | 'write',
    given?: ReadonlyMap<string, string>,
  ): Promise<{ written: boolean; origins: SecretOrigin[] }>
}

export function secretsOf(tree: string, environment: string): Secrets {
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
        if (error instanceof AirgapError && error.code === 'FILE_NOT_FOUND') return ''
        throw error
      })
      const { text, origins } = completeSecrets(declared, {
        ...{ before, item: path },
        given: given ?? secretsFromEnvironment(declared),
      })
      const written = text !== before
      if (written && purpose === 'write') await writeAtomically(path, text, 0o600)
      return { written, origins }
    },
  }
}

/** `keycloak.adminPassword` → OFFLINE_DEPLOY_SECRET_KEYCLOAK_ADMINPASSWORD */
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
