import { resolve } from 'node:path'
import { AirgapError } from '../core/errors.ts'
import { type SecretOrigin, type SecretsDeclaration, secretFault } from '../site/secrets.ts'
import { secretsFromEnvironment, secretsOf } from '../site/secrets-file.ts'

/** A dialogue in which secrets are typed without echo. */
export interface SecretDialogue {
  askSecret(question: string): Promise<string>
  show(text: string): void
}

export interface CompletedSecrets {
  /** of secrets.yaml */
  path: string
  /** false where nothing was missing */
  written: boolean
  secrets: SecretOrigin[]
}

/**
 * Completes secrets.yaml of an environment of a deployment tree: keeps those that are there, takes those that are given in the
 * environment or in a dialogue, generates the rest. Returns none of them. Throws USAGE, VALUES_INVALID, PERMISSION.
 */
export async function completeSecrets(
  tree: string,
  { environment, dialogue }: { environment: string; dialogue: SecretDialogue | undefined },
): Promise<CompletedSecrets> {
  if (!/^[a-z0-9][a-z0-9-]{0,40}$/.test(environment))
    throw new AirgapError('USAGE', 'the name of the environment is invalid', {
      item: environment,
      next: 'pass the name of a folder in environments/, for example prod',
    })
  const file = secretsOf(resolve(tree), environment)
  const declaration = await file.declaration()
  const given = secretsFromEnvironment(declaration)
  if (dialogue !== undefined) await askFor(declaration, { given, dialogue })
  const { written, origins } = await file.complete('write', given)
  return { path: file.path, written, secrets: origins }
}

/** An empty answer leaves the secret to be generated. */
async function askFor(
  { secrets, refused }: SecretsDeclaration,
  { given, dialogue }: { given: Map<string, string>; dialogue: SecretDialogue },
): Promise<void> {
  for (const secret of secrets) {
    const { path, description } = secret
    while (!given.has(path)) {
      const answer = await dialogue.askSecret(`${description} (${path}), empty to generate it: `)
      if (answer === '') break
      const fault = secretFault(answer, { secret, refused })
      if (fault === undefined) given.set(path, answer)
      else dialogue.show(fault)
    }
  }
}
