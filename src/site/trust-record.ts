import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { type Digest, digestOf, isDigest } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { readGuarded } from '../core/guarded-file.ts'
import { minisignKeyText, type PublicKey, parsePublicKeys } from '../signature/public-key.ts'
import { machineId } from './machine-id.ts'

/** Whose signatures a site trusts, and what it has accepted by them: `trust.json` of its state folder. */

/** UTC, to the second, as in statements: texts of one form compare as times do. */
const timeSchema = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
const userSchema = z.string().max(200)

/** The 56 letters that `minisign -P` takes. */
const publicKeySchema = z.string().transform((text, context): PublicKey => {
  const key = keyOfText(text)
  if (key !== undefined) return key
  context.addIssue('not a public key')
  return z.NEVER
})

/** Shown on the terminal and matched by commands. */
export const keyNamePattern = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,62}$/
const keySchema = z.strictObject({
  key: publicKeySchema,
  name: z.string().regex(keyNamePattern),
  at: timeSchema,
  /** user name on this host */
  by: userSchema,
  /** confirmed: a person compared its fingerprint; rotation: named by a statement that enough older keys had signed */
  how: z.enum(['confirmed', 'rotation']),
})
export type TrustedKey = z.infer<typeof keySchema>

const digestSchema = z.string().refine((text): text is Digest => isDigest(text))
const newestSchema = z.strictObject({
  name: z.string(),
  version: z.string(),
  digest: digestSchema,
  /** null: of a bundle without a signature, from before the site had a key */
  built: timeSchema.nullable(),
})
const acceptanceSchema = z.strictObject({
  name: z.string(),
  version: z.string(),
  digest: digestSchema,
  /** fingerprints of the keys that signed it, sorted; empty: known by its digest, from before the site had a key */
  keys: z.array(z.string()),
  expires: timeSchema.nullable(),
  /** from its statement; absent where it had none, and in older records */
  built: timeSchema.optional(),
  /** for which machines it is: `linux/amd64`; absent where it does not say so, and in older records */
  platforms: z.array(z.string()).min(1).max(100).optional(),
  at: timeSchema,
  by: userSchema,
})

const recordSchema = z
  .strictObject({
    trustVersion: z.literal(1),
    /** how many of the keys must have signed a bundle */
    threshold: z.number().int().min(1).max(100),
    keys: z.array(keySchema).min(1).max(100),
    /** keys that are no longer trusted; `at`, `by` and `how` of the removal */
    retired: z.array(keySchema).max(1000),
    /** the newest bundle of each name that the site has accepted: an older one is a rollback */
    newest: z.array(newestSchema).max(1000),
    accepted: z.array(acceptanceSchema).max(1000),
    /** when the last statement that rotated the keys was made; null before the first */
    rotated: timeSchema.nullable(),
    /** the latest time in a statement that was accepted: it has passed, however wrong the clock is now; null before the first */
    latest: timeSchema.nullable(),
  })
  .refine(
    ({ keys, threshold }) => threshold <= keys.length,
    'the threshold is higher than the number of keys',
  )
  .refine(
    ({ keys }) => new Set(keys.map(({ key }) => key.fingerprint)).size === keys.length,
    'a key is listed twice',
  )
export type TrustRecord = z.infer<typeof recordSchema>

const fileSchema = z.strictObject({ trust: recordSchema, host: z.string(), seal: z.string() })

const maxSize = 4 << 20 /* bytes */

/**
 * Reads the record; undefined where the site has none yet. Throws TRUST_INVALID for a file that this program did not write on this host:
 * edited, damaged, or brought along on a medium with another site's keys in it.
 */
export async function readTrust(path: string): Promise<TrustRecord | undefined> {
  const file = await readGuarded(path, maxSize).catch(error => {
    throw isErrorCode(error, 'VALUES_INVALID') ? changed(path, error) : error
  })
  if (file === undefined) return undefined
  // who owns it is checked with the whole state folder
  if ((file.mode & 0o022) !== 0) throw writableByOthers(path)
  return parseTrust(file.bytes.toString('utf8'), { path, machine: await machineId() })
}

export async function writeTrust(path: string, record: TrustRecord): Promise<void> {
  await writeAtomically(path, printTrust(record, await machineId()), 0o600)
}

/** Returns the one text of a record on a host. */
export function printTrust(record: TrustRecord, machine: string): string {
  const trust = storedForm(record)
  return `${canonicalJson({ trust, host: hostOf(machine), seal: sealOf(trust, machine) }, 2)}\n`
}

function storedForm(record: TrustRecord): object {
  const withText = (one: TrustedKey) => ({ ...one, key: minisignKeyText(one.key) })
  return { ...record, keys: record.keys.map(withText), retired: record.retired.map(withText) }
}

function keyOfText(text: string): PublicKey | undefined {
  try {
    const [key] = parsePublicKeys(text, 'trust.json')
    return key !== undefined && minisignKeyText(key) === text ? key : undefined
  } catch {
    return undefined
  }
}

/** Throws TRUST_INVALID. */
export function parseTrust(text: string, { path, machine }: { path: string; machine: string }): TrustRecord {
  let file: z.infer<typeof fileSchema>
  try {
    file = fileSchema.parse(JSON.parse(text))
  } catch (error) {
    throw changed(path, error)
  }
  if (file.host !== hostOf(machine)) throw ofAnotherHost(path)
  // the whole text: one that has a key twice, or other blanks, was not written by this program either
  if (text !== printTrust(file.trust, machine)) throw changed(path)
  return file.trust
}

/**
 * Keyed with the id of the host, which is confidential: a medium that brings a state folder along, and an editor, cannot make it. It is
 * no defence against root of this host, who can replace this program as well.
 */
function sealOf(stored: object, machine: string): string {
  return createHmac('sha256', `airgap site trust ${machine}`).update(canonicalJson(stored)).digest('hex')
}

function hostOf(machine: string): string {
  return digestOf(`airgap site trust host ${machine}`).slice(7, 39)
}

const startAgain =
  'move it away, and pin each key again with `offline-deploy keys add FILE`, comparing its fingerprint over the phone; then set how many must sign, with `offline-deploy keys threshold N`'

function changed(item: string, cause?: unknown): AirgapError {
  return new AirgapError('TRUST_INVALID', 'the record of trusted keys was edited or is damaged', {
    item,
    likely: 'somebody edited it, or the disk failed; only `offline-deploy keys` may change it',
    next: `restore it from a backup of the state folder, or ${startAgain}`,
    cause,
  })
}

function ofAnotherHost(item: string): AirgapError {
  return new AirgapError('TRUST_INVALID', 'the record of trusted keys was written on another host', {
    item,
    likely: 'the state folder came with a medium, or this host was reinstalled',
    next: `if this is the state folder of your site, ${startAgain}; otherwise choose another with --site`,
  })
}

function writableByOthers(item: string): AirgapError {
  return new AirgapError('TRUST_INVALID', 'other users can change the record of trusted keys', {
    item,
    likely: 'it was copied or restored without its mode',
    next: `compare the keys with those of the person who builds the bundles (\`cat ${item}\`), then \`chmod 600 ${item}\``,
  })
}
