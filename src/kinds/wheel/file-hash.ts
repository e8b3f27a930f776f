/** A checksum of a file, as index pages, links and requirements files write it. */
export interface FileHash {
  algorithm: HashAlgorithm
  /** lower-case */
  hex: string
}

export type HashAlgorithm = 'sha512' | 'sha384' | 'sha256' | 'sha224' | 'sha1' | 'md5'

/** Hex digits; the strongest first. These are the algorithms of pip's `LinkHash`. */
const lengths: Record<HashAlgorithm, number> = {
  sha512: 128,
  sha384: 96,
  sha256: 64,
  sha224: 56,
  sha1: 40,
  md5: 32,
}

/** Returns undefined for an unknown algorithm and for text that is not a digest of it. */
export function fileHash(algorithm: string, hex: string): FileHash | undefined {
  const name = algorithm.toLowerCase()
  if (!isAlgorithm(name) || hex.length !== lengths[name] || !/^[0-9a-f]+$/i.test(hex)) return undefined
  return { algorithm: name, hex: hex.toLowerCase() }
}

function isAlgorithm(name: string): name is HashAlgorithm {
  return Object.hasOwn(lengths, name)
}

/** The hashes in the fragment of a link: `sha256=…&egg=…`. */
export function fragmentHashes(fragment: string): FileHash[] {
  return fragment.split('&').flatMap(part => {
    const equals = part.indexOf('=')
    return equals < 0 ? [] : (fileHash(part.slice(0, equals), part.slice(equals + 1)) ?? [])
  })
}

/** Whether a hash proves who published a file (pip's `STRONG_HASHES`): collisions of the others can be computed. */
export function isStrong({ algorithm }: FileHash): boolean {
  return algorithm === 'sha256' || algorithm === 'sha384' || algorithm === 'sha512'
}

export function hashOf(hashes: readonly FileHash[], algorithm: HashAlgorithm): string | undefined {
  return hashes.find(one => one.algorithm === algorithm)?.hex
}

/**
 * Whether a file with the hashes `known` is one of a list (`--hash` of one requirement): `unknown` where the list has hashes of an
 * algorithm that is not known of the file.
 */
export function isListed(known: readonly FileHash[], list: readonly FileHash[]): 'yes' | 'no' | 'unknown' {
  let open = false
  for (const { algorithm, hex } of list) {
    const own = hashOf(known, algorithm)
    if (own === hex) return 'yes'
    open ||= own === undefined
  }
  return open ? 'unknown' : 'no'
}
