import { type FileHandle, open } from 'node:fs/promises'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { openSecretKey } from './minisign-secret-key.ts'
import { type PublicKey, parsePublicKeys } from './public-key.ts'
import { commandSigner, type Signer } from './signer.ts'

/** Which keys sign, as options name them. */
export interface SignerRequest {
  /** of secret keys: a file, `-` for stdin, `env:NAME` for an environment variable with the text of the file */
  keys: readonly string[]
  /** a command that signs, and a file with its public key */
  command?: string
  publicKey?: string
  /** a file with the password of the keys, `-` for stdin */
  passwordFile?: string
}

export interface SecretSources {
  environment: Readonly<Record<string, string | undefined>>
  /** prompts on the terminal without echo; undefined: there is no terminal */
  askSecret: ((question: string) => Promise<string>) | undefined
  stdin: AsyncIterable<Uint8Array>
  signal: AbortSignal
}

const passwordVariable = 'AIRGAP_SIGN_PASSWORD'
const maxFile = 64 * 1024 /* bytes */

/** Opens the keys, so that a wrong password or file shows before any work. Throws KEY_INVALID, USAGE, FILE_NOT_FOUND, PERMISSION. */
export async function openSigners(request: SignerRequest, sources: SecretSources): Promise<Signer[]> {
  checkStdin(request)
  const signers: Signer[] = []
  for (const written of request.keys) {
    const text = await readSecret(written, sources)
    const item = nameOf(written)
    const { passwordFile } = request
    const askPassword = () => readPassword(`Password of ${item}: `, { passwordFile, sources })
    signers.push(await openSecretKey(text, { item, askPassword }))
  }
  if (request.command !== undefined)
    signers.push(await signerOfCommand(request.command, { request, sources }))
  const distinct = new Set(signers.map(({ key }) => key.fingerprint))
  if (distinct.size < signers.length)
    throw new AirgapError('USAGE', 'two of the keys are the same', {
      item: [...distinct].join(', '),
      likely: 'a threshold counts each key once',
      next: 'pass each key once',
    })
  return signers
}

function checkStdin({ keys, passwordFile }: SignerRequest): void {
  if ([...keys, passwordFile].filter(name => name === '-').length < 2) return
  throw new AirgapError('USAGE', 'standard input can be read once only', {
    item: '--sign-key -, --password-file -',
    next: `put one of them into a file of mode 0600, or the password into ${passwordVariable}`,
  })
}

async function signerOfCommand(
  command: string,
  { request, sources }: { request: SignerRequest; sources: SecretSources },
): Promise<Signer> {
  if (request.publicKey === undefined)
    throw new AirgapError('USAGE', '--sign-command requires the public key of the key that it signs with', {
      item: command,
      next: 'pass it with --public-key FILE: of minisign, OpenSSH or PEM',
    })
  const [key, ...others] = await readPublicKeys(request.publicKey)
  if (others.length > 0)
    throw new AirgapError('KEY_INVALID', 'there are several public keys', {
      item: request.publicKey,
      next: 'pass a file with the one key that the command signs with',
    })
  return commandSigner(command, { key: key!, signal: sources.signal })
}

/** Returns the keys in a file. Throws FILE_NOT_FOUND, PERMISSION, KEY_INVALID. */
export async function readPublicKeys(path: string): Promise<PublicKey[]> {
  return parsePublicKeys(await readSmall(path, { secret: false }), path)
}

/** Returns a password from the file, the environment or the terminal, in this order. Throws USAGE, KEY_INVALID, FILE_NOT_FOUND, PERMISSION. */
export async function readPassword(
  question: string,
  {
    passwordFile,
    sources,
    variable = passwordVariable,
  }: { passwordFile: string | undefined; sources: SecretSources; variable?: string },
): Promise<string> {
  if (passwordFile !== undefined) return firstLine(await readSecret(passwordFile, sources), passwordFile)
  const set = sources.environment[variable]
  if (set !== undefined && set !== '') return set
  if (sources.askSecret !== undefined) return await sources.askSecret(question)
  throw new AirgapError('USAGE', 'a password is required, and there is no terminal to type it', {
    item: question.replace(/: $/, ''),
    next: `set ${variable}, or pass --password-file FILE`,
  })
}

/** As editors end the file with a line end; a password has none. */
function firstLine(text: string, item: string): string {
  const password = text.replace(/\r?\n$/, '')
  if (password !== '' && !/[\r\n]/.test(password)) return password
  throw new AirgapError(
    'KEY_INVALID',
    `the password is ${password === '' ? 'empty' : 'more than one line'}`,
    {
      item: nameOf(item),
      next: 'write the password alone into the file',
    },
  )
}

async function readSecret(written: string, { environment, stdin }: SecretSources): Promise<string> {
  if (written === '-') return await readStream(stdin)
  if (!written.startsWith('env:')) return await readSmall(written, { secret: true })
  const value = environment[written.slice('env:'.length)]
  if (value !== undefined && value !== '') return value
  throw new AirgapError('USAGE', 'the environment variable is not set', {
    item: written.slice('env:'.length),
    next: 'set it to the text of the key file (not to its path)',
  })
}

/** Not what was passed, if that might be the key itself. */
function nameOf(written: string): string {
  return written === '-' ? 'standard input' : written.slice(0, 300)
}

async function readStream(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    size += chunk.length
    if (size > maxFile) throw tooLarge('standard input')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function readSmall(path: string, { secret }: { secret: boolean }): Promise<string> {
  let file: FileHandle | undefined
  try {
    file = await open(path, 'r')
    const found = await file.stat()
    // a pipe, such as <(pass show key), belongs to the process that made it
    if (secret && !found.isFIFO()) checkMode(path, found)
    if (found.size > maxFile) throw tooLarge(path)
    return await readStream(file.createReadStream({ autoClose: false, end: maxFile }))
  } catch (error) {
    throw fromSystemError(error, path)
  } finally {
    await file?.close()
  }
}

/** As ssh does: a key that others can read is known to others, and one of another user may be replaced by that user. */
function checkMode(path: string, { mode, uid }: { mode: number; uid: number }): void {
  const own = process.geteuid?.() ?? uid
  if ((mode & 0o077) === 0 && (uid === own || uid === 0)) return
  const shown = (mode & 0o777).toString(8).padStart(4, '0')
  throw new AirgapError('KEY_INVALID', 'other users of this machine can read or replace the file', {
    item: `${path}: mode ${shown}, owner ${uid}`,
    likely:
      'it was copied or unpacked with the default mode, or is on a medium without file permissions (vfat, exfat)',
    next: `run: chmod 600 ${path}${uid === own ? '' : `; and make it yours: chown ${own} ${path}`} (of such a medium: copy it to a disk first)`,
  })
}

function tooLarge(item: string): AirgapError {
  return new AirgapError('KEY_INVALID', 'too large for a key', { item, next: 'pass a key file' })
}
