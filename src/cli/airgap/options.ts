import { access, constants } from 'node:fs/promises'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { fromSystemError } from '../../core/errors.ts'
import { type SignatureFormat, signatureFormats } from '../../signature/files.ts'
import { printTime } from '../../signature/statement.ts'
import { repeated } from '../shell/arguments.ts'

export function positiveInteger(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 1024)
    throw new InvalidArgumentError('must be a whole number from 1 to 1024')
  return value
}

/** Adds the options that every command that reads a manifest has: `-f`, `--lock`, `--remap`, … */
export function stackOptions(command: Command): Command {
  return command
    .addOption(new Option('-f, --file <manifest>', 'stack manifest').default('stack.yaml').env('AIRGAP_FILE'))
    .addOption(
      new Option('--lock <file>', 'lockfile')
        .default(undefined, 'NAME.lock.json beside the manifest')
        .env('AIRGAP_LOCK'),
    )
    .option(
      '--remap <from=to>',
      'fetch from another place: FROM and TO are registry hosts, host/prefix or URL prefixes; TO may be a comma-separated list (repeatable)',
      repeated,
      [],
    )
    .option(
      '--with <variant>',
      'also include this variant of the manifest (repeatable; none: drop those of the lockfile; default: those of the lockfile)',
      repeated,
      [],
    )
    .option(
      '--test-upstream <file>',
      'rehearse against the test upstream that this file describes; the bundle is marked as a rehearsal',
    )
    .option(
      '--platform <os/arch>',
      'include this platform instead of those in the manifest (repeatable)',
      repeated,
      [],
    )
    .addOption(
      new Option('--cache <folder>', 'folder for content that was fetched while locking')
        .default(undefined, '~/.cache/airgap')
        .env('AIRGAP_CACHE'),
    )
    .addOption(
      new Option('-j, --jobs <n>', 'number of parallel transfers')
        .argParser(positiveInteger)
        .default(undefined, '6, and 16 for images while locking')
        .env('AIRGAP_JOBS'),
    )
}

/** Options of every command that writes to or reads from one registry. */
export interface RegistryFlags {
  plainHttp?: boolean
  registryConfig?: string
  caFile?: string
}

export function registryOptions(command: Command): Command {
  return command
    .option('--plain-http', 'use plain HTTP instead of HTTPS')
    .option(
      '--registry-config <file>',
      'docker config.json with credentials (default: the one that `oras login` or `docker login` wrote)',
    )
    .option('--ca-file <pem>', 'certificate authority that signed the certificate of the registry')
}

/** Throws FILE_NOT_FOUND, PERMISSION. */
export async function checkRegistryFiles({ registryConfig, caFile }: RegistryFlags): Promise<void> {
  for (const file of [registryConfig, caFile]) {
    if (file === undefined) continue
    try {
      await access(file, constants.R_OK)
    } catch (error) {
      throw fromSystemError(error, file)
    }
  }
}

/** Options of every command that signs. */
export interface SigningFlags {
  signKey: string[]
  signCommand?: string
  publicKey?: string
  passwordFile?: string
  format: SignatureFormat[]
  /** a time of a statement */
  expires?: string
}

/** Of a command that shares its code with one that signs. */
export const noSigning: SigningFlags = { signKey: [], format: [] }

export function signingOptions(command: Command, { expiry = true } = {}): Command {
  command
    .option(
      '--sign-key <file>',
      'sign with this secret key: a file, - for standard input, or env:NAME for an environment variable (repeatable)',
      repeated,
      [],
    )
    .option(
      '--sign-command <command>',
      'sign with a command of the shell (a token, a KMS): it signs its standard input with Ed25519; requires --public-key',
    )
    .option('--public-key <file>', 'the public key of --sign-command')
    .option(
      '--password-file <file>',
      'the password of encrypted keys, or - (default: AIRGAP_SIGN_PASSWORD, else asked on the terminal)',
    )
    .option('--format <formats>', 'formats of the signatures', parseFormats, signatureFormats)
  return expiry ? expiryOption(command) : command
}

function expiryOption(command: Command): Command {
  return command.option(
    '--expires <when>',
    'when the bundle expires, and sites refuse it: YYYY-MM-DD (UTC), or a number of days (90d)',
    parseExpiry,
  )
}

function parseFormats(text: string): SignatureFormat[] {
  const words = text.split(',')
  const formats = signatureFormats.filter(format => words.includes(format))
  if (formats.length === words.length) return formats
  throw new InvalidArgumentError(`must be one or more of ${signatureFormats.join(',')}`)
}

function parseExpiry(text: string): string {
  const [, days] = /^([1-9]\d{0,4})d$/.exec(text) ?? []
  const time = new Date(days === undefined ? `${text}T00:00:00Z` : Date.now() + Number(days) * 86_400_000)
  const valid = days !== undefined || (/^2\d{3}-\d\d-\d\d$/.test(text) && time.toJSON()?.startsWith(text))
  if (!valid)
    throw new InvalidArgumentError('must be a date such as 2027-12-31, or a number of days such as 90d')
  if (time.getTime() > Date.now()) return printTime(time)
  throw new InvalidArgumentError('must be in the future')
}
