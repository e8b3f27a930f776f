import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { canonicalJson } from '../core/canonical-json.ts'

/** Where both servers of a site answer challenges: `?nonce=` and 64 hex digits. */
export const proofPath = '/.well-known/airgap-server'

export type SiteServer = 'registry' | 'http'

/**
 * What a server of the site signs. Everything public about a site can be copied by another program that listens on its ports (after a
 * reboot, for example); only the holder of the key can sign a nonce that was never used before.
 */
export interface ServerClaim {
  /** identity of the state folder */
  site: string
  server: SiteServer
  /** digest of what the HTTP server says about itself; empty for the registry */
  description: string
  /**
   * `IP PORT` of the server's end of the connection: another program that passes challenges on to the real servers, which listen elsewhere,
   * gets a signature of that other address
   */
  address: string
  nonce: string
}

export interface ServerProof extends ServerClaim {
  /** base64 */
  signature: string
}

/** Returns the answer to a challenge. */
export function proveServer(key: KeyObject, claim: ServerClaim): ServerProof {
  return { ...claim, signature: sign(null, signedBytes(claim), key).toString('base64') }
}

/** Returns whether the holder of the key has made this claim. `key` is the private key; its public half is used. */
export function isProven(key: KeyObject, { signature, ...claim }: ServerProof): boolean {
  return verify(null, signedBytes(claim), createPublicKey(key), Buffer.from(signature, 'base64'))
}

/** The first line keeps a signature from being valid for anything else. */
function signedBytes({ site, server, description, address, nonce }: ServerClaim): Buffer {
  return Buffer.from(`airgap server proof 1\n${canonicalJson({ site, server, description, address, nonce })}`)
}

/** Parses the answer to a challenge; undefined if it is something else. Not verified. */
export function parseProof(bytes: Buffer): ServerProof | undefined {
  try {
    const { site, server, description, address, nonce, signature } = JSON.parse(bytes.toString('utf8'))
    const texts = [site, server, description, address, nonce, signature]
    if (!texts.every(text => typeof text === 'string')) return undefined
    if (server !== 'registry' && server !== 'http') return undefined
    return { site, server, description, address, nonce, signature }
  } catch {
    return undefined
  }
}
