/** Strings of the SSH protocol (RFC 4251 section 5): a length of 32 bits, and that many bytes. */
export function sshString(value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** Returns the strings of which `bytes` consists, without a rest; undefined if it does not. */
export function splitSshStrings(bytes: Buffer): Buffer[] | undefined {
  const strings: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    if (at + 4 > bytes.length) return undefined
    const end = at + 4 + bytes.readUInt32BE(at)
    if (end > bytes.length) return undefined
    strings.push(bytes.subarray(at + 4, end))
    at = end
  }
  return strings
}

const keyType = 'ssh-ed25519'

/** Returns the blob of an Ed25519 public key (RFC 8709 section 4). */
export function sshKeyBlob(raw: Uint8Array): Buffer {
  return Buffer.concat([sshString(keyType), sshString(raw)])
}

/** Returns the blob of an Ed25519 signature (RFC 8709 section 6). */
export function sshSignatureBlob(signature: Uint8Array): Buffer {
  return Buffer.concat([sshString(keyType), sshString(signature)])
}

/** Returns the 32 bytes of the key in such a blob, or the 64 of the signature (section 6); undefined for any other. */
export function fromSshBlob(blob: Buffer, length: 32 | 64): Buffer | undefined {
  const [type, value, ...rest] = splitSshStrings(blob) ?? []
  if (type?.toString('latin1') !== keyType || value?.length !== length || rest.length > 0) return undefined
  return value
}
