import { randomInt } from 'node:crypto'
import { type Document, isMap, parseDocument } from 'yaml'
import { z } from 'zod'
import { AirgapError } from '../core/errors.ts'

/** What a deployment tree says of its secrets: environments/secrets.schema.yaml. */
const declarationSchema = z.strictObject({
  secrets: z
    .array(
      z.strictObject({
        /** in the values: `keycloak.adminPassword` */
        path: z
          .string()
          .regex(/^[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*){0,9}$/, 'must be names joined by dots'),
        description: z.string().min(1).max(200),
        /** characters of a generated one */
        length: z.number().int().min(8).max(128).default(24),
        /** the application takes no other length */
        exactLength: z.boolean().default(false),
      }),
    )
    .min(1)
    .max(500),
  /** published defaults, which nobody may use */
  refused: z.array(z.string()).default([]),
})
export type SecretsDeclaration = z.infer<typeof declarationSchema>
export type Secret = SecretsDeclaration['secrets'][number]

/** How a secret came to be; never the secret itself. */
export interface SecretOrigin {
  path: string
  description: string
  origin: 'kept' | 'given' | 'generated'
}

/** Throws VALUES_INVALID. */
export function parseDeclaration(text: string, item: string): SecretsDeclaration {
  const fail = (what: string) =>
    new AirgapError('VALUES_INVALID', `the list of secrets cannot be read: ${what}`, {
      item,
      next: 'use the deployment tree of the bundle as it is',
    })
  const document = parseDocument(text)
  if (document.errors.length > 0) throw fail(document.errors[0]!.message.split('\n')[0]!)
  const parsed = declarationSchema.safeParse(document.toJS({ maxAliasCount: 0 }))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw fail(`${issue?.path.join('.')}: ${issue?.message}`)
}

/**
 * The text of secrets.yaml with every secret in it: what stands there stays as it is, comments and order too; what was given is
 * put in; the rest is generated. Throws VALUES_INVALID for a secret that is empty, too short or known to everybody, all of them at once.
 */
export function completeSecrets(
  { secrets, refused }: SecretsDeclaration,
  options: {
    before: string
    item: string
    given: ReadonlyMap<string, string>
    generate?: (length: number) => string
  },
): { text: string; origins: SecretOrigin[] } {
  const { before, item, given, generate = generateSecret } = options
  const document = readSecrets(before, item)
  const origins: SecretOrigin[] = []
  const mistakes: string[] = []
  for (const secret of secrets) {
    const keys = secret.path.split('.')
    const there = document.getIn(keys) as unknown
    const value = there ?? given.get(secret.path) ?? generate(secret.length)
    const origin = there !== undefined ? 'kept' : given.has(secret.path) ? 'given' : 'generated'
    const wrong = secretFault(value, { secret, refused })
    if (wrong !== undefined) mistakes.push(`${secret.path} (${origin}): ${wrong}`)
    else if (there === undefined) document.setIn(keys, value)
    origins.push({ path: secret.path, description: secret.description, origin })
  }
  if (mistakes.length > 0) {
    throw new AirgapError('VALUES_INVALID', `secrets that cannot be used:\n  ${mistakes.join('\n  ')}`, {
      item,
      next: 'give others, or leave them out: then they are generated',
    })
  }
  return { text: document.toString({ lineWidth: 0 }), origins }
}

/** Why it cannot be used, if so; never the value itself. */
export function secretFault(
  value: unknown,
  { secret, refused }: { secret: Secret; refused: readonly string[] },
): string | undefined {
  if (typeof value !== 'string') return 'not a text; put it in quotes'
  if (refused.includes(value)) return 'a published default, which everybody knows'
  if (secret.exactLength && value.length !== secret.length)
    return `must have exactly ${secret.length} characters`
  if (value.length < 8) return 'shorter than 8 characters'
  if (value.length > 256) return 'longer than 256 characters'
  // they go through templates, shells of charts and connection strings
  return /^[\x21-\x7e]+$/.test(value) ? undefined : 'has blanks, line ends or characters that are not ASCII'
}

function readSecrets(text: string, item: string): Document {
  const document = parseDocument(text)
  const empty = document.contents === null
  if (document.errors.length === 0 && (empty || isMap(document.contents))) {
    if (!empty) return document
    const fresh = parseDocument(
      '# Secrets of this environment, made on the site. Keep them: applications cannot start anew with others.\n{}\n',
    )
    if (isMap(fresh.contents)) fresh.contents.flow = false
    return fresh
  }
  throw new AirgapError('VALUES_INVALID', 'the file of secrets cannot be read', {
    item,
    likely: 'it was edited and is no YAML any more',
    next: 'correct it; it is not overwritten, as applications may run with what it holds',
  })
}

/** Letters and digits that nobody takes for one another when a person has to type them. */
const alphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789'

function generateSecret(length: number): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('')
}
