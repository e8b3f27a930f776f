import { randomInt } from 'node:crypto'
import { z } from 'zod'
import { AirgapError } from '../core/errors.ts'
import { readYaml } from '../document/parse-yaml.ts'
import { nested, settingsOf, setValues } from '../values/set.ts'
import { type Plain, type PlainMap, readValuesTree } from '../values/tree.ts'

/** The secrets that a deployment tree declares: environments/secrets.schema.yaml. */
const declarationSchema = z.strictObject({
  secrets: z
    .array(
      z.strictObject({
        /** key in the values: `keycloak.adminPassword` */
        path: z
          .string()
          .regex(/^[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*){0,9}$/, 'must be names joined by dots'),
        description: z.string().min(1).max(200),
        /** of a generated secret, in characters */
        length: z.number().int().min(8).max(128).default(24),
        /** the application accepts no other length */
        exactLength: z.boolean().default(false),
      }),
    )
    .min(1)
    .max(500),
  /** published defaults, which are refused */
  refused: z.array(z.string()).default([]),
})
export type SecretsDeclaration = z.infer<typeof declarationSchema>
export type Secret = SecretsDeclaration['secrets'][number]

/** Where a secret comes from; never the secret itself. */
export interface SecretOrigin {
  path: string
  description: string
  origin: 'kept' | 'given' | 'generated'
}

/** Parses a declaration. Throws VALUES_INVALID. */
export function parseDeclaration(text: string, item: string): SecretsDeclaration {
  const fail = (what: string) =>
    new AirgapError('VALUES_INVALID', `the declaration of secrets is invalid: ${what}`, {
      item,
      likely: 'it was edited where the tree is laid down',
      next: 'restore it from the bundle, or rebuild the bundle with a valid one',
    })
  const { value, faults } = readYaml(text)
  if (faults[0] !== undefined) throw fail(faults[0].what)
  const parsed = declarationSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw fail(`${issue?.path.join('.')}: ${issue?.message}`)
}

/**
 * Returns the text of secrets.yaml with every secret in it. The previous text is kept byte for byte; secrets that are passed
 * are added; the others are generated. Throws VALUES_INVALID for a text that is not a map of values, and with a list of all secrets
 * that are too short, published or otherwise unfit.
 */
export function completeSecrets(
  { secrets, refused }: SecretsDeclaration,
  options: {
    before: string
    item: string
    given: ReadonlyMap<string, string>
    /** of site.yaml: also such as the tree does not declare */
    site?: ReadonlyMap<string, string>
    generate?: (length: number) => string
  },
): { text: string; origins: SecretOrigin[] } {
  const { before, item, given, site = new Map(), generate = generateSecret } = options
  const { value: values } = readValuesTree(before, { name: item, whose: 'the file of secrets' })
  const origins: SecretOrigin[] = []
  const mistakes: string[] = []
  const added: Record<string, string> = {}
  for (const secret of secrets) {
    const { path, description } = secret
    const found = valueAt(values, path)
    const fromOutside = site.get(path) ?? given.get(path)
    const origin = found !== undefined ? 'kept' : fromOutside !== undefined ? 'given' : 'generated'
    const value = found ?? fromOutside ?? generate(secret.length)
    const wrong = secretFault(value, { secret, refused })
    if (wrong !== undefined) mistakes.push(`${path} (${origin}): ${wrong}`)
    else if (found === undefined) added[path] = String(value)
    origins.push({ path, description, origin })
  }
  for (const [path, value] of site) {
    const found = valueAt(values, path)
    // an application that runs does not accept another secret only because a file has it
    if (found !== undefined && found !== value)
      mistakes.push(
        `${path} (site.yaml): differs from the one that is in use; remove it from site.yaml to keep that one, or change both`,
      )
    if (secrets.some(secret => secret.path === path)) continue
    if (found === undefined) added[path] = value
    origins.push({ path, description: 'from site.yaml', origin: found === undefined ? 'given' : 'kept' })
  }
  if (mistakes.length > 0) {
    throw new AirgapError(
      'VALUES_INVALID',
      ['some secrets are unfit for use:', ...mistakes.map(line => `  ${line}`)],
      {
        item,
        next: 'pass other secrets, or remove these to have them generated',
      },
    )
  }
  return { text: setValues(before || header, settingsOf(nested(added)), item), origins }
}

const header =
  '# Secrets of this environment, generated on the site. Keep them: applications that run do not accept others.\n'

/** The value at `a.b.c`; undefined for a key that is missing or empty, the value itself where a key on the way has no map. */
function valueAt(values: PlainMap, path: string): Plain | undefined {
  let value: Plain | undefined = values
  for (const key of path.split('.')) {
    if (!(value instanceof Map)) return value
    value = value.get(key) ?? undefined
  }
  return value
}

/** Returns why a secret is unfit for use, without its value; undefined if it is fine. */
export function secretFault(
  value: unknown,
  { secret, refused }: { secret: Secret; refused: readonly string[] },
): string | undefined {
  if (typeof value !== 'string') return 'not a string; put it in quotes'
  if (refused.includes(value)) return 'a published default that anybody can look up'
  if (secret.exactLength && value.length !== secret.length)
    return `must have exactly ${secret.length} characters`
  if (value.length < 8) return 'shorter than 8 characters'
  if (value.length > 256) return 'longer than 256 characters'
  // secrets go through templates, shells of charts and connection strings
  return /^[\x21-\x7e]+$/.test(value) ? undefined : 'has blanks, line ends or characters that are not ASCII'
}

/** Letters and digits that are hard to confuse when a person types them. */
const alphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789'

function generateSecret(length: number): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('')
}
