import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  X509Certificate,
} from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { createAtomically, writeAtomically } from '../core/atomic-file.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { readGuarded } from '../core/guarded-file.ts'

/** A certificate with its private key, kept as one file, so that both always belong together. */
export interface KeptCertificate {
  key: KeyObject
  certificate: X509Certificate
  /** PEM */
  text: string
}

/** The certificate authority of a site: its machines trust the servers that it names. Its key never leaves the process that serves. */
export interface SiteCa extends KeptCertificate {
  commonName: string
}

/** What the servers present to clients. */
export interface ServerCertificate {
  /** PEM: the certificate, and the intermediate ones after it */
  certificate: string
  /** PEM */
  key: string
}

/** of a file with a certificate and its key */
const maxCertificate = 1 << 20 /* bytes */
const day = 24 * 60 * 60_000 /* milliseconds */
/**
 * Clients whose clock is a year behind or ahead accept the certificate, and so do all clients if this host's clock is: it is valid for this
 * long before and after the time at which it was made. Apple's clients accept 825 days at most.
 */
const validForMs = 395 * day
/** The certificate is made again once it is this old, or was made this long after now: the clock was wrong then. */
const freshForMs = 15 * day
const caValidForMs = 10 * 365 * day

/** Opens the site's CA. The first call makes it, with mode 0600. Throws KEY_INVALID, PERMISSION. */
export async function openSiteCa(folder: string, { now }: { now: () => Date }): Promise<SiteCa> {
  const existing = await readSiteCa(folder)
  if (existing !== undefined) return existing
  const { makeCertificate } = await import('./certificate.ts')
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  // a CA that is made again has another name: clients that find two of one name take the wrong one
  const commonName = `airgap site CA ${randomBytes(4).toString('hex')}`
  const at = now().getTime()
  const certificate = makeCertificate(
    {
      publicKey,
      commonName,
      from: new Date(at - validForMs),
      until: new Date(at + caValidForMs),
      names: undefined,
    },
    { key: privateKey, commonName },
  )
  const path = caPath(folder)
  await makeFolder(folder)
  await createAtomically(path, textOf(privateKey, certificate), 0o600)
  // another process may have been the first
  const made = await readSiteCa(folder)
  if (made !== undefined) return made
  throw new AirgapError('KEY_INVALID', 'the CA of the site disappeared after it was written', { item: path })
}

/** Reads the CA; undefined where none was made yet. Throws KEY_INVALID, PERMISSION. */
export async function readSiteCa(folder: string): Promise<SiteCa | undefined> {
  const path = caPath(folder)
  const found = await readKept(path, {
    what: 'the CA of the site',
    next: `restore ${path} from a backup; without one, delete it and run \`offline-deploy apply\`, which makes every machine trust a new CA`,
  })
  if (found === undefined) return undefined
  const commonName = /^CN=(.*)$/m.exec(found.certificate.subject)?.[1] ?? ''
  return { ...found, commonName }
}

/**
 * Returns the servers' certificate. One that is not of this CA, does not name all of `names` (host names and IP addresses), or was made more
 * than 15 days before or after now is made again. Throws KEY_INVALID, PERMISSION.
 */
export async function openServerCertificate(
  ca: SiteCa,
  { folder, names, now }: { folder: string; names: readonly string[]; now: () => Date },
): Promise<ServerCertificate> {
  const existing = await readServerCertificate(folder).catch(() => undefined)
  if (existing !== undefined && isUsable(existing.certificate, { ca, names, now: now() }))
    return served(existing)
  return await renewServerCertificate(ca, { folder, names, now })
}

/** Makes the servers' certificate, whatever is there. */
export async function renewServerCertificate(
  ca: SiteCa,
  { folder, names, now }: { folder: string; names: readonly string[]; now: () => Date },
): Promise<ServerCertificate> {
  const { makeCertificate } = await import('./certificate.ts')
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { from, until } = validity(ca.certificate, now())
  const [name = ''] = names
  const certificate = makeCertificate(
    { publicKey, commonName: name.length <= 64 ? name : 'airgap site', from, until, names },
    ca,
  )
  const text = textOf(privateKey, certificate)
  await writeAtomically(serverPath(folder), text, 0o600)
  return served({ key: privateKey, text, certificate: new X509Certificate(certificate) })
}

/** Reads the servers' certificate; undefined where none was made yet. Throws KEY_INVALID, PERMISSION. */
export async function readServerCertificate(folder: string): Promise<KeptCertificate | undefined> {
  const path = serverPath(folder)
  return await readKept(path, {
    what: 'the certificate of the servers',
    next: `rm ${path}: the servers make another one`,
  })
}

function served({ certificate, key }: KeptCertificate): ServerCertificate {
  return { certificate: certificate.toString(), key: key.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

/** Around now, and never outside the validity of the CA: a clock that went back to 1970 is wrong. */
function validity(ca: X509Certificate, now: Date): { from: Date; until: Date } {
  const first = ca.validFromDate.getTime()
  const last = ca.validToDate.getTime()
  const at = Math.max(now.getTime(), first + validForMs)
  return {
    from: new Date(Math.max(at - validForMs, first)),
    until: new Date(Math.min(at + validForMs, last)),
  }
}

function isUsable(
  certificate: X509Certificate,
  { ca, names, now }: { ca: SiteCa; names: readonly string[]; now: Date },
): boolean {
  const wanted = validity(ca.certificate, now).from.getTime()
  const isFresh = Math.abs(certificate.validFromDate.getTime() - wanted) < freshForMs
  return (
    isFresh && certificate.verify(ca.certificate.publicKey) && missingNames(certificate, names).length === 0
  )
}

/** Returns which host names and IP addresses the certificate does not name. */
export function missingNames(certificate: X509Certificate, names: readonly string[]): string[] {
  return names.filter(name => {
    if (isIP(name) !== 0) return certificate.checkIP(name) === undefined
    // clients look at the alternative names alone (RFC 9525, 2)
    return certificate.checkHost(name, { subject: 'never' }) === undefined
  })
}

async function readKept(
  path: string,
  { what, next }: { what: string; next: string },
): Promise<KeptCertificate | undefined> {
  let text: string
  try {
    const found = await readGuarded(path, maxCertificate)
    if (found === undefined) return undefined
    if ((found.mode & 0o077) !== 0)
      throw new AirgapError('PERMISSION', `other users can read the key of ${what}`, {
        item: path,
        likely: 'it was copied or restored without its mode',
        next: `chmod 600 ${path}; if somebody did read it, delete it and run \`offline-deploy apply\``,
      })
    text = found.bytes.toString('utf8')
  } catch (error) {
    throw fromSystemError(error, path)
  }
  try {
    const key = createPrivateKey(text)
    const certificate = new X509Certificate(text)
    if (certificate.checkPrivateKey(key)) return { key, certificate, text: certificate.toString() }
  } catch {
    // reported below
  }
  throw new AirgapError('KEY_INVALID', `${what} is invalid`, {
    item: path,
    likely: 'a damaged disk, or an edited file',
    next,
  })
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw fromSystemError(error, folder)
  }
}

function textOf(key: KeyObject, certificate: string): string {
  return `${certificate}${key.export({ type: 'pkcs8', format: 'pem' })}`
}

function caPath(folder: string): string {
  return join(folder, 'ca.pem')
}

function serverPath(folder: string): string {
  return join(folder, 'server.pem')
}
